"""The check, run on every plan, that no byte is written while another still needs it.

It replays the steps on a model of the arena that remembers whose value each byte holds. It knows nothing of buffers or
lifetimes, so a mistake there shows here.
"""

from __future__ import annotations

from bisect import bisect_right

from tinygen.ir import Graph, Kernel, Node, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.values import Plan, View

NOBODY, SCRATCH = -1, -2


class PlanError(AssertionError):
    """The plan would corrupt a value: a defect of the planner, never of the model."""


class _Arena:
    """Whose value each byte holds, as runs of bytes with one owner: run i is begins[i] to begins[i + 1] - 1."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._begins, self._owners = [0], [NOBODY]

    def write(self, begin: int, end: int, owner: int) -> None:
        """Bytes begin to end - 1 now hold `owner`'s value."""
        if begin < 0 or end > self.size_bytes:
            raise PlanError(f"value {owner} lies outside the arena")
        first, last = self._cut(begin), self._cut(end)
        self._begins[first:last], self._owners[first:last] = [begin], [owner]

    def holds(self, begin: int, end: int, owner: int) -> bool:
        """Whether bytes begin to end - 1 all hold `owner`'s value."""
        first, last = bisect_right(self._begins, begin) - 1, bisect_right(self._begins, end - 1)
        return begin >= 0 and end <= self.size_bytes and set(self._owners[first:last]) == {owner}

    def _cut(self, at: int) -> int:
        """The number of the run that begins at `at`, split off if there was none."""
        run = bisect_right(self._begins, at) - 1
        if self._begins[run] == at:
            return run
        self._begins.insert(run + 1, at)
        self._owners.insert(run + 1, self._owners[run])
        return run + 1


def check(graph: Graph, schedule: Schedule, plan: Plan) -> None:
    """Raise PlanError when a step reads bytes that no longer hold the value it reads."""
    arena = _Arena(plan.arena_bytes)
    value_of = {tensor.index: tensor.index for tensor in graph.tensors()}
    for tensor in graph.inputs:
        _write(arena, plan.views[tensor.index], tensor.index)
    for step in plan.steps:
        node = graph.nodes[step.layer]
        kernel = schedule.kernels[step.layer]
        if (step.row_begin, step.row_end) != (0, node.outputs[0].rows):
            raise PlanError(f"{node.describe()} runs on a part of its rows, which this check does not know")
        if kernel is None:
            source = node.op.view_of(node)
            assert source is not None
            value_of[node.output.index] = value_of[node.input(source).index]
            _expect(arena, plan.views[node.output.index], value_of[node.output.index], node)
            continue
        sources = [t for i in kernel.operands(node) if (t := node.inputs[i]) is not None and not t.is_constant]
        if size := kernel.scratch_bytes(node):
            offset = plan.scratch_offsets[step.layer]
            arena.write(offset, offset + size, SCRATCH)
            for output in node.outputs:
                begin, end = _span(plan.views[output.index])
                if begin < offset + size and offset < end:
                    raise PlanError(f"{node.describe()} writes tensor {output.index} over its own scratch")
        for tensor in sources:
            _expect(arena, plan.views[tensor.index], value_of[tensor.index], node)
            for output in node.outputs:
                _expect_apart(plan, kernel, tensor, output, node)
        for output in node.outputs:
            _write(arena, plan.views[output.index], output.index)
    for tensor in graph.outputs:
        if not arena.holds(*_span(plan.views[tensor.index]), value_of[tensor.index]):
            raise PlanError(f"graph output {tensor.index} does not survive to the end")


def _expect_apart(plan: Plan, kernel: Kernel, tensor: Tensor, output: Tensor, node: Node) -> None:
    """An output may touch an operand's bytes only from the same start and when the kernel goes element by element."""
    source, sink = plan.views[tensor.index], plan.views[output.index]
    if sink.offset_bytes + sink.size_bytes <= source.offset_bytes:
        return
    if source.offset_bytes + source.size_bytes <= sink.offset_bytes:
        return
    in_place = (
        kernel.access.elementwise
        and sink.offset_bytes == source.offset_bytes
        and output.elements == tensor.elements
        and output.dtype.size_bytes <= tensor.dtype.size_bytes
    )
    if not in_place:
        raise PlanError(f"{node.describe()} writes tensor {output.index} over tensor {tensor.index}")


def _span(view: View) -> tuple[int, int]:
    """The first byte of a view and the one behind its last."""
    return view.offset_bytes, view.offset_bytes + view.size_bytes


def _write(arena: _Arena, view: View, value: int) -> None:
    arena.write(*_span(view), value)


def _expect(arena: _Arena, view: View, value: int, node: Node) -> None:
    if not arena.holds(*_span(view), value):
        raise PlanError(f"{node.describe()} reads value {value}, whose bytes hold another")
