"""When each byte of the arena's values is first written and last needed, by following the steps unit by unit.

Time counts twice per unit: a unit writes at an odd time; what it has read by then is needed until the even time before,
what it may still read until the same odd time. So two bytes can share an address when the one is needed until a time
before the other's birth. A kernel that goes channel by channel is counted as if it had read: whether it has depends on
the distance, see `distances.apart`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygen.ir import Graph, Tensor
from tinygen.plan.units import NEVER, Call, Cells, Layer
from tinygen.plan.values import BEFORE, Ints, Life, Step


@dataclass(slots=True)
class Value:
    """Tensors that are views of one another, and their life while it is being followed: a birth and death a grain."""

    tensors: list[Tensor]
    size_bytes: int
    grain_bytes: int = 0
    birth: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    death: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def start(self) -> None:
        """Nothing is known yet."""
        grains = self.size_bytes // self.grain_bytes
        self.birth = np.full(grains, np.iinfo(np.int64).max)
        self.death = np.full(grains, NEVER)

    def life(self) -> Life:
        """What was found, in runs."""
        return Life.of_cells(self.grain_bytes, self.birth, self.death)

    def write(self, cells: Cells, time: Ints, end: int) -> None:
        """Cells are written at these times, and stay until the call's end, when a validation build reads them."""
        at, flat = self._grains(cells, time)
        np.minimum(self.birth[at], flat, out=self.birth[at])
        np.maximum(self.death[at], end, out=self.death[at])

    def read(self, cells: Cells, time: Ints) -> None:
        """Cells are needed until these times, or not where it is NEVER."""
        at, flat = self._grains(cells, time)
        np.maximum(self.death[at], flat, out=self.death[at])

    def _grains(self, cells: Cells, time: Ints) -> tuple[slice, Ints]:
        flat = np.repeat(time.reshape(-1), cells.cell_bytes // self.grain_bytes)
        first = cells.first_row * cells.tensor.row_bytes // self.grain_bytes
        return slice(first, first + len(flat)), flat


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What following the steps gives.

    values      values by the tensor that is written, in the order of writing; those of the caller first
    value_of    tensor → value
    scratch     life of the scratch of each layer that needs some
    times       the time at which each step begins, and the end of the last one
    """

    values: Mapping[int, Value]
    value_of: Mapping[int, int]
    scratch: Mapping[int, Life]
    times: tuple[int, ...]


def follow(graph: Graph, layers: Sequence[Layer | None], steps: Iterable[Step]) -> Timeline:
    """Births and deaths of every run-time value under the given steps."""
    values, value_of = _values(graph, layers)
    for tensor in graph.inputs:
        values[value_of[tensor.index]].birth[:] = BEFORE
        values[value_of[tensor.index]].death[:] = 0
    scratch: dict[int, tuple[int, int]] = {}
    time, times = 2, []
    for step in steps:
        times.append(time)
        layer = layers[step.layer]
        if layer is None:
            value = values[value_of[graph.nodes[step.layer].output.index]]
            np.maximum(value.death, time, out=value.death)
            time += 2
            continue
        call = layer.call(step.row_begin, step.row_end)
        end = time + 2 * call.units
        _follow_call(layer, call, time, end, values, value_of)
        if layer.scratch_bytes:
            scratch[step.layer] = (min(time, scratch.get(step.layer, (time, end))[0]), end)
        time = end + 2
    for tensor in graph.outputs:
        values[value_of[tensor.index]].death[:] = time
    lives = {
        index: Life.constant(size, *scratch[index])
        for index, layer in enumerate(layers)
        if layer is not None and index in scratch and (size := layer.scratch_bytes)
    }
    return Timeline(values, value_of, lives, (*times, time))


def _follow_call(
    layer: Layer, call: Call, time: int, end: int, values: Mapping[int, Value], value_of: Mapping[int, int]
) -> None:
    late = 0 if layer.access.reads_first or layer.access.by_channel else 1
    for cells in call.reads:
        needed = np.where(cells.unit == NEVER, NEVER, time + 2 * cells.unit + late)
        values[value_of[cells.tensor.index]].read(cells, needed)
    for cells in call.writes:
        values[value_of[cells.tensor.index]].write(cells, time + 2 * cells.unit + 1, end)


def _values(graph: Graph, layers: Sequence[Layer | None]) -> tuple[dict[int, Value], dict[int, int]]:
    """Run-time tensors, those that are views of one another together, with the grain that all their uses need."""
    value_of: dict[int, int] = {}
    values: dict[int, Value] = {}

    def add(tensor: Tensor, value: int) -> None:
        value_of[tensor.index] = value
        values.setdefault(value, Value([], tensor.size_bytes)).tensors.append(tensor)

    for tensor in graph.inputs:
        add(tensor, tensor.index)
    for node, layer in zip(graph.nodes, layers, strict=True):
        if layer is None:
            source = node.op.view_of(node)
            assert source is not None
            add(node.output, value_of[node.input(source).index])
        else:
            for tensor in node.outputs:
                add(tensor, tensor.index)
    for value in values.values():
        value.grain_bytes = value.size_bytes
    for layer in layers:
        if layer is not None:
            call = layer.call(0, 1)
            for cells in (*call.reads, *call.writes):
                value = values[value_of[cells.tensor.index]]
                value.grain_bytes = math.gcd(value.grain_bytes, cells.cell_bytes)
    for value in values.values():
        value.start()
    return values, value_of
