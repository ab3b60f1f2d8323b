"""Nodes whose inputs are all constants become constants."""

from __future__ import annotations

from dataclasses import replace

from tinygen.ir import Graph, Node, Reference, Tensor

LARGEST_BYTES = 1 << 20
"""Of a node's inputs and outputs: a larger constant would fill the flash, so such a node is left to run time."""

LARGEST_WORK = 10**8
"""Of all nodes together, in pairs of elements that meet: a damaged file must not keep the reference busy."""


def fold_constants(graph: Graph, reference: Reference) -> Graph:
    """Compute such nodes with the reference arithmetic; a node that makes a graph output stays."""
    known: dict[int, Tensor] = {}
    kept: list[Node] = []
    work = 0
    results = {tensor.index for tensor in graph.outputs}
    for node in graph.nodes:
        inputs = tuple(known.get(t.index, t) if t is not None else None for t in node.inputs)
        node = replace(node, inputs=inputs)
        present = [t for t in inputs if t is not None]
        makes_result = any(t.index in results for t in node.outputs)
        is_large = (
            sum(t.size_bytes for t in (*present, *node.outputs)) > LARGEST_BYTES or work + _work(node) > LARGEST_WORK
        )
        if makes_result or is_large or not all(t.is_constant for t in present):
            kept.append(node)
            continue
        work += _work(node)
        values = node.op.reference(node, [None if t is None else t.data for t in inputs], reference)
        for tensor, value in zip(node.outputs, values, strict=True):
            data = value.reshape(tensor.shape)
            data.flags.writeable = False
            known[tensor.index] = replace(tensor, data=data)
    return replace(graph, nodes=tuple(kept))


def _work(node: Node) -> int:
    """An upper bound of what the reference computes: every output may need every input, unless it is elementwise."""
    inputs, outputs = (sum(t.elements for t in tensors if t is not None) for tensors in (node.inputs, node.outputs))
    return outputs if node.op.kernels[-1].access.elementwise else outputs * inputs
