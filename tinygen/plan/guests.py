"""Guests: rows of a tensor that lie in slots of another one's ring, so that they need no ring of their own.

A kernel that goes channel by channel may write an output row where the first of the rows lies that it has just read for
the last time. Between two calls that slot of the input's ring is free until the producer makes the next row, and by
then whoever reads the guest has read it, if each call makes or reads one row.

    ring of the input   0 1 2 │ 3 1 2 │ 3 4 2     row 3 is made where row 0 was
    guest               . . . │ a 1 2 │ …         until then output row a lies there

And what a sum takes element by element may be made where the sum will lie: a convolution writes straight into the
place of an ADD's output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinygen.ir import Graph, Unit
from tinygen.plan.units import Layer
from tinygen.plan.values import Step


@dataclass(frozen=True, slots=True)
class Guest:
    """Row r of tensor `guest` lies in the slot of row r × pace + turn of tensor `host`.

    layer     the layer that makes it
    readers   the layers that read it
    is_term   whether it lies where the host, an elementwise function of it, will; else it comes after the host
    """

    guest: int
    host: int
    pace: int
    turn: int
    layer: int
    readers: tuple[int, ...]
    is_term: bool = False


def possible_guests(graph: Graph, layers: Sequence[Layer | None]) -> tuple[Guest, ...]:
    """Where the calls would allow it."""
    readers: dict[int, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for tensor in node.inputs:
            if tensor is not None and not tensor.is_constant:
                readers.setdefault(tensor.index, []).append(index)
    kept = {tensor.index for tensor in (*graph.inputs, *graph.outputs)}
    found: list[Guest] = []
    producer = {tensor.index: index for index, node in enumerate(graph.nodes) for tensor in node.outputs}
    for index, layer in enumerate(layers):
        if layer is not None and layer.access.elementwise and (term := _term(layer, index, readers, producer, kept)):
            if not {layer.node.output.index, term} & {t for other in found for t in (other.guest, other.host)}:
                found.append(Guest(term, layer.node.output.index, 1, 0, producer[term], (index,), is_term=True))
            continue
        if layer is None or not layer.keeps_channels or layer.access.unit is not Unit.CHANNEL:
            continue
        if len(layer.operands) != 1 or len(layer.node.outputs) != 1:
            continue
        host, guest = layer.operands[0], layer.node.output
        own = readers.get(guest.index, [])
        fits = guest.row_bytes <= host.row_bytes and host.nhwc[0] == 1 and layer.rows >= 3
        if not fits or {host.index, guest.index} & kept or readers[host.index] != [index] or not own:
            continue
        pace, turn = _place(layer, host.index)
        is_guest = host.index in {other.guest for other in found}
        if is_guest or pace < 1 or not all(_same_rows(layers[reader], guest.index) for reader in own):
            continue
        found.append(Guest(guest.index, host.index, pace, turn, index, tuple(own)))
    return tuple(found)


def guests_of(possible: Iterable[Guest], steps: Sequence[Step]) -> tuple[Guest, ...]:
    """Those that are made and read in turn; by calls of one row each, unless they are terms."""
    most: dict[int, int] = {}
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    for number, step in enumerate(steps):
        most[step.layer] = max(most.get(step.layer, 0), step.row_end - step.row_begin)
        begin.setdefault(step.layer, number)
        end[step.layer] = number
    return tuple(
        guest
        for guest in possible
        if (guest.is_term or all(most.get(layer) == 1 for layer in (guest.layer, *guest.readers)))
        and all(begin.get(reader, len(steps)) < end.get(guest.layer, -1) for reader in guest.readers)
    )


def _term(
    layer: Layer, index: int, readers: Mapping[int, list[int]], producer: Mapping[int, int], kept: set[int]
) -> int | None:
    """Of the operands that nothing else reads, as large as the output, the one that is made last."""
    output = layer.node.output
    found = [
        tensor.index
        for tensor in layer.operands
        if tensor.row_bytes == output.row_bytes and tensor.rows == output.rows
        if readers[tensor.index] == [index] and tensor.index not in kept and tensor.index in producer
    ]
    return max(found, key=lambda tensor: producer[tensor], default=None)


def _place(layer: Layer, host: int) -> tuple[int, int]:
    """The first row that each output row reads, as row × pace + turn; a pace of 0 where it is nothing of the kind."""
    first = [layer.rows_read(host, row, row + 1)[0] for row in range(layer.rows)]
    pace = first[2] - first[1]
    turn = first[1] - pace
    regular = all(begin == max(0, row * pace + turn) for row, begin in enumerate(first))
    return (pace, turn) if regular else (0, 0)


def _same_rows(layer: Layer | None, tensor: int) -> bool:
    """Whether output row r reads row r of the tensor, and no other."""
    return layer is not None and all(layer.rows_read(tensor, r, r + 1) == (r, r + 1) for r in range(layer.rows))
