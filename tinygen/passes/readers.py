"""Who reads a tensor: what a fusion must know before it makes one disappear."""

from __future__ import annotations

from collections import Counter

from tinygen.ir import Graph


def private_tensors(graph: Graph) -> set[int]:
    """The tensors that one node makes and one node reads, once, and nobody outside the graph sees."""
    reads = Counter(t.index for node in graph.nodes for t in node.inputs if t is not None)
    made = {t.index for node in graph.nodes for t in node.outputs}
    seen = {t.index for t in (*graph.inputs, *graph.outputs, *graph.variables)}
    return {index for index in made - seen if reads[index] == 1}
