"""Runs a graph in numpy, with each operator's own reference: what the interpreters compute, without them."""

from __future__ import annotations

from collections.abc import Sequence

from tinygen.ir import Array, Graph, Reference


def evaluate(graph: Graph, inputs: Sequence[Array], reference: Reference) -> dict[int, Array]:
    """The inputs and the output of every node by tensor index, in their tensors' shapes and dtypes."""
    values: dict[int, Array] = {t.index: array for t, array in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        arguments = [None if t is None else values[t.index] if t.data is None else t.data for t in node.inputs]
        for tensor, array in zip(node.outputs, node.op.reference(node, arguments, reference), strict=True):
            assert array.shape == tensor.shape and array.dtype == tensor.dtype.numpy, node.describe()
            values[tensor.index] = array
    return values
