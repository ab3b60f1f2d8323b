"""What a group costs, reckoned in rows instead of bytes: the bytes that live while it runs, and added instructions.

Good enough to choose by; what a choice really takes is found by placing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinygen.ir import Unit
from tinygen.kernels.rows import Row
from tinygen.plan.guests import guests_of
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import Layer
from tinygen.plan.values import Step

CALL_INSTRUCTIONS = 150
"""Of one more call of a kernel: dispatch, views, its first addresses."""

TOGETHER, LEFT_OVER = 3, 0.25
"""Pixels that a kernel computes together, and the pixels' work that it takes longer where some are left over."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a group takes, without scratch.

    live    the most bytes that live at a moment, with the sums of layers that accumulate, and all that lives on
            beside the group
    room    the most that live between the first and the last call of a layer, which is when its scratch is needed
    calls   the rows of each call of a layer, and how many calls have so many
    """

    live: int
    room: Mapping[int, int]
    calls: Mapping[int, Mapping[int, int]]


def called_instructions(layer: Layer, row: Row, calls: Mapping[int, int]) -> int:
    """What a layer takes when it is called several times, by the estimate."""
    kernel, whole = row.kernel, row.cost.instructions
    count = sum(calls.values())
    if count == 1:
        return whole
    if kernel.call_cost is not None:
        own = float(sum(times * kernel.call_cost(layer.node, rows) for rows, times in calls.items()))
    elif kernel.access.unit is Unit.PIXEL:
        left_over = sum(times for rows, times in calls.items() if rows * layer.columns % TOGETHER)
        own = whole * (1 + LEFT_OVER * left_over / (layer.rows * layer.columns))
    elif kernel.access.unit is Unit.ROW:
        together = kernel.access.rows(layer.node)
        own = whole * sum(-(-rows // together) * together * times for rows, times in calls.items()) / layer.rows
    else:
        own = float(whole)
    return int(own) + CALL_INSTRUCTIONS * (count - 1)


def reckon(network: Network, group: Group) -> Reckoning:
    """Follow the steps of a group."""
    steps = steps_of(network, [group])
    spans: dict[int, tuple[int, int]] = {}
    calls: dict[int, dict[int, int]] = {}
    for number, step in enumerate(steps):
        spans[step.layer] = spans.get(step.layer, (number, 0))[0], number
        rows = step.row_end - step.row_begin
        own = calls.setdefault(step.layer, {})
        own[rows] = own.get(rows, 0) + 1
    live = _Profile(network, group, steps).live()
    for index, (first, last) in spans.items():
        for number in range(first, last + 1):
            live[number] += network.sums_bytes(index)
    room = {index: max(live[first : last + 1]) for index, (first, last) in spans.items()}
    return Reckoning(max(live), room, calls)


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
        before: dict[int, list[tuple[int, int, int]]] = {}
        for guest in guests_of(network.guests, self.steps):
            made, left = born.pop(guest.guest), dead.pop(guest.guest)
            for row, (birth, death) in enumerate(zip(made, left, strict=True)):
                place = row * guest.pace + guest.turn
                if place < 0:
                    before.setdefault(guest.host, []).append((place, birth, death))
                else:
                    if guest.is_term:
                        born[guest.host][place] = min(born[guest.host][place], birth)
                    dead[guest.host][place] = max(dead[guest.host][place], death)
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
                self._ring(born[tensor], lasts, row_bytes, before.get(tensor, ()))
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
            begin, end = layer.rows_made(step.row_begin, step.row_end)
            for tensor in layer.node.outputs:
                if tensor.index not in born:
                    born[tensor.index], dead[tensor.index] = [0] * tensor.rows, [-1] * tensor.rows
                born[tensor.index][begin:end] = dead[tensor.index][begin:end] = [number] * (end - begin)
        return born, dead

    def _ring(
        self, born: Sequence[int], dead: Sequence[int], row_bytes: int, before: Sequence[tuple[int, int, int]]
    ) -> None:
        """`before` are rows that guests have before the first: place, birth and death."""
        rows = len(born)
        size = 1
        while size < rows and not (
            all(place + size >= 0 and death < born[place + size] for place, _, death in before)
            and all(dead[r] < born[r + size] for r in range(rows - size))
        ):
            size += 1
        first = list(born[:size])
        for place, birth, _ in before:
            first[place + size] = min(first[place + size], birth)
        for slot in range(size):
            self.grown[first[slot]] += row_bytes
            self.freed[max(dead[slot::size])] += row_bytes
