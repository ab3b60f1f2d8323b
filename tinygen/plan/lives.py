"""When each byte of the arena's values is first written and last needed, by following the steps unit by unit.

Time counts twice per unit: a unit writes at an odd time; what it has read by then is needed until the even time before,
what it may still read until the same odd time. So two bytes can share an address when the one is needed until a time
before the other's birth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygen.ir import Graph, Tensor
from tinygen.plan.guests import Guest, guests_of, possible_guests
from tinygen.plan.units import NEVER, Cells, Layer, Touch
from tinygen.plan.values import BEFORE, Ints, Life, Step

UNBORN = int(np.iinfo(np.int64).max)


class Grains:
    """The life of a value while it is being followed: a birth and a death for every few bytes."""

    def __init__(self, value_bytes: int, grain_bytes: int) -> None:
        self.grain_bytes = grain_bytes
        self.birth = np.full(value_bytes // grain_bytes, UNBORN)
        self.death = np.full(value_bytes // grain_bytes, NEVER)

    def write(self, cells: Cells, times: Ints, end: int) -> None:
        """Cells are written at these times, and are there until the call's end, when a validation build reads them."""
        at, flat = self._span(cells, times)
        np.minimum(self.birth[at], flat, out=self.birth[at])
        np.maximum(self.death[at], end, out=self.death[at])

    def read(self, cells: Cells, times: Ints) -> None:
        """Cells are needed until these times, or not where it is NEVER."""
        at, flat = self._span(cells, times)
        np.maximum(self.death[at], flat, out=self.death[at])

    def life(self, rows: int, ring_rows: int) -> Life:
        """What was found, for a buffer that holds some of the rows at a time, each in its slot."""
        birth, death = self.birth, self.death
        if ring_rows < rows:
            turns = -(-rows // ring_rows)
            missing = (turns * ring_rows - rows) * len(birth) // rows
            birth = np.append(birth, np.full(missing, UNBORN)).reshape(turns, -1).min(axis=0)
            death = np.append(death, np.full(missing, NEVER)).reshape(turns, -1).max(axis=0)
        return Life.of_cells(self.grain_bytes, birth, death)

    def _span(self, cells: Cells, times: Ints) -> tuple[slice, Ints]:
        flat = times.reshape(-1)
        if cells.cell_bytes != self.grain_bytes:
            flat = np.repeat(flat, cells.cell_bytes // self.grain_bytes)
        first = cells.first_row * cells.tensor.row_bytes // self.grain_bytes
        return slice(first, first + len(flat)), flat


@dataclass(slots=True)
class Value:
    """Tensors that are views of one another, in one place.

    `channel` is their life where all that share an address lie a whole number of pixels apart, `whole` in any case.
    `before` are guests' rows in slots before the first row: the slot, birth and death.
    """

    tensors: list[Tensor]
    channel: Grains
    whole: Grains
    ring_rows: int
    before: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of the tensor that is written."""
        return self.tensors[0].rows

    @property
    def is_ring(self) -> bool:
        """Whether the buffer holds fewer rows than there are."""
        return self.ring_rows < self.rows

    def life(self) -> Life:
        """The life of the buffer."""
        return self.channel.life(self.rows, self.ring_rows)

    def whole_life(self) -> Life:
        """The life of the buffer when channels are not kept apart."""
        return self.whole.life(self.rows, self.ring_rows)

    def find_ring(self) -> None:
        """The fewest rows in turn that are enough: each is needed no more when the one that takes its slot is born."""
        born, needed = self.row_lives()
        self.ring_rows = 1
        while self.ring_rows < self.rows and not self._is_enough(born, needed):
            self.ring_rows += 1
        for row, birth, _ in self.before:
            for grains in (self.channel, self.whole):
                own = grains.birth.reshape(self.rows, -1)[row + self.ring_rows]
                np.minimum(own, birth, out=own)

    def _is_enough(self, born: Ints, needed: Ints) -> bool:
        size = self.ring_rows
        early = all(row + size >= 0 and death < born[row + size] for row, _, death in self.before)
        return early and not (needed[:-size] >= born[size:]).any()

    def row_lives(self) -> tuple[Ints, Ints]:
        """The first birth and the last death in each row."""
        birth, death = (a.reshape(self.rows, -1) for a in (self.whole.birth, self.whole.death))
        return birth.min(axis=1), death.max(axis=1)

    def has_room(self, guest: Value, pace: int, turn: int) -> bool:
        """Whether there are slots for a guest's rows, also for those before the first, in the longest ring."""
        born, (_, needed) = self.row_lives()[0], guest.row_lives()
        before = [(row * pace + turn, int(death)) for row, death in enumerate(needed) if row * pace + turn < 0]
        return not before or (
            len(self.tensors) == 1
            and all(place + self.rows >= 0 and death < born[place + self.rows] for place, death in before)
        )

    def lodge(self, guest: Value, pace: int, turn: int) -> None:
        """Rows of a guest live in slots of this value's rows, or of rows that would come before the first."""
        births, deaths = guest.row_lives()
        for row, (birth, death) in enumerate(zip(births.tolist(), deaths.tolist(), strict=True)):
            place = row * pace + turn
            if place < 0:
                self.before.append((place, birth, death))
                continue
            for grains in (self.channel, self.whole):
                born, needed = (a.reshape(self.rows, -1)[place] for a in (grains.birth, grains.death))
                np.minimum(born, birth, out=born)
                np.maximum(needed, death, out=needed)


@dataclass(frozen=True, slots=True)
class Scratch:
    """Working memory of a layer that keeps its sums there, or of several that take turns and keep nothing."""

    layers: tuple[int, ...]
    life: Life


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What following the steps gives.

    values      values by the tensor that is written, in the order of writing; those of the caller first
    value_of    tensor → value
    guests      tensors that lie in the rings of others
    times       the time at which each step begins, and the end of the last one
    """

    values: Mapping[int, Value]
    value_of: Mapping[int, int]
    guests: tuple[Guest, ...]
    scratch: tuple[Scratch, ...]
    times: tuple[int, ...]


def follow(graph: Graph, layers: Sequence[Layer | None], steps: Sequence[Step]) -> Timeline:
    """Births and deaths of every run-time value under the given steps."""
    values, value_of = _values(graph, layers)
    for tensor in graph.held_inputs:
        for grains in (values[tensor.index].channel, values[tensor.index].whole):
            grains.birth[:] = BEFORE
            grains.death[:] = 0
    calls: dict[int, tuple[int, int]] = {}
    time, times = 2, []
    for step in steps:
        times.append(time)
        layer = layers[step.layer]
        if layer is None:  # a validation build shows the view
            _need(values[value_of[graph.nodes[step.layer].output.index]], time)
            time += 2
            continue
        call = layer.call(step.row_begin, step.row_end)
        end = time + 2 * call.units
        touched = {tensor.index: values[value_of[tensor.index]] for tensor, _ in layer.cells}
        _touch(call.channel, time, end, {i: value.channel for i, value in touched.items()})
        _touch(call.whole, time, end, {i: v.whole for i, v in touched.items() if v.whole is not v.channel})
        calls[step.layer] = calls.get(step.layer, (time, 0))[0], end
        time = end + 2
    for tensor in graph.outputs:
        _need(values[value_of[tensor.index]], time)
    guests = []
    for guest in guests_of(possible_guests(graph, layers), steps):
        host, lodger = values.get(guest.host), values.get(guest.guest)
        if host is None or lodger is None:  # a view of another value
            continue
        if host.has_room(lodger, guest.pace, guest.turn):
            host.lodge(values.pop(guest.guest), guest.pace, guest.turn)
            value_of[guest.guest] = guest.host
            guests.append(guest)
    kept = {value_of[t.index] for t in (*graph.held_inputs, *graph.outputs)}
    for index, value in values.items():
        if index not in kept and len(value.tensors) == 1:
            value.find_ring()
    return Timeline(values, value_of, tuple(guests), _scratch(layers, calls), (*times, time))


def _need(value: Value, time: int) -> None:
    for grains in (value.channel, value.whole):
        np.maximum(grains.death, time, out=grains.death)


def _touch(touch: Touch, time: int, end: int, grains: Mapping[int, Grains]) -> None:
    """Enter one call into the grains of its tensors."""
    for cells in touch.reads:
        if cells.tensor.index in grains:
            needed = np.where(cells.unit == NEVER, NEVER, time + 2 * cells.unit + touch.late)
            grains[cells.tensor.index].read(cells, needed)
    for cells in touch.writes:
        if cells.tensor.index in grains:
            grains[cells.tensor.index].write(cells, time + 2 * cells.unit + 1, end)


def _scratch(layers: Sequence[Layer | None], calls: Mapping[int, tuple[int, int]]) -> tuple[Scratch, ...]:
    """Scratch of layers whose calls come in turn lies at one place, as large as the most that one of them needs.

    A layer that accumulates has its own, from its first call to its last.
    """
    sizes = {index: layer.scratch_bytes for index, layer in enumerate(layers) if layer and layer.scratch_bytes}
    keeping = {index for index, layer in enumerate(layers) if layer and layer.access.accumulates}
    groups: list[list[int]] = [[index] for index in sorted(keeping & calls.keys())]
    until = -1
    for index in sorted((i for i in calls if i in sizes and i not in keeping), key=lambda i: calls[i]):
        if calls[index][0] <= until:
            groups[-1].append(index)
        else:
            groups.append([index])
        until = max(until, calls[index][1])
    return tuple(Scratch(tuple(group), _turns(group, sizes, calls)) for group in groups)


def _turns(group: Sequence[int], sizes: Mapping[int, int], calls: Mapping[int, tuple[int, int]]) -> Life:
    """A byte of shared scratch lives from the first call to the last of the layers that need so many bytes."""
    ends = sorted({sizes[index] for index in group})
    users = [[index for index in group if sizes[index] >= end] for end in ends]
    births = [min(calls[index][0] for index in own) for own in users]
    deaths = [max(calls[index][1] for index in own) for own in users]
    return Life(np.array(ends), np.array(births), np.array(deaths))


def _values(graph: Graph, layers: Sequence[Layer | None]) -> tuple[dict[int, Value], dict[int, int]]:
    """Run-time tensors, those that are views of one another together, with grains as fine as all their uses need."""
    value_of: dict[int, int] = {}
    tensors: dict[int, list[Tensor]] = {}

    def add(tensor: Tensor, value: int) -> None:
        value_of[tensor.index] = value
        tensors.setdefault(value, []).append(tensor)

    for tensor in graph.held_inputs:
        add(tensor, tensor.index)
    for node, layer in zip(graph.nodes, layers, strict=True):
        if layer is None:
            source = node.op.view_of(node)
            assert source is not None
            add(node.output, value_of[node.input(source).index])
        else:
            for tensor in node.outputs:
                add(tensor, tensor.index)
    grains = {index: own[0].size_bytes for index, own in tensors.items()}
    split: set[int] = set()
    for layer in layers:
        if layer is not None:
            for tensor, cell_bytes in layer.cells:
                value = value_of[tensor.index]
                grains[value] = math.gcd(grains[value], cell_bytes)
                if layer.keeps_channels:
                    split.add(value)
    values = {}
    for index, own in tensors.items():
        channel = Grains(own[0].size_bytes, grains[index])
        whole = Grains(own[0].size_bytes, grains[index]) if index in split else channel
        values[index] = Value(own, channel, whole, own[0].rows)
    return values, value_of
