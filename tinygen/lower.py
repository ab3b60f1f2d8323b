"""Graph + Schedule + Plan → Program: addresses bound, constants packed and shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import get_args, get_type_hints

import numpy as np

from tinygen.ir import CType, DType, Graph, Kernel, Node, Params, Reference, Tensor
from tinygen.kernels import Schedule, function_name
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan import Block, Plan, Progress, View, blocks_of
from tinygen.program import Constant, KernelInstance, Layer, Member, Operand, Port, Program, Pushed, Value

# Types without literals for each of their values (NaN) or without a name in C99's stdint.h.
_STORED_AS = {DType.FLOAT32: DType.INT32, DType.BOOL: DType.UINT8}


class _Constants:
    """Constants by content, so that equal arrays are stored once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._by_content: dict[tuple[str, bytes], Constant] = {}

    def add(self, symbol: str, c_type: str, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Constant:
        flat = np.ascontiguousarray(values).reshape(-1)
        key = (c_type, flat.tobytes())
        if key not in self._by_content:
            self._by_content[key] = Constant(f"{self._prefix}_{symbol}", c_type, flat)
        return self._by_content[key]

    def all(self) -> tuple[Constant, ...]:
        return tuple(self._by_content.values())


def lower(graph: Graph, schedule: Schedule, plan: Plan, name: str, reference: Reference) -> Program:
    """Bind a planned graph to addresses. `name` is the C prefix of all global symbols."""
    constants = _Constants(name)
    instances: dict[str, KernelInstance] = {}
    layers = []
    for index, node in enumerate(graph.nodes):
        kernel = schedule.kernels[index]
        if kernel is None:
            layers.append(_layer(index, node, None, (), (), plan))
            continue
        params = kernel.params(node, reference)
        instance = _instance(kernel, node, reference, params)
        instances.setdefault(instance.function, instance)
        layers.append(
            _layer(
                index,
                node,
                instances[instance.function],
                _values(params, index, constants),
                tuple(_operand(node.input(i), plan, index, constants) for i in kernel.operands(node)),
                plan,
            )
        )
    blocks = blocks_of(plan.steps)
    return Program(
        name=name,
        reference=reference,
        graph=graph,
        schedule=schedule,
        plan=plan,
        layers=tuple(layers),
        instances=tuple(instances.values()),
        constants=constants.all(),
        inputs=tuple(_input_port(graph, plan, tensor) for tensor in graph.inputs),
        outputs=tuple(_output_port(graph, plan, tensor) for tensor in graph.outputs),
        input_edges=sum(is_input_edge(graph, node) for node in graph.nodes),
        output_edges=sum(is_output_edge(graph, node) for node in graph.nodes),
        blocks=blocks,
        pushed=_pushed(graph, plan, blocks),
    )


def _pushed(graph: Graph, plan: Plan, blocks: Sequence[Block]) -> Pushed | None:
    if graph.pushed is None:
        return None
    assert plan.progress_offset is not None
    rows = graph.nodes[0].output.rows
    return Pushed(rows, graph.pushed.size_bytes // rows, Progress.of(blocks[0]), plan.progress_offset)


def _layer(
    index: int,
    node: Node,
    instance: KernelInstance | None,
    values: tuple[Value, ...],
    sources: tuple[Operand, ...],
    plan: Plan,
) -> Layer:
    inputs = " + ".join(t.describe() for t in node.inputs if t is not None and not t.is_constant)
    outputs = ", ".join(t.describe() for t in node.outputs)
    return Layer(
        index=index,
        op_name=node.op.name,
        title=f"{inputs} -> {outputs}",
        instance=instance,
        values=values,
        sources=sources,
        sinks=tuple(plan.views[t.index] for t in node.outputs),
        scratch_offset=plan.scratch_offsets.get(index),
        sums_rows=instance.kernel.counted_rows(node) if instance and instance.kernel.access.accumulates else None,
    )


def _instance(kernel: Kernel, node: Node, reference: Reference, params: Params) -> KernelInstance:
    switches = kernel.switches(node, reference)
    return KernelInstance(function_name(kernel.name, switches), kernel, switches, _members(type(params)))


def _members(params: type[Params]) -> tuple[Member, ...]:
    hints = get_type_hints(params, include_extras=True)
    members = []
    for field in fields(params):
        (c_type,) = [extra for extra in get_args(hints[field.name])[1:] if isinstance(extra, CType)]
        members.append(Member(c_type.name, field.name))
    return tuple(members)


def _values(params: Params, layer: int, constants: _Constants) -> tuple[Value, ...]:
    values: list[Value] = []
    for member in _members(type(params)):
        value = getattr(params, member.name)
        if isinstance(value, np.ndarray):
            element = member.c_type.removeprefix("const ").removesuffix("*").strip()
            if DType(value.dtype.name).c_type != element:
                raise TypeError(f"{type(params).__name__}.{member.name} is {value.dtype}, declared {member.c_type}")
            value = constants.add(f"layer_{layer}_{member.name}", element, value)
        values.append(value)
    return tuple(values)


def _operand(tensor: Tensor, plan: Plan, layer: int, constants: _Constants) -> Operand:
    if tensor.data is None:
        return Operand(plan.views[tensor.index])
    view = View(0, tensor.row_bytes, tensor.rows, tensor.row_bytes)
    # Kernels read constants through `const void *`: the bits may be declared as any type of the same size.
    stored = _STORED_AS.get(tensor.dtype, tensor.dtype)
    values = np.ascontiguousarray(tensor.data).reshape(-1).view(stored.numpy)
    return Operand(view, constants.add(f"layer_{layer}_operand_{tensor.index}", stored.c_type, values))


def _input_port(graph: Graph, plan: Plan, tensor: Tensor) -> Port:
    if tensor is graph.pushed:
        return Port(tensor, graph.nodes[0].output, None, None)
    edges = [node.output for node in graph.nodes if is_input_edge(graph, node) and node.input(0).index == tensor.index]
    return _port(plan, tensor, edges[0] if edges else tensor)


def _output_port(graph: Graph, plan: Plan, tensor: Tensor) -> Port:
    edges = [node.input(0) for node in graph.nodes if is_output_edge(graph, node) and node.output.index == tensor.index]
    return _port(plan, tensor, edges[0] if edges else tensor)


def _port(plan: Plan, tensor: Tensor, integer: Tensor) -> Port:
    return Port(tensor, integer, plan.views[tensor.index].offset_bytes, plan.views[integer.index].offset_bytes)
