"""QUANTIZE of a float input and DEQUANTIZE to a float output move to the graph's two ends.

Then everything between them is integer, and the generated C can offer it alone (`NAME_run_quantized`).
"""

from __future__ import annotations

from dataclasses import replace

from tinygen.ir import DType, Graph, Node, Reference


def is_input_edge(graph: Graph, node: Node) -> bool:
    """Whether the node quantises a float graph input that nothing else reads."""
    return (
        node.op.name == "QUANTIZE"
        and node.input(0).dtype is DType.FLOAT32
        and node.input(0).index in {t.index for t in graph.inputs}
        and not any(t.index == node.input(0).index for t in graph.outputs)
        and sum(t is not None and t.index == node.input(0).index for n in graph.nodes for t in n.inputs) == 1
    )


def is_output_edge(graph: Graph, node: Node) -> bool:
    """Whether the node makes a float graph output, from a tensor computed at run time, that nothing else reads."""
    output = node.outputs[0]
    return (
        node.op.name == "DEQUANTIZE"
        and not node.input(0).is_constant
        and output.index in {t.index for t in graph.outputs}
        and not any(t is not None and t.index == output.index for other in graph.nodes for t in other.inputs)
    )


def float_edges_outermost(graph: Graph, reference: Reference) -> Graph:
    """Order the nodes: input edges, everything else as it was, output edges."""
    first = [node for node in graph.nodes if is_input_edge(graph, node)]
    last = [node for node in graph.nodes if is_output_edge(graph, node) and node not in first]
    middle = [node for node in graph.nodes if node not in first and node not in last]
    return replace(graph, nodes=(*first, *middle, *last))
