"""The check, run on every plan, that no byte is written while another still needs it.

It replays the steps on a model of the arena that remembers for each byte which byte of which value it holds, and within
a step the unit that reads it last. It knows nothing of lives, distances or rings, so a mistake there shows here.
"""

from __future__ import annotations

import numpy as np

from tinygen.ir import Graph, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.progress import progress_of
from tinygen.plan.units import NEVER, Cells, Layer, layers_of
from tinygen.plan.values import Bools, Ints, Plan, Step, View

NOBODY, SCRATCH, PROGRESS, SUMS = -1, -2, -3, -4
"""What a byte of the arena may hold besides a value; sums of layer i are called SUMS − i."""


class PlanError(AssertionError):
    """The plan would corrupt a value: a defect of the planner, never of the model."""


class _Arena:
    """What each byte holds: `first byte of the value + byte within the value`, values counted one after the other."""

    def __init__(self, graph: Graph, layers: tuple[Layer | None, ...], plan: Plan) -> None:
        self.holds = np.full(plan.arena_bytes, NOBODY, np.int64)
        self._plan = plan
        self._names: dict[int, int] = {}
        end = 0
        for tensor in graph.tensors():
            self._names[tensor.index] = end
            end += tensor.size_bytes
        for node, layer in zip(graph.nodes, layers, strict=True):
            if layer is None:
                source = node.op.view_of(node)
                assert source is not None
                self._names[node.output.index] = self._names[node.input(source).index]

    def addresses(self, tensor: Tensor, begin: int, end: int) -> Ints:
        """Where the bytes of rows begin..end-1 lie, a row each."""
        view: View = self._plan.views[tensor.index]
        slots = (np.arange(begin, end) * view.pace + view.turn) % view.ring_rows
        rows = slots * view.row_stride_bytes + view.offset_bytes
        found = rows[:, None] + np.arange(tensor.row_bytes)[None, :]
        if found.size and (found.min() < 0 or found.max() >= len(self.holds)):
            raise PlanError(f"tensor {tensor.index} lies outside the arena")
        return np.asarray(found)

    def names(self, tensor: Tensor, begin: int, end: int) -> Ints:
        """What those bytes are called."""
        rows = np.arange(begin, end) * tensor.row_bytes + self._names[tensor.index]
        return np.asarray(rows[:, None] + np.arange(tensor.row_bytes)[None, :])

    def write(self, tensor: Tensor, begin: int, end: int) -> None:
        """Rows begin..end-1 are written."""
        self.holds[self.addresses(tensor, begin, end)] = self.names(tensor, begin, end)

    def forget(self, working: int) -> None:
        """What a kernel leaves in its scratch is of no use to anybody."""
        self.holds[self.holds == working] = NOBODY

    def expect(self, tensor: Tensor, begin: int, end: int, sentence: str) -> None:
        """Raise PlanError unless rows begin..end-1 are there."""
        if (self.holds[self.addresses(tensor, begin, end)] != self.names(tensor, begin, end)).any():
            raise PlanError(sentence)


def check(graph: Graph, schedule: Schedule, plan: Plan) -> None:
    """Raise PlanError when a step reads bytes that do not hold the value it reads, or a row is not made once."""
    layers = layers_of(graph, schedule)
    arena = _Arena(graph, layers, plan)
    rows_of = [n.outputs[0].rows if layer is None else layer.rows for n, layer in zip(graph.nodes, layers, strict=True)]
    made = [np.zeros(rows, np.int64) for rows in rows_of]
    for tensor in graph.held_inputs:
        arena.write(tensor, 0, tensor.rows)
    begin, end = progress_bytes(graph, plan)
    arena.holds[begin:end] = PROGRESS
    for step in plan.steps:
        node, layer = graph.nodes[step.layer], layers[step.layer]
        if not 0 <= step.row_begin < step.row_end <= len(made[step.layer]):
            raise PlanError(f"{node.describe()} makes rows {step.row_begin} to {step.row_end}, which do not exist")
        if layer is not None and layer.access.accumulates and made[step.layer].sum() != step.row_begin:
            raise PlanError(f"{node.describe()} does not take its rows in order")
        made[step.layer][step.row_begin : step.row_end] += 1
        if layer is not None:
            _replay(arena, layer, step, plan.scratch_offsets.get(step.layer))
        span = (step.row_begin, step.row_end) if layer is None else layer.rows_made(step.row_begin, step.row_end)
        for tensor in node.outputs:
            arena.expect(tensor, *span, f"{node.describe()} does not leave tensor {tensor.index} whole")
    for node, rows in zip(graph.nodes, made, strict=True):
        if (rows != 1).any():
            raise PlanError(f"{node.describe()} does not make each of its rows once")
    for tensor in graph.outputs:
        arena.expect(tensor, 0, tensor.rows, f"graph output {tensor.index} does not survive to the end")
    if (arena.holds[begin:end] != PROGRESS).any():
        raise PlanError("what an inference keeps between two rows does not survive to the end")


def progress_bytes(graph: Graph, plan: Plan) -> tuple[int, int]:
    """Where what is kept between two rows begins and ends; raises PlanError where that is not in the arena."""
    if graph.pushed is None:
        return 0, 0
    begin, size = plan.progress_offset, progress_of(plan.steps).size_bytes
    if begin is None or begin < 0 or begin + size > plan.arena_bytes:
        raise PlanError("what an inference keeps between two rows lies outside the arena")
    return begin, begin + size


def _replay(arena: _Arena, layer: Layer, step: Step, scratch_offset: int | None) -> None:
    node = layer.node
    call = layer.call(step.row_begin, step.row_end)
    working = SUMS - step.layer if layer.access.accumulates else SCRATCH
    if layer.scratch_bytes:
        offset = -1 if scratch_offset is None else scratch_offset
        if offset < 0 or offset + layer.scratch_bytes > len(arena.holds):
            raise PlanError(f"the scratch of {node.describe()} lies outside the arena")
        scratch = arena.holds[offset : offset + layer.scratch_bytes]
        if layer.access.accumulates and step.row_begin and (scratch != working).any():
            raise PlanError(f"the sums of {node.describe()} do not survive from one call to the next")
        scratch[:] = working
    for number, cells in enumerate(call.whole.reads):
        read = _by_byte(cells) != NEVER
        rows = cells.first_row, cells.first_row + len(cells.unit)
        at, names = arena.addresses(cells.tensor, *rows), arena.names(cells.tensor, *rows)
        if (arena.holds[at] != names)[read].any():
            raise PlanError(f"{node.describe()} reads tensor {cells.tensor.index}, whose bytes hold something else")
        for other, sink in enumerate(call.whole.writes):
            own = (call.channel.reads[number], call.channel.writes[other]) if layer.keeps_channels else None
            if _takes_too_early(arena, call.whole.late, cells, sink, own):
                raise PlanError(f"{node.describe()} writes tensor {sink.tensor.index} over tensor {cells.tensor.index}")
    for cells in call.whole.writes:
        rows = cells.first_row, cells.first_row + len(cells.unit)
        if layer.scratch_bytes and (arena.holds[arena.addresses(cells.tensor, *rows)] == working).any():
            raise PlanError(f"{node.describe()} writes tensor {cells.tensor.index} over its own scratch")
        arena.write(cells.tensor, *rows)
    if layer.scratch_bytes and not (layer.access.accumulates and step.row_end < layer.rows):
        arena.forget(working)


def _takes_too_early(arena: _Arena, late: int, source: Cells, sink: Cells, own: tuple[Cells, Cells] | None) -> bool:
    """Whether a byte of the sink is written where one of the source lies that this unit or a later one still reads.

    `own` is what counts for bytes of one and the same channel, where it differs.
    """
    at = arena.addresses(source.tensor, source.first_row, source.first_row + len(source.unit))
    to = arena.addresses(sink.tensor, sink.first_row, sink.first_row + len(sink.unit))
    if not at.size or at.max() < to.min() or to.max() < at.min():
        return False
    base = int(min(at.min(), to.min()))
    at, to = at - base, to - base
    size = int(max(at.max(), to.max())) + 1

    def conflicts(read: Cells, written: Cells, may_still_read: int) -> Bools:
        needed = np.full(size, NEVER, np.int64)
        np.maximum.at(needed, at.reshape(-1), _by_byte(read).reshape(-1))
        return np.asarray((needed[to] != NEVER) & (needed[to] + may_still_read > _by_byte(written)))

    found = conflicts(source, sink, late)
    if own is not None:
        channel = np.full(size, NEVER, np.int64)
        channel[at] = _channels(source.tensor)[None, :]
        found &= (channel[to] != _channels(sink.tensor)[None, :]) | conflicts(*own, 0)
    return bool(found.any())


def _by_byte(cells: Cells) -> Ints:
    """The unit of each byte."""
    return np.repeat(cells.unit, cells.cell_bytes, axis=1)


def _channels(tensor: Tensor) -> Ints:
    """The channel that each byte of a row belongs to."""
    _, _, width, channels = tensor.nhwc
    return np.tile(np.repeat(np.arange(channels), tensor.dtype.size_bytes), width)
