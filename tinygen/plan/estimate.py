"""What a group costs, reckoned in rows instead of bytes: its peak and the instructions that streaming adds.

Good enough to choose by; what a choice really takes is found by placing it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygen.ir import Reference, Unit
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import Layer
from tinygen.plan.values import Step

CALL_INSTRUCTIONS = 150
"""Of one more call of a kernel: dispatch, views, its first addresses."""

GATHERED = 0.3
"""The part of a kernel's work that is done for each row it reads, where it copies rows to its scratch first."""


def layer_instructions(layer: Layer) -> int:
    """Instructions of a layer that runs whole."""
    if layer.kernel.cost is not None:
        return layer.kernel.cost(layer.node, Reference.LITERT).instructions
    node = layer.node
    return int(1.5 * node.op.macs(node)) + 12 * node.outputs[0].elements


def added_instructions(network: Network, steps: Sequence[Step]) -> int:
    """What the steps of a group take more than its layers whole, by the estimate."""
    calls: dict[int, list[Step]] = {}
    for step in steps:
        calls.setdefault(step.layer, []).append(step)
    total = 0.0
    for index, own in calls.items():
        layer = network.layers[index]
        if layer is None or len(own) == 1:
            continue
        whole = layer_instructions(layer)
        total += CALL_INSTRUCTIONS * (len(own) - 1)
        if layer.access.unit is Unit.PIXEL:
            units = sum(-(-(step.row_end - step.row_begin) * layer.columns // layer.access.pixels) for step in own)
            total += whole * (units / -(-layer.rows * layer.columns // layer.access.pixels) - 1)
        elif layer.access.unit in (Unit.ROW, Unit.CHANNEL) and layer.operands:
            spans = [layer.rows_read(layer.operands[0].index, step.row_begin, step.row_end) for step in own]
            read = sum(last - first for first, last in spans)
            total += GATHERED * whole * max(0.0, read / layer.operands[0].rows - 1)
    return int(total)


def group_peak(network: Network, group: Group, steps: Sequence[Step] | None = None) -> int:
    """About the most bytes that live while a group runs, with all that lives on beside it."""
    return _Reckoning(network, group, steps_of(network, [group]) if steps is None else steps).peak()


class _Reckoning:
    """Bytes that begin and cease to live at each step of a group."""

    def __init__(self, network: Network, group: Group, steps: Sequence[Step]) -> None:
        self.network, self.group, self.steps = network, group, steps
        self.grown = [0] * (len(steps) + 1)
        self.freed = [0] * (len(steps) + 1)
        self.beside = network.boundary(group.begin)

    def peak(self) -> int:
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
        scratch = self._scratch()
        live, most = self.beside, 0
        for number, step in enumerate(self.steps):
            grown, freed = self.grown[number], self.freed[number]
            layer = network.layers[step.layer]
            assert layer is not None
            if layer.access.reads_first or layer.access.unit is Unit.ELEMENT:
                within = max(grown - freed, 0) + layer.access.pixels * layer.cells[-1][1]
            else:
                within = grown
            most = max(most, live + min(within, max(grown, 1)) + scratch[number])
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

    def _scratch(self) -> list[int]:
        """The most that layers between their first and last call need, at each step."""
        spans: dict[int, tuple[int, int]] = {}
        for at, step in enumerate(self.steps):
            spans[step.layer] = spans.get(step.layer, (at, 0))[0], at
        needed = [0] * len(self.steps)
        for index, (first, last) in spans.items():
            layer = self.network.layers[index]
            if layer is not None and layer.scratch_bytes:
                for number in range(first, last + 1):
                    needed[number] = max(needed[number], layer.scratch_bytes)
        return needed
