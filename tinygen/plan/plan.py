"""The planner's one function."""

from __future__ import annotations

from tinygen.ir import Graph, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.buffers import build_buffers
from tinygen.plan.check import check
from tinygen.plan.pack import lower_bound, pack
from tinygen.plan.values import Plan, Step, View


def plan(graph: Graph, schedule: Schedule) -> Plan:
    """Place every tensor and all scratch in one arena, whole layers one after the other, and check the result."""
    buffers = build_buffers(graph, schedule)
    offsets = pack(buffers)
    tensors = {tensor.index: tensor for tensor in graph.tensors()}
    views = {
        index: _view(tensors[index], offset)
        for buffer, offset in zip(buffers, offsets, strict=True)
        for index in buffer.tensors
    }
    result = Plan(
        views=views,
        scratch_offsets={
            buffer.scratch_of: offset
            for buffer, offset in zip(buffers, offsets, strict=True)
            if buffer.scratch_of is not None
        },
        steps=tuple(Step(layer, 0, node.outputs[0].rows) for layer, node in enumerate(graph.nodes)),
        buffers=buffers,
        offsets=offsets,
        arena_bytes=max(
            (offset + buffer.size_bytes for buffer, offset in zip(buffers, offsets, strict=True)), default=0
        ),
        lower_bound_bytes=lower_bound(buffers),
    )
    check(graph, schedule, result)
    return result


def _view(tensor: Tensor, offset_bytes: int) -> View:
    return View(offset_bytes, tensor.row_bytes, tensor.rows, tensor.row_bytes)
