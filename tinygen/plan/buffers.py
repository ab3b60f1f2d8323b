"""Lifetimes, and which tensors share one buffer."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygen.ir import Graph, Node, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.values import BEFORE, Buffer


@dataclass(slots=True)
class _Group:
    """Tensors that share bytes while the groups are being built."""

    size_bytes: int
    birth: int
    death: int
    tensors: list[int] = field(default_factory=list)


def last_uses(graph: Graph) -> dict[int, int]:
    """Tensor → the last step that reads it; graph outputs are read after the last step."""
    uses: dict[int, int] = {}
    for step, node in enumerate(graph.nodes):
        for tensor in (*node.inputs, *node.outputs):
            if tensor is not None and not tensor.is_constant:
                uses[tensor.index] = step
    for tensor in graph.inputs:
        uses.setdefault(tensor.index, BEFORE)
    for tensor in graph.outputs:
        uses[tensor.index] = len(graph.nodes)
    return uses


def build_buffers(graph: Graph, schedule: Schedule) -> tuple[Buffer, ...]:
    """The buffers of a graph: tensors, merged where one may lie in another's bytes, and scratch."""
    uses = last_uses(graph)
    group_of: dict[int, _Group] = {}
    groups: list[_Group] = []

    def start(tensor: Tensor, birth: int) -> None:
        group = _Group(tensor.size_bytes, birth, uses[tensor.index], [tensor.index])
        group_of[tensor.index] = group
        groups.append(group)

    for tensor in graph.inputs:
        start(tensor, BEFORE)
    for step, node in enumerate(graph.nodes):
        for position, output in enumerate(node.outputs):
            host = _host(node, step, schedule, group_of) if position == 0 else None
            if host is None:
                start(output, step)
            else:
                host.tensors.append(output.index)
                host.death = max(host.death, uses[output.index])
                group_of[output.index] = host
    scratch = [
        Buffer(size, step, step, (), step)
        for step, kernel in sorted(schedule.kernels.items())
        if kernel is not None and (size := kernel.scratch_bytes(graph.nodes[step]))
    ]
    return (*(Buffer(g.size_bytes, g.birth, g.death, tuple(g.tensors)) for g in groups), *scratch)


def _host(node: Node, step: int, schedule: Schedule, group_of: dict[int, _Group]) -> _Group | None:
    """The group in whose bytes the node's first output may lie, or None."""
    kernel = schedule.kernels[step]
    if kernel is None:
        source = node.op.view_of(node)
        assert source is not None
        return group_of[node.input(source).index]
    if not kernel.access.elementwise:
        return None
    output = node.outputs[0]
    for position in kernel.operands(node):
        tensor = node.input(position)
        if tensor.is_constant or tensor.elements != output.elements:
            continue
        # Elements are visited in ascending order, so a narrower output never catches up with what is still unread.
        # The host must die here: nothing else may still need any of its bytes.
        group = group_of[tensor.index]
        if group.death == step and output.dtype.size_bytes <= tensor.dtype.size_bytes:
            return group
    return None
