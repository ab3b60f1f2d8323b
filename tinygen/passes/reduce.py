"""Rewrites nodes for tensors with fewer channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinygen.ir import Array, DType, Graph, Node, Quant, Reduction, Tensor
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.filters import bias_values
from tinygen.ops.fully_connected import FullyConnected
from tinygen.ops.reshape import Reshape
from tinygen.passes.intervals import filter_reach


def reduced_graph(graph: Graph, reductions: Mapping[int, Reduction]) -> Graph:
    """The graph without the channels that the reductions leave out. They must be consistent: see `dependence`."""
    rewriter = _Rewriter(graph, reductions)
    return replace(graph, nodes=tuple(rewriter.node(node) for node in graph.nodes), reductions=reductions)


class _Rewriter:
    """Numbers new constants behind all tensors of the graph, for an old one may be read by several nodes."""

    def __init__(self, graph: Graph, reductions: Mapping[int, Reduction]) -> None:
        self._reductions = reductions
        self._next_index = max(t.index for t in graph.tensors()) + 1

    def node(self, node: Node) -> Node:
        """The node, as it is where no tensor of it changes."""
        changed = [t for t in (*node.inputs, *node.outputs) if t is not None and t.index in self._reductions]
        if not changed:
            return node
        outputs = tuple(self._tensor(t) for t in node.outputs)
        if isinstance(node.op, Conv2D | DepthwiseConv2D | FullyConnected):
            return self._filter(node, outputs)
        if isinstance(node.op, Reshape):
            return replace(
                node,
                op=replace(node.op, new_shape=outputs[0].shape),
                inputs=(self._tensor(node.input(0)),),
                outputs=outputs,
            )
        inputs = tuple(None if t is None else self._operand(t, node.output) for t in node.inputs)
        return replace(node, inputs=inputs, outputs=outputs)

    def _tensor(self, tensor: Tensor) -> Tensor:
        reduction = self._reductions.get(tensor.index)
        return tensor if reduction is None else replace(tensor, shape=(*tensor.shape[:-1], len(reduction.kept)))

    def _operand(self, tensor: Tensor, output: Tensor) -> Tensor:
        """An input of an operator that goes channel by channel; a constant has the output's channels, one or none."""
        reduction = self._reductions.get(output.index)
        if tensor.data is None or reduction is None or tensor.dtype is not DType.INT8:
            return self._tensor(tensor)
        if tensor.shape[-1:] != output.shape[-1:]:
            return tensor
        return self._constant(tensor, tensor.data[..., list(reduction.kept)])

    def _filter(self, node: Node, outputs: tuple[Tensor, ...]) -> Node:
        """Weights and bias of the kept channels; the bias takes over what constant inputs add."""
        weights, bias = node.input(1), node.optional(2)
        assert weights.data is not None
        to, source = self._kept(node.output), self._reductions.get(node.input(0).index)
        axis = 3 if isinstance(node.op, DepthwiseConv2D) else 0
        data, sums = np.take(weights.data, to, axis), bias_values(node)[to].astype(np.int64)
        op = node.op
        if isinstance(op, DepthwiseConv2D):
            if node.input(0).shape[3] == 1:
                op = replace(op, depth_multiplier=len(to))
        elif source is not None:
            full = source.full.shape[-1]
            by_channel = data.reshape(*data.shape[:-1], -1, full) if isinstance(op, FullyConnected) else data
            sums = sums + self._constant_sums(node, by_channel, source)
            data = by_channel[..., list(source.kept)]
            data = data.reshape(len(data), -1) if isinstance(op, FullyConnected) else data
        if bias is None:
            bias = replace(weights, name=f"{weights.name} bias", dtype=DType.INT32, quant=None)
        # The constraint on sums holds for the old bias and each product alike, so the new bias is in range too.
        assert np.abs(sums).max() < 2**31
        inputs = (
            self._tensor(node.input(0)),
            self._constant(weights, data, _of_channels(weights.quant, to, axis)),
            self._constant(bias, sums.astype(np.int32), _of_channels(bias.quant, to, 0)),
        )
        return replace(node, op=op, inputs=inputs, outputs=outputs)

    def _constant_sums(self, node: Node, weights: Array, source: Reduction) -> Array:
        """What the dropped channels of the input add to each output; `weights` have the input's channels last."""
        channels = list(source.constants)
        values = np.array([source.constants[c] for c in channels], np.int64) - source.full.zero_point
        if isinstance(node.op, Conv2D):  # a tap that may be outside has no weight for a constant that adds anything
            inside, _ = filter_reach(node)
            weights = weights[:, inside]
        products = weights[..., channels].astype(np.int64) * values
        return np.asarray(products.reshape(len(products), -1).sum(1))

    def _kept(self, tensor: Tensor) -> list[int]:
        reduction = self._reductions.get(tensor.index)
        return list(range(tensor.shape[-1]) if reduction is None else reduction.kept)

    def _constant(self, tensor: Tensor, data: Array, quant: Quant | None = None) -> Tensor:
        """A new constant in a tensor's place."""
        data = np.ascontiguousarray(data)
        data.flags.writeable = False
        index, self._next_index = self._next_index, self._next_index + 1
        return replace(tensor, index=index, shape=data.shape, data=data, quant=quant or tensor.quant)


def _of_channels(quant: Quant | None, channels: Sequence[int], axis: int) -> Quant | None:
    """The scales of some channels."""
    if quant is None or quant.is_per_tensor or quant.axis != axis:
        return quant
    points = tuple(quant.zero_points[c] for c in channels) if len(quant.zero_points) > 1 else quant.zero_points
    return replace(quant, scales=tuple(quant.scales[c] for c in channels), zero_points=points)
