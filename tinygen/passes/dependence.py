"""Which channels of a node's tensors stand or fall together, and which of its inputs' channels its outputs need.

Three kinds of operators let channels go:

- a filter over all channels (CONV_2D, FULLY_CONNECTED) may make any of its outputs, and a constant input may be moved
  into its bias: `Need`;
- one that goes channel by channel (depthwise, pooling, ADD, tables, views…) has a channel of its output exactly where
  it has that of its inputs: `Tie`;
- every other one needs all its inputs' channels and makes all its outputs': no relation is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinygen.ir import Node, Tensor
from tinygen.ops.add import Add
from tinygen.ops.concatenation import Concatenation, axis_of
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.expand_dims import ExpandDims
from tinygen.ops.fully_connected import FullyConnected
from tinygen.ops.lut import is_table
from tinygen.ops.mean import Mean, averaged_axes
from tinygen.ops.mul import Mul
from tinygen.ops.pad import Pad, PadV2, paddings
from tinygen.ops.pool2d import Pool2D
from tinygen.ops.reshape import Reshape
from tinygen.ops.squeeze import Squeeze
from tinygen.ops.sub import Sub
from tinygen.passes.intervals import Int64s, Interval, filter_reach, is_followed, view_repeats

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Tie:
    """Channel first_channels[i] of one tensor is computed exactly where second_channels[i] of the other is."""

    first: Tensor
    second: Tensor
    first_channels: Int64s
    second_channels: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """Output channel o can be computed without input channel i unless needs[o, i]."""

    output: Tensor
    input: Tensor
    needs: Bools


Relation = Tie | Need


def relations(node: Node, intervals: Mapping[int, Interval]) -> tuple[Relation, ...] | None:
    """What is known of a node's channels, or None where it needs and makes all of them."""
    if not all(is_followed(t) for t in node.outputs):
        return None
    if not all(t.is_constant or is_followed(t) for t in node.inputs if t is not None):
        return None
    op = node.op
    if isinstance(op, Conv2D):
        return _convolution(node, intervals)
    if isinstance(op, FullyConnected):
        return _fully_connected(node, intervals)
    if isinstance(op, DepthwiseConv2D):
        return _depthwise(node)
    if isinstance(op, Add | Sub | Mul):
        return _binary(node)
    if isinstance(op, Concatenation):
        return _concatenation(node)
    if isinstance(op, Reshape | Squeeze | ExpandDims):
        return _view(node)
    is_by_channel = (
        isinstance(op, Pool2D)
        or is_table(op)
        or (isinstance(op, Pad | PadV2) and paddings(node)[-1] == (0, 0))
        or (isinstance(op, Mean) and len(node.input(0).shape) - 1 not in averaged_axes(node))
    )
    return (_equal(node.input(0), node.output),) if is_by_channel else None


def _equal(first: Tensor, second: Tensor) -> Tie:
    channels = np.arange(first.shape[-1])
    return Tie(first, second, channels, channels)


def _constants(tensor: Tensor, intervals: Mapping[int, Interval]) -> tuple[Bools, Bools]:
    """Which channels are constant, and which of them are the tensor's zero point, so that they add nothing."""
    low, high = intervals[tensor.index]
    return low == high, (low == high) & (low == tensor.zero_point)


def _convolution(node: Node, intervals: Mapping[int, Interval]) -> tuple[Relation, ...] | None:
    """A constant that is not the zero point adds the same to every pixel only through taps that are always inside."""
    data, weights = node.input(0), node.input(1).data
    assert weights is not None
    if data.is_constant or weights.shape[3] != data.shape[3]:
        return None
    inside, outside = filter_reach(node)
    weighs = weights != 0
    may_be_outside = weighs[:, ~inside & ~outside].any(1)
    constant, nothing = _constants(data, intervals)
    needs = np.where(constant, may_be_outside & ~nothing, weighs[:, ~outside].any(1))
    return (Need(node.output, data, needs),)


def _fully_connected(node: Node, intervals: Mapping[int, Interval]) -> tuple[Relation, ...] | None:
    data, weights = node.input(0), node.input(1).data
    assert weights is not None
    channels = data.shape[-1]
    if data.is_constant or weights.shape[1] % channels:
        return None
    constant, _ = _constants(data, intervals)
    weighs = (weights.reshape(len(weights), -1, channels) != 0).any(1)
    return (Need(node.output, data, weighs & ~constant),)


def _depthwise(node: Node) -> tuple[Relation, ...] | None:
    data, output = node.input(0), node.output
    if data.is_constant:
        return None
    channels, outputs = data.shape[3], output.shape[3]
    if channels == 1:
        return (Need(output, data, np.ones((outputs, 1), np.bool_)),)
    return (Tie(data, output, np.repeat(np.arange(channels), outputs // channels), np.arange(outputs)),)


def _binary(node: Node) -> tuple[Relation, ...] | None:
    """An operand of one channel that meets several must be there."""
    output = node.output
    found: list[Relation] = []
    for tensor in (node.input(0), node.input(1)):
        if tensor.is_constant:
            continue
        if tensor.shape[-1] == output.shape[-1]:
            found.append(_equal(tensor, output))
        else:
            found.append(Need(output, tensor, np.ones((output.shape[-1], 1), np.bool_)))
    return tuple(found)


def _concatenation(node: Node) -> tuple[Relation, ...] | None:
    output = node.output
    inputs = [node.input(i) for i in range(len(node.inputs))]
    if any(t.is_constant for t in inputs):
        return None
    if axis_of(node) != len(output.shape) - 1:
        return tuple(_equal(tensor, output) for tensor in inputs)
    ends = np.cumsum([t.shape[-1] for t in inputs])
    return tuple(
        Tie(t, output, np.arange(t.shape[-1]), np.arange(end - t.shape[-1], end))
        for t, end in zip(inputs, ends, strict=True)
    )


def _view(node: Node) -> tuple[Relation, ...] | None:
    repeats = view_repeats(node)
    if node.input(0).is_constant or repeats is None:
        return None
    source, output = (np.arange(t.shape[-1]) for t in (node.input(0), node.output))
    return (Tie(node.input(0), node.output, np.tile(source, repeats[0]), np.tile(output, repeats[1])),)
