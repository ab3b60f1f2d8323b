"""DEPTHWISE_CONV_2D of one input channel becomes the CONV_2D that it is, where that has the faster kernels.

All of its outputs read the same channel, as those of a convolution do. Only the filter's layout differs: taps × outputs
there, outputs × taps here. With 3 × 3 taps, too few for a convolution's kernels, it stays what it is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tinygen.ir import Graph, Node, Reference, Tensor
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.depthwise_dsp import three_by_three


def convolution_is_faster(features: frozenset[str]) -> bool:
    """Whether an instruction set has kernels of its own for CONV_2D: the portable ones are slower than depthwise."""
    return any(kernel.features and kernel.features <= features for kernel in Conv2D.kernels)


def convolve_single_channels(graph: Graph, reference: Reference) -> Graph:
    """Rewrite such nodes; one whose filter something else uses as well stays as it is."""
    uses = Counter(t.index for node in graph.nodes for t in node.inputs if t is not None)
    uses.update(t.index for t in graph.outputs)
    return replace(graph, nodes=tuple(_rewritten(node, uses) for node in graph.nodes))


def _rewritten(node: Node, uses: Counter[int]) -> Node:
    op = node.op
    if type(op) is not DepthwiseConv2D or node.input(0).shape[3] != 1 or uses[node.input(1).index] > 1:
        return node
    if three_by_three(node) is None:
        return node
    convolution = Conv2D(
        padding=op.padding,
        stride_w=op.stride_w,
        stride_h=op.stride_h,
        fused_activation_function=op.fused_activation_function,
        dilation_w_factor=op.dilation_w_factor,
        dilation_h_factor=op.dilation_h_factor,
    )
    data, filter_, *bias = node.inputs
    assert filter_ is not None
    return replace(node, op=convolution, inputs=(data, _outputs_first(filter_), *bias))


def _outputs_first(filter_: Tensor) -> Tensor:
    """A depthwise filter (1, height, width, outputs) as a convolution's (outputs, height, width, 1)."""
    assert filter_.data is not None and filter_.quant is not None
    weights = np.ascontiguousarray(filter_.data.transpose(3, 1, 2, 0))
    weights.flags.writeable = False
    return replace(filter_, shape=weights.shape, data=weights, quant=replace(filter_.quant, axis=0))
