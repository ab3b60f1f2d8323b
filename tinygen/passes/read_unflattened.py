"""A dense layer of one item reads the tensor in front of the RESHAPE or SQUEEZE that flattens it.

The bytes are the same, but a flat tensor is one row, and that must be whole before its reader can begin. Of the rows in
front of it a dense layer can add the products as they come (see `tinygen.ops.sums`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinygen.ir import Fusion, Graph, Node, Reference, Tensor
from tinygen.ops.expand_dims import ExpandDims
from tinygen.ops.fully_connected import FullyConnected
from tinygen.ops.reshape import Reshape
from tinygen.ops.squeeze import Squeeze
from tinygen.passes.readers import private_tensors


def read_unflattened(graph: Graph, reference: Reference) -> Graph:
    """Take each such view into the dense layer behind it, where nothing else needs its output."""
    private = private_tensors(graph)
    views = {
        node.output.index: node
        for node in graph.nodes
        if isinstance(node.op, Reshape | Squeeze | ExpandDims) and node.output.index in private
    }
    fusions: list[Fusion] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        gone, data = _views_before(node, views)
        if gone and _gains(data, node.input(0)):
            op = replace(node.op, keep_num_dims=False)  # type: ignore[call-arg]
            node = replace(node, op=op, inputs=(data, *node.inputs[1:]))
            fusions += [Fusion(view.output, view.op.name, view.index, node.index) for view in gone]
        nodes.append(node)
    left_out = {fusion.tensor.index for fusion in fusions}
    kept = tuple(node for node in nodes if not any(t.index in left_out for t in node.outputs))
    return replace(graph, nodes=kept, fusions=(*graph.fusions, *fusions))


def _views_before(node: Node, views: Mapping[int, Node]) -> tuple[list[Node], Tensor]:
    """The views whose bytes a dense layer of one item reads, the last one first, and the tensor in front of them."""
    found: list[Node] = []
    data = node.input(0)
    if isinstance(node.op, FullyConnected) and node.output.shape == (1, node.input(1).shape[0]):
        while data.index in views:
            found.append(views[data.index])
            data = found[-1].input(0)
    return found, data


def _gains(data: Tensor, flat: Tensor) -> bool:
    """Whether a tensor has several rows, of the values that the flat one has."""
    if data.is_constant or data.rows < 2 or data.dtype is not flat.dtype or data.quant is None or flat.quant is None:
        return False
    return (data.quant.scales, data.quant.zero_points) == (flat.quant.scales, flat.quant.zero_points)
