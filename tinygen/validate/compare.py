"""Compares what the firmware wrote with the reference, value by value, layer by layer.

Where a pass left channels out of a tensor, the firmware's values are compared with the channels that were kept, and the
reference's values of those proved constant with what was proved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinygen.emulate import Run
from tinygen.errors import EmulatorError
from tinygen.ir import Array, Graph, Shape, Tensor

Expected = Sequence[Mapping[int, Array]]
"""Per inference: tensor index → the reference's value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first value that differs: `element` is its index in the model's tensor, `expected` the reference's value.

    `found` is the firmware's value, or what was proved of a channel that it does not compute.
    """

    inference: int
    layer: int
    op: str
    tensor: str
    element: tuple[int, ...]
    expected: float
    found: float


@dataclass(frozen=True, slots=True)
class Totals:
    """What was compared. Differences are absolute, in units of the last place for quantised tensors."""

    tensors_compared: int
    values_compared: int
    values_different: int
    largest_difference: float
    first_difference: Difference | None


_Elements = Callable[[int], tuple[int, ...]]


def full_tensor(graph: Graph, tensor: Tensor) -> Tensor:
    """The tensor as the model file has it, with the channels that a pass left out."""
    reduction = graph.reductions.get(tensor.index)
    return tensor if reduction is None else reduction.full


def with_rows(graph: Graph, inputs: Sequence[Array], tensors: Mapping[int, Array]) -> Mapping[int, Array]:
    """A reference's tensors, with the input where the firmware shows it as rows that were pushed."""
    if graph.pushed is None:
        return tensors
    return {graph.nodes[0].output.index: inputs[0], **tensors}


class _Tally:
    """Counts while the comparison goes on."""

    def __init__(self) -> None:
        self.tensors: set[int] = set()
        self.compared = 0
        self.different = 0
        self.largest = 0.0
        self.first: Difference | None = None

    def add(
        self, inference: int, layer: int, op: str, tensor: Tensor, elements: _Elements, wanted: Array, got: Array
    ) -> None:
        """Two flat runs of values; `elements` tells where in the tensor, as the model has it, value i lies."""
        self.tensors.add(tensor.index)
        self.compared += wanted.size
        # floats are compared as bits: an equal result is the same 32 bits
        unequal = _bits(wanted) != _bits(got)
        if not unequal.any():
            return
        self.different += int(unequal.sum())
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            distance = np.abs(wanted.astype(np.float64) - got.astype(np.float64))
        self.largest = max(self.largest, float(np.nanmax(distance)) if not np.isnan(distance).all() else 0.0)
        if self.first is None or (inference, layer) < (self.first.inference, self.first.layer):
            at = int(np.argmax(unequal))
            self.first = Difference(inference, layer, op, tensor.name, elements(at), wanted[at].item(), got[at].item())


def compare(graph: Graph, expected: Expected, validation: Run, release: Run) -> Totals:
    """Every row that every layer of the validation build wrote, and every output of both builds.

    Raises EmulatorError when the firmware did not show every row of every layer.
    """
    tally = _Tally()
    for number, (wanted, checked) in enumerate(zip(expected, validation.inferences, strict=True)):
        shown = {
            (layer, position): np.zeros(output.rows, np.int64)
            for layer, node in enumerate(graph.nodes)
            for position, output in enumerate(node.outputs)
        }
        for step in checked.steps:
            place = step.layer, step.output
            node = graph.nodes[step.layer] if place in shown else None
            tensor = node.outputs[step.output] if node else None
            if node is None or tensor is None or step.row_end > tensor.rows or step.row_bytes != tensor.row_bytes:
                raise EmulatorError(
                    f"inference {number}: a step showed rows {step.row_begin} to {step.row_end} of {step.row_bytes} "
                    f"bytes of output {step.output} of layer {step.layer}, which do not exist. "
                    "The firmware's memory was damaged."
                )
            width = tensor.row_bytes // tensor.dtype.size_bytes
            begin, end = step.row_begin * width, step.row_end * width
            reference = _kept(graph, tensor, wanted[tensor.index]).reshape(-1)[begin:end]
            got = np.frombuffer(step.data, tensor.dtype.numpy.newbyteorder("<"))
            tally.add(number, step.layer, node.op.name, tensor, _elements(graph, tensor, begin), reference, got)
            shown[place][step.row_begin : step.row_end] += 1
        missing = [layer for (layer, _), times in shown.items() if (times != 1).any()]
        if missing:
            raise EmulatorError(f"inference {number}: layer {missing[0]} did not show each of its rows once.")
        _compare_constants(graph, tally, number, wanted)
        _compare_outputs(graph, tally, number, wanted, checked.outputs)
        _compare_outputs(graph, tally, number, wanted, release.inferences[number].outputs)
    return Totals(len(tally.tensors), tally.compared, tally.different, tally.largest, tally.first)


def _compare_outputs(
    graph: Graph, tally: _Tally, number: int, wanted: Mapping[int, Array], outputs: Sequence[bytes]
) -> None:
    for tensor, data in zip(graph.outputs, outputs, strict=True):
        layer, op = _producer(graph, tensor)
        got = np.frombuffer(data, tensor.dtype.numpy.newbyteorder("<"))
        tally.add(number, layer, op, tensor, _elements(graph, tensor, 0), wanted[tensor.index].reshape(-1), got)


def _compare_constants(graph: Graph, tally: _Tally, number: int, wanted: Mapping[int, Array]) -> None:
    """The reference's values of channels that are not computed because they were proved to be constant."""
    for index, reduction in graph.reductions.items():
        channels = np.array([*reduction.constants], np.int64)
        if not channels.size:
            continue
        layer, op = _producer(graph, reduction.full)
        reference = wanted[index][..., channels]
        proved = np.broadcast_to(np.array([*reduction.constants.values()], reference.dtype), reference.shape)
        elements = partial(_element_of_channels, reference.shape, channels)
        tally.add(number, layer, op, reduction.full, elements, reference.reshape(-1), proved.reshape(-1))


def _kept(graph: Graph, tensor: Tensor, values: Array) -> Array:
    """The reference's values of what is computed."""
    reduction = graph.reductions.get(tensor.index)
    return values if reduction is None else reduction.of(values)


def _elements(graph: Graph, tensor: Tensor, start: int) -> _Elements:
    """Where values lie that begin at element `start` of the graph's tensor."""
    reduction = graph.reductions.get(tensor.index)
    channels = None if reduction is None else np.array(reduction.kept)
    return lambda at: _element_of_channels(tensor.shape or (1,), channels, start + at)


def _element_of_channels(shape: Shape, channels: Array | None, at: int) -> tuple[int, ...]:
    """Element `at` of an array whose last axis holds these channels of a tensor, or all of them."""
    *outer, last = (int(i) for i in np.unravel_index(at, shape))
    return (*outer, last if channels is None else int(channels[last]))


def _producer(graph: Graph, tensor: Tensor) -> tuple[int, str]:
    """Position and operator of the node that makes a tensor; an output that is an input has none."""
    for layer, node in enumerate(graph.nodes):
        if any(output.index == tensor.index for output in node.outputs):
            return layer, node.op.name
    return -1, "model input"


def _bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
