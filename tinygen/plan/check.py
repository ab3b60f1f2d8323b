"""The check, run on every plan, that no byte is written while another still needs it.

It replays the steps on a model of the arena that remembers, byte by byte, whose value each one holds. It knows nothing
of buffers or lifetimes, so a mistake there shows here.
"""

from __future__ import annotations

import numpy as np

from tinygen.ir import Graph, Kernel, Node, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.values import Plan, View

NOBODY, SCRATCH = -1, -2
Owners = np.ndarray[tuple[int], np.dtype[np.int64]]


class PlanError(AssertionError):
    """The plan would corrupt a value: a defect of the planner, never of the model."""


def check(graph: Graph, schedule: Schedule, plan: Plan) -> None:
    """Raise PlanError when a step reads bytes that no longer hold the value it reads."""
    arena: Owners = np.full(plan.arena_bytes, NOBODY, np.int64)
    value_of = {tensor.index: tensor.index for tensor in graph.tensors()}
    for tensor in graph.inputs:
        _write(arena, plan.views[tensor.index], tensor.index)
    for step in plan.steps:
        node = graph.nodes[step.layer]
        kernel = schedule.kernels[step.layer]
        if kernel is None:
            source = node.op.view_of(node)
            assert source is not None
            value_of[node.output.index] = value_of[node.input(source).index]
            _expect(arena, plan.views[node.output.index], value_of[node.output.index], node)
            continue
        sources = [t for i in kernel.operands(node) if (t := node.inputs[i]) is not None and not t.is_constant]
        if size := kernel.scratch_bytes(node):
            offset = plan.scratch_offsets[step.layer]
            arena[offset : offset + size] = SCRATCH
        for tensor in sources:
            _expect(arena, plan.views[tensor.index], value_of[tensor.index], node)
            for output in node.outputs:
                _expect_apart(plan, kernel, tensor, output, node)
        for output in node.outputs:
            _write(arena, plan.views[output.index], output.index)
    for tensor in graph.outputs:
        if not np.all(arena[_span(plan.views[tensor.index])] == value_of[tensor.index]):
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


def _span(view: View) -> slice:
    return slice(view.offset_bytes, view.offset_bytes + view.size_bytes)


def _write(arena: Owners, view: View, value: int) -> None:
    if view.offset_bytes < 0 or view.offset_bytes + view.size_bytes > len(arena):
        raise PlanError(f"tensor {value} lies outside the arena")
    arena[_span(view)] = value


def _expect(arena: Owners, view: View, value: int, node: Node) -> None:
    if not np.all(arena[_span(view)] == value):
        raise PlanError(f"{node.describe()} reads value {value}, whose bytes hold another")
