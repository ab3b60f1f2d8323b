"""What a group costs, reckoned in rows instead of bytes: the bytes that live while it runs, and added instructions.

Good enough to choose by; what a choice really takes is found by placing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinygen.ir import Unit
from tinygen.kernels.rows import Row
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.values import Step

CALL_INSTRUCTIONS = 150
"""Of one more call of a kernel: dispatch, views, its first addresses."""

GATHERED = 0.3
"""The part of a kernel's work that is done for each row it reads, where it copies rows to its scratch first."""

TOGETHER, LEFT_OVER = 3, 0.25
"""Pixels that a kernel computes together, and the pixels' work that it takes longer where some are left over."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a layer is called in a group.

    count      how often
    odd        for how many rows more than a multiple of two, in all
    rows_read  rows of the first operand that the calls read
    left_over  calls that leave pixels over
    """

    count: int
    odd: int
    rows_read: int
    left_over: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a group takes, without scratch.

    live    the most bytes that live at a moment, with all that lives on beside the group
    room    the most that live between the first and the last call of a layer, which is when its scratch is needed
    calls   how each layer is called
    """

    live: int
    room: Mapping[int, int]
    calls: Mapping[int, Calls]


def added_instructions(network: Network, index: int, row: Row, calls: Calls) -> int:
    """What a layer takes more for being called several times, by the estimate."""
    layer = network.layers[index]
    if layer is None or calls.count == 1:
        return 0
    whole, access = row.cost.instructions, row.kernel.access
    added = float(CALL_INSTRUCTIONS * (calls.count - 1))
    if access.unit is Unit.PIXEL:
        added += whole * LEFT_OVER * calls.left_over / (layer.rows * layer.columns)
    elif access.unit is Unit.CHANNEL and layer.operands:
        added += GATHERED * whole * max(0.0, calls.rows_read / layer.operands[0].rows - 1)
    elif access.unit is Unit.ROW and access.rows(layer.node) == 2:
        added += whole * (calls.odd - layer.rows % 2) / layer.rows
    return int(added)


def reckon(network: Network, group: Group) -> Reckoning:
    """Follow the steps of a group."""
    steps = steps_of(network, [group])
    own: dict[int, list[Step]] = {}
    for step in steps:
        own.setdefault(step.layer, []).append(step)
    live = _Profile(network, group, steps).live()
    room = {}
    spans: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(steps):
        spans[step.layer] = spans.get(step.layer, (number, 0))[0], number
    for index, (first, last) in spans.items():
        room[index] = max(live[first : last + 1])
    return Reckoning(max(live), room, {index: _calls(network, index, steps) for index, steps in own.items()})


def _calls(network: Network, index: int, steps: Sequence[Step]) -> Calls:
    layer = network.layers[index]
    assert layer is not None
    odd = read = left = 0
    for step in steps:
        if network.reads[index]:
            rows = network.reads[index][0]
            read += rows.end[step.row_end - 1] - rows.begin[step.row_begin]
        odd += (step.row_end - step.row_begin) % 2
        left += (step.row_end - step.row_begin) * layer.columns % TOGETHER > 0
    return Calls(len(steps), odd, read, left)


class _Profile:
    """Bytes that begin and cease to live at each step of a group."""

    def __init__(self, network: Network, group: Group, steps: Sequence[Step]) -> None:
        self.network, self.group, self.steps = network, group, steps
        self.grown = [0] * (len(steps) + 1)
        self.freed = [0] * (len(steps) + 1)
        self.beside = network.boundary(group.begin)

    def live(self) -> list[int]:
        """The most bytes that live in each step, without scratch."""
        born, dead = self._rows()
        network, group = self.network, self.group
        for tensor, lasts in dead.items():
            value = network.value_of[tensor]
            row_bytes = network.sizes[tensor] // len(lasts)
            lives_on = network.last_use[value] >= group.end
            if tensor not in born:
                if not lives_on:
                    for last in lasts:
                        if last < 0:  # no row of the group reads it
                            self.beside -= row_bytes
                        else:
                            self.freed[last] += row_bytes
            elif lives_on:
                for first in born[tensor]:
                    self.grown[first] += row_bytes
            else:
                self._ring(born[tensor], lasts, row_bytes)
        live, most = self.beside, []
        for number, step in enumerate(self.steps):
            grown, freed = self.grown[number], self.freed[number]
            layer = network.layers[step.layer]
            assert layer is not None
            within = grown
            if layer.access.reads_first or layer.access.unit is Unit.ELEMENT:
                within = min(grown, max(grown - freed, 0) + layer.access.pixels * layer.cells[-1][1])
            most.append(live + within)
            live += grown - freed
        return most

    def _rows(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Per tensor the step that makes each row, and the last one that reads it."""
        born: dict[int, list[int]] = {}
        dead: dict[int, list[int]] = {}
        for number, step in enumerate(self.steps):
            layer = self.network.layers[step.layer]
            assert layer is not None
            for rows in self.network.reads[step.layer]:
                first, last = rows.begin[step.row_begin], rows.end[step.row_end - 1]
                if first < last:
                    dead.setdefault(rows.tensor, [-1] * rows.total)[first:last] = [number] * (last - first)
            for tensor in layer.node.outputs:
                made = born.setdefault(tensor.index, [0] * tensor.rows)
                made[step.row_begin : step.row_end] = [number] * (step.row_end - step.row_begin)
                lasts = dead.setdefault(tensor.index, [-1] * tensor.rows)
                lasts[step.row_begin : step.row_end] = [number] * (step.row_end - step.row_begin)
        return born, dead

    def _ring(self, born: Sequence[int], dead: Sequence[int], row_bytes: int) -> None:
        rows = len(born)
        size = 1
        while size < rows and any(dead[r] >= born[r + size] for r in range(rows - size)):
            size += 1
        for slot in range(size):
            self.grown[born[slot]] += row_bytes
            self.freed[max(dead[slot::size])] += row_bytes
