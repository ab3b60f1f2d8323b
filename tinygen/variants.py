"""The same network in another size, for planning: smaller inputs, fewer channels, no float at its edges.

Such a graph has the right shapes and no right values: filters are cut, or filled by repetition. It tells what a model
that was trained in that size would need, and is never built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from tinygen.ir import Graph, Node, Op, Shape, Tensor
from tinygen.passes.edges import is_input_edge, is_output_edge

MIXERS = frozenset({"CONV_2D", "FULLY_CONNECTED"})
"""Operators whose output has as many channels as their filter says, whatever their input has."""

POOLS = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})


def resized(graph: Graph, shapes: Mapping[int, Shape], channels: Mapping[int, int]) -> Graph:
    """The graph with other shapes of inputs or of what RESHAPE makes, and other numbers of channels that mixers make.

    Both are by the tensor's index. Shapes are inferred anew from there on. Raises ValueError where they cannot be: the
    message says at which operator and why.
    """
    known = {t.index: replace(t, shape=shapes[t.index]) for t in graph.inputs if t.index in shapes}
    nodes = []
    for node in graph.nodes:
        try:
            made = _resized_node(node, known, shapes, channels)
            inferred = made.op.infer(made)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            raise ValueError(f"{node.describe()}: {error}") from error
        outputs = tuple(_with_shape(t, shape) for t, shape in zip(node.outputs, inferred, strict=True))
        made = replace(made, outputs=outputs)
        for rule in made.op.constraints:
            if found := rule(made):
                raise ValueError(f"{node.describe()}: {' '.join((rule.__doc__ or '').split())} Found: {found}")
        known |= {t.index: t for t in outputs}
        nodes.append(made)
    return replace(
        graph,
        nodes=tuple(nodes),
        inputs=tuple(known.get(t.index, t) for t in graph.inputs),
        outputs=tuple(known.get(t.index, t) for t in graph.outputs),
    )


def is_mixer(node: Node) -> bool:
    """Whether the node's filter alone says how many channels its output has."""
    widens = node.op.name == "DEPTHWISE_CONV_2D" and node.input(0).shape[-1] != node.output.shape[-1]
    return node.op.name in MIXERS or widens


def channel_group(graph: Graph, tensor: int) -> frozenset[int]:
    """All run-time tensors that have the channels of one: linked by operators that keep channels, such as ADD.

    The empty set where those channels are not free: an input or output of the graph has them, or nothing makes them.
    """
    group, size = {tensor}, 0
    while len(group) > size:
        size = len(group)
        for node in graph.nodes:
            if not is_mixer(node):
                own = {t.index for t in (*node.inputs, *node.outputs) if t is not None and not t.is_constant}
                width = node.outputs[0].shape[-1:]
                alike = all(t is None or t.is_constant or t.shape[-1:] == width for t in node.inputs)
                group |= own if own & group and alike else set()
    edges = {t.index for t in (*graph.inputs, *graph.outputs)}
    made = any(is_mixer(node) and node.outputs[0].index in group for node in graph.nodes)
    return frozenset() if group & edges or not made else frozenset(group)


def without_float_edges(graph: Graph) -> Graph | None:
    """The graph whose inputs and outputs are integer where QUANTIZE and DEQUANTIZE made them float; None if none."""
    first = [node for node in graph.nodes if is_input_edge(graph, node)]
    last = [node for node in graph.nodes if is_output_edge(graph, node) and node not in first]
    if not first and not last:
        return None
    inputs = {node.input(0).index: node.output for node in first}
    outputs = {node.output.index: node.input(0) for node in last}
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node not in first and node not in last),
        inputs=tuple(inputs.get(t.index, t) for t in graph.inputs),
        outputs=tuple(outputs.get(t.index, t) for t in graph.outputs),
    )


def _resized_node(
    node: Node, known: Mapping[int, Tensor], shapes: Mapping[int, Shape], channels: Mapping[int, int]
) -> Node:
    """The node with its new inputs, and with filters, attributes and constants that suit them."""
    inputs = [None if t is None else known.get(t.index, t) for t in node.inputs]
    old, new = node.input(0), inputs[0]
    assert new is not None
    op = node.op
    if op.name in MIXERS:
        filter_, units = node.input(1), channels.get(node.output.index, node.input(1).shape[0])
        inputs[1] = _cut(filter_, (units, *filter_.shape[1:-1], _depth(op, old, new, filter_)))
        inputs[2:] = [None if t is None else _cut(t, (units,)) for t in inputs[2:]]
    elif op.name == "DEPTHWISE_CONV_2D":
        filter_ = node.input(1)
        multiplier = channels.get(node.output.index, filter_.shape[-1]) // old.shape[-1] if is_mixer(node) else 1
        op = _with(op, depth_multiplier=multiplier)
        wide = new.shape[-1] * multiplier
        inputs[1] = _cut(filter_, (*filter_.shape[:-1], wide))
        inputs[2:] = [None if t is None else _cut(t, (wide,)) for t in inputs[2:]]
    elif op.name in POOLS:
        op = _global_pool(op, old.shape, new.shape)
    elif op.name == "RESHAPE":
        return _reshape(node, new, shapes.get(node.output.index))
    elif op.kernels[-1].access.elementwise:
        inputs = [_fitted(t, old.shape, new.shape) if t is not None and t.is_constant else t for t in inputs]
    return replace(node, op=op, inputs=tuple(inputs))


def _depth(op: Op, old: Tensor, new: Tensor, filter_: Tensor) -> int:
    """The last dimension of a filter: channels of the input it meets, or elements of a flattened one."""
    depth = filter_.shape[-1]
    if op.name == "FULLY_CONNECTED" and old.shape[-1] != depth:
        rows = old.elements // depth
        if new.elements % rows:
            raise ValueError(f"{new.describe()} cannot be split into {rows} rows")
        return new.elements // rows
    groups = old.shape[-1] // depth
    if new.shape[-1] % groups:
        raise ValueError(f"{new.shape[-1]} channels cannot be split into {groups} groups")
    return new.shape[-1] // groups


def _global_pool(op: Op, old: Shape, new: Shape) -> Op:
    """A pool whose window is the whole map stays one."""
    for axis, size in ((1, "height"), (2, "width")):
        if getattr(op, f"filter_{size}") == old[axis]:
            stride = f"stride_{size[0]}"
            op = _with(op, **{f"filter_{size}": new[axis], stride: min(getattr(op, stride), new[axis])})
    return op


def _reshape(node: Node, new: Tensor, wanted: Shape | None) -> Node:
    """One dimension of the target takes up what changed, the last one that can, where no shape is wanted."""
    old, target = node.input(0), list(wanted or node.output.shape)
    if new.elements != old.elements and wanted is None:
        others = [math.prod(target[:i] + target[i + 1 :]) for i in range(len(target))]
        able = [i for i, rest in enumerate(others) if rest and new.elements % rest == 0 and target[i] > 1]
        if not able:
            raise ValueError(f"{new.describe()} cannot take a shape like {target}")
        target[able[-1]] = new.elements // others[able[-1]]
    return replace(node, op=_with(node.op, new_shape=tuple(target)), inputs=(new,))


def _with(op: Op, **changes: object) -> Op:
    """The operator with other attributes."""
    return type(op)(**{field.name: getattr(op, field.name) for field in fields(op)} | changes)


def _fitted(constant: Tensor, old: Shape, new: Shape) -> Tensor:
    """A constant operand of an elementwise operator: dimensions that agreed with the other operand's still do."""
    rank = len(constant.shape)
    pairs = list(zip(constant.shape, old[-rank:], new[-rank:], strict=False)) if 0 < rank <= len(old) else []
    return _cut(constant, tuple(now if size == before else size for size, before, now in pairs)) if pairs else constant


def _cut(tensor: Tensor, shape: Shape) -> Tensor:
    """A constant in another shape: cut, or filled by repetition. A quantisation by channels is cut alike."""
    if tensor.data is None:
        raise ValueError(f"{tensor.name or 'an operand'} is no constant")
    data = tensor.data
    for axis, size in enumerate(shape):
        data = np.take(data, np.arange(size) % data.shape[axis], axis)
    data = np.ascontiguousarray(data)
    data.flags.writeable = False
    return _with_shape(replace(tensor, data=data), shape)


def _with_shape(tensor: Tensor, shape: Shape) -> Tensor:
    """A tensor of another shape, with as many scales as it then needs."""
    if min(shape, default=1) < 1:
        raise ValueError(f"nothing is left: {list(shape)}")
    quant = tensor.quant
    if quant is not None and not quant.is_per_tensor:
        scales = tuple(np.resize(quant.scales, shape[quant.axis]).tolist())
        zero_points = tuple(np.resize(quant.zero_points, shape[quant.axis]).tolist())
        quant = replace(quant, scales=scales, zero_points=zero_points)
    return replace(tensor, shape=shape, quant=quant)
