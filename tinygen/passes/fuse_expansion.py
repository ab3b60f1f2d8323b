"""A pointwise convolution and the depthwise one behind it become one operator, which computes some rows anew.

That is no gain by itself: it is a way to a smaller arena that `tinygen.plan.recompute` tries, for tensors it names.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tinygen.ir import Fusion, Graph, Node, Tensor
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.expand_depthwise import ExpandDepthwise
from tinygen.ops.window import filter_windows
from tinygen.passes.readers import private_tensors


def expansions(graph: Graph) -> tuple[int, ...]:
    """The tensors that need not exist: those that a pointwise convolution makes for a depthwise one alone."""
    private = private_tensors(graph)
    makers = {node.output.index for node in graph.nodes if isinstance(node.op, Conv2D) and _is_pointwise(node)}
    return tuple(
        node.input(0).index
        for node in graph.nodes
        if isinstance(node.op, DepthwiseConv2D)
        and node.input(0).index in makers & private
        and node.output.shape[3] == node.input(0).shape[3]
    )


def fuse_expansions(graph: Graph, tensors: Collection[int]) -> Graph:
    """Take the makers of these tensors, some of `expansions`, into their readers."""
    makers = {node.output.index: node for node in graph.nodes if len(node.outputs) == 1}
    nodes: list[Node] = []
    fusions: list[Fusion] = []
    for node in graph.nodes:
        if len(node.outputs) == 1 and node.output.index in tensors:
            continue
        if isinstance(node.op, DepthwiseConv2D) and node.input(0).index in tensors:
            expand = makers[node.input(0).index]
            fusions.append(Fusion(_in_file(graph, expand), expand.op.name, expand.index, node.index))
            inputs = (*expand.inputs, *node.inputs[1:])
            node = Node(ExpandDepthwise(expand, node), inputs, node.outputs, node.index)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), fusions=(*graph.fusions, *fusions))


def _in_file(graph: Graph, expand: Node) -> Tensor:
    """The tensor between, with the channels that a pass left out."""
    reduction = graph.reductions.get(expand.output.index)
    return expand.output if reduction is None else reduction.full


def _is_pointwise(node: Node) -> bool:
    """Whether each pixel is made from the same pixel of the input, and of all its channels."""
    same_channels = node.input(0).shape[3] == node.input(1).shape[3]
    windows = filter_windows(node)
    return (
        not node.input(0).is_constant
        and same_channels
        and node.input(0).shape[:3] == node.output.shape[:3]
        and all((w.taps, w.stride, w.before) == (1, 1, 0) for w in windows)
    )
