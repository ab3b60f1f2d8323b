"""The model's input becomes rows that the caller pushes: an INPUT_ROWS node at the head makes them, one a call.

A QUANTIZE of the input and operators that only give it another shape become part of that node. Not one of the PASSES:
who compiles asks for it, last of all.
"""

from __future__ import annotations

from dataclasses import replace

from tinygen.errors import UsageError
from tinygen.ir import Fusion, Graph, Node, Reference, Tensor
from tinygen.ops.input_rows import InputRows

OF_NO_FILE = -1
"""The index of a node that no operator of the model file stands for."""


def push_rows(graph: Graph, reference: Reference) -> Graph:
    """The graph with pushed rows. Raises UsageError when it has several inputs or its input has a single row."""
    if len(graph.inputs) != 1:
        raise UsageError(
            f"--input rows: {graph.name} has {len(graph.inputs)} inputs, and rows can be pushed into one alone. "
            "Leave --input rows out, or put the inputs together into one before the model is converted."
        )
    (tensor,) = graph.inputs
    chain = _chain(graph, tensor)
    ends = [tensor, *(node.output for node in chain)]
    while ends and ends[-1].rows < 2:
        ends.pop()
    if not ends:
        raise UsageError(
            f"--input rows: the input of {graph.name}, {tensor.describe()}, has one row: there is nothing to push bit "
            "by bit. Rows are batch × height of an image, or the frames of a sequence that the model takes as "
            "1 x frames x features x 1. Leave --input rows out."
        )
    taken, made = chain[: len(ends) - 1], ends[-1]
    given = tensor if taken else replace(tensor, index=_fresh_index(graph))
    head = Node(InputRows(), (given,), (made,), taken[-1].index if taken else OF_NO_FILE)
    lost = tuple(Fusion(node.output, node.op.name, node.index, taken[-1].index) for node in taken[:-1])
    return replace(
        graph,
        nodes=(head, *(node for node in graph.nodes if node not in taken)),
        inputs=(given,),
        fusions=(*graph.fusions, *lost),
        pushed=given,
    )


def _chain(graph: Graph, tensor: Tensor) -> list[Node]:
    """Operators in a row that do no more to the input than to quantise it, once, or to give it another shape."""
    chain: list[Node] = []
    outputs = {t.index for t in graph.outputs}
    while tensor.index not in outputs:
        readers = [node for node in graph.nodes if any(t is not None and t.index == tensor.index for t in node.inputs)]
        if len(readers) != 1:
            break
        (node,) = readers
        is_view = node.op.view_of(node) == 0
        quantises = node.op.name == "QUANTIZE" and all(other.op.name != "QUANTIZE" for other in chain)
        if not is_view and not quantises:
            break
        chain.append(node)
        tensor = node.output
    return chain


def _fresh_index(graph: Graph) -> int:
    known = [t.index for t in graph.tensors()]
    return 1 + max([*known, *(fusion.tensor.index for fusion in graph.fusions), *graph.reductions])
