"""Interval analysis: the least and the greatest value of every channel, over all inputs and all pixels.

A channel is an index along a tensor's last axis. Each operator's rule takes intervals of its inputs to one of its
output that holds every value the reference can compute; an operator without a rule gives the whole int8 range. Rounding
and activation are the reference's own: a filter's rule asks `Op.reference` what it makes of the sums at both ends,
which is enough, for requantisation never decreases.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tinygen import fixedpoint
from tinygen.ir import DType, Graph, Node, Op, Reference, Tensor
from tinygen.ops.add import Add
from tinygen.ops.concatenation import Concatenation, axis_of
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.expand_dims import ExpandDims
from tinygen.ops.filters import bias_values
from tinygen.ops.fully_connected import FullyConnected
from tinygen.ops.lut import is_table
from tinygen.ops.mean import Mean, averaged_axes
from tinygen.ops.mul import Mul
from tinygen.ops.pad import Pad, PadV2, paddings, value_of
from tinygen.ops.pool2d import AveragePool2D, MaxPool2D, Pool2D
from tinygen.ops.reshape import Reshape
from tinygen.ops.squeeze import Squeeze
from tinygen.ops.sub import Sub
from tinygen.ops.window import Window, filter_windows

Int64s = npt.NDArray[np.int64]
Interval = tuple[Int64s, Int64s]
"""Least and greatest value, by channel."""

LARGEST_CHANNELS = 1 << 16
"""Of a tensor: one with more, which no file needs weights for, is not followed."""

LARGEST_MEAN = 1 << 18
"""Elements of a MEAN's input: it is computed twice."""


def is_followed(tensor: Tensor) -> bool:
    """Whether the tensor's channels are told apart: int8, with a last axis that is no longer than LARGEST_CHANNELS."""
    return tensor.dtype is DType.INT8 and len(tensor.shape) > 0 and tensor.shape[-1] <= LARGEST_CHANNELS


def channel_intervals(graph: Graph, reference: Reference) -> dict[int, Interval]:
    """The interval of every followed tensor that is computed at run time, by tensor index."""
    known: dict[int, Interval] = {t.index: _any_value(t) for t in (*graph.inputs, *graph.variables) if is_followed(t)}
    for node in graph.nodes:
        rule = _rule(node.op)
        operands = [t for t in node.inputs if t is not None and t.dtype is DType.INT8]
        for output in node.outputs:
            if is_followed(output):
                found = rule(node, known, reference) if rule and all(map(is_followed, operands)) else None
                known[output.index] = found or _any_value(output)
    return known


def tap_reach(window: Window, size: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each tap of a window over an axis of `size`: whether it is inside for every output, and for none at all."""
    first = np.arange(window.taps) * window.dilation - window.before
    last = first + (window.output - 1) * window.stride
    return (first >= 0) & (last < size), (last < 0) | (first >= size)


def filter_reach(node: Node) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The same for the taps of a convolution's filter: two arrays (height, width)."""
    _, height, width, _ = node.input(0).shape
    (in_rows, out_rows), (in_columns, out_columns) = (
        tap_reach(window, size) for window, size in zip(filter_windows(node), (height, width), strict=True)
    )
    return in_rows[:, None] & in_columns[None, :], out_rows[:, None] | out_columns[None, :]


def view_repeats(node: Node) -> tuple[int, int] | None:
    """How often the channels of a view's input, and of its output, are repeated to be the other's; one of them is 1.

    None where one number of channels is no multiple of the other.
    """
    source, output = node.input(0).shape[-1], node.output.shape[-1]
    if output % source == 0:
        return output // source, 1
    return (1, source // output) if source % output == 0 else None


_Rule = Callable[[Node, Mapping[int, Interval], Reference], Interval | None]


def _rule(op: Op) -> _Rule | None:
    if is_table(op):
        return _table
    return next((rule for kind, rule in _RULES.items() if isinstance(op, kind)), None)


def _any_value(tensor: Tensor) -> Interval:
    return np.full(tensor.shape[-1], -128), np.full(tensor.shape[-1], 127)


def _interval(tensor: Tensor, known: Mapping[int, Interval]) -> Interval:
    if tensor.data is None:
        return known[tensor.index]
    by_channel = tensor.data.reshape(-1, tensor.shape[-1]).astype(np.int64)
    return by_channel.min(0), by_channel.max(0)


def _convolution(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval:
    """Sums over the taps; a tap that may lie outside also reads the zero point, and adds nothing."""
    weights = node.input(1).data
    assert weights is not None
    low, high = (ends - node.input(0).zero_point for ends in _interval(node.input(0), known))
    inside, outside = (taps[:, :, None] for taps in filter_reach(node))
    low = np.where(inside, low, np.where(outside, 0, np.minimum(low, 0)))
    high = np.where(inside, high, np.where(outside, 0, np.maximum(high, 0)))
    outputs = node.output.shape[-1]
    if isinstance(node.op, Conv2D):
        groups = node.input(0).shape[3] // weights.shape[3]
        filters = weights.reshape(groups, outputs // groups, *weights.shape[1:]).astype(np.int64)
        # (taps, taps, groups × depth) → (groups, 1, taps, taps, depth)
        low, high = (np.moveaxis(e.reshape(*e.shape[:2], groups, -1), 2, 0)[:, None] for e in (low, high))
        lows, highs = _sums(filters, low, high, (2, 3, 4))
        shape = (outputs, 1, 1, 1)
    else:
        multiplier = outputs // node.input(0).shape[3]
        low, high = (np.repeat(e, multiplier, axis=2) for e in (low, high))
        lows, highs = _sums(weights[0].astype(np.int64), low, high, (0, 1))
        shape = (1, 1, 1, outputs)
    bias = bias_values(node)
    lows, highs = lows.reshape(-1) + bias, highs.reshape(-1) + bias
    return _outputs(node, lows, (1, 1, 1, 1), shape, reference), _outputs(node, highs, (1, 1, 1, 1), shape, reference)


def _fully_connected(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval | None:
    weights = node.input(1).data
    assert weights is not None
    low, high = (ends - node.input(0).zero_point for ends in _interval(node.input(0), known))
    width = weights.shape[1]
    if width % len(low):
        return None
    low, high = (np.tile(ends, width // len(ends)) for ends in (low, high))
    lows, highs = (ends + bias_values(node) for ends in _sums(weights.astype(np.int64), low, high, (1,)))
    shape = (len(weights), 1)
    return _outputs(node, lows, (1, 1), shape, reference), _outputs(node, highs, (1, 1), shape, reference)


def _sums(weights: Int64s, low: Int64s, high: Int64s, axes: tuple[int, ...]) -> Interval:
    """Sums over some axes of weights times anything from low to high, without a bias."""
    ends = weights * low, weights * high
    return np.minimum(*ends).sum(axes), np.maximum(*ends).sum(axes)


def _outputs(
    node: Node, sums: Int64s, data_shape: tuple[int, ...], filter_shape: tuple[int, ...], r: Reference
) -> Int64s:
    """What the operator makes of complete sums, by channel: what the reference does with a bias of them alone."""
    output = replace(node.output, shape=(*data_shape[:-1], len(sums)))
    inputs = replace(node.input(0), shape=data_shape), replace(node.input(1), shape=filter_shape)
    values = np.zeros(data_shape, np.int8), np.zeros(filter_shape, np.int8), sums
    (result,) = node.op.reference(replace(node, inputs=inputs, outputs=(output,)), values, r)
    return np.asarray(result.reshape(-1, len(sums))[0], np.int64)


def _table(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval | None:
    """Operators on one element: the least and the greatest of the results for the input's values."""
    if node.input(0).dtype is not DType.INT8:
        return None
    low, high = _interval(node.input(0), known)
    (results,) = node.op.reference(node, [np.arange(-128, 128, dtype=np.int8)], reference)
    least, greatest = np.empty_like(low), np.empty_like(high)
    for first, last in set(zip(low.tolist(), high.tolist(), strict=True)):
        part, where = results[first + 128 : last + 129], (low == first) & (high == last)
        least[where], greatest[where] = part.min(), part.max()
    return least, greatest


def _binary(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval:
    """ADD, SUB and MUL have their extremes where both operands have theirs."""
    operands = [_interval(node.input(position), known) for position in (0, 1)]
    inputs = tuple(replace(node.input(i), shape=(len(low),)) for i, (low, _) in enumerate(operands))
    small = replace(node, inputs=inputs, outputs=(replace(node.output, shape=node.output.shape[-1:]),))
    corners = [
        node.op.reference(small, [a.astype(np.int8), b.astype(np.int8)], reference)[0].astype(np.int64)
        for a, b in itertools.product(*operands)
    ]
    return np.minimum.reduce(corners), np.maximum.reduce(corners)


def _pool(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval:
    """Neither a maximum nor a rounded average leaves the range of what it is of."""
    op, output = node.op, node.output
    assert isinstance(op, Pool2D)
    bounds = fixedpoint.activation_range(op.fused_activation_function, output.scale, output.zero_point, output.dtype)
    low, high = _interval(node.input(0), known)
    return np.clip(low, *bounds), np.clip(high, *bounds)


def _pad(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval:
    low, high = _interval(node.input(0), known)
    *others, channels = paddings(node)
    if any(pair != (0, 0) for pair in others):
        low, high = np.minimum(low, value_of(node)), np.maximum(high, value_of(node))
    value = value_of(node)
    return np.pad(low, channels, constant_values=value), np.pad(high, channels, constant_values=value)


def _mean(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval | None:
    shape = node.input(0).shape
    if len(shape) - 1 in averaged_axes(node) or math.prod(shape) > LARGEST_MEAN or not node.output.shape:
        return None

    def average(ends: Int64s) -> Int64s:
        data = np.broadcast_to(ends.astype(np.int8), shape)
        (result,) = node.op.reference(node, [data, node.input(1).data], reference)
        return np.asarray(result.reshape(-1, len(ends))[0], np.int64)

    low, high = _interval(node.input(0), known)
    return average(low), average(high)


def _view(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval | None:
    repeats = view_repeats(node)
    if repeats is None:
        return None
    low, high = (ends.reshape(repeats[1], -1) for ends in _interval(node.input(0), known))
    return np.tile(low.min(0), repeats[0]), np.tile(high.max(0), repeats[0])


def _concatenation(node: Node, known: Mapping[int, Interval], reference: Reference) -> Interval:
    lows, highs = zip(*(_interval(node.input(i), known) for i in range(len(node.inputs))), strict=True)
    if axis_of(node) == len(node.output.shape) - 1:
        return np.concatenate(lows), np.concatenate(highs)
    return np.minimum.reduce(lows), np.maximum.reduce(highs)


_RULES: Mapping[type[Op], _Rule] = {
    Conv2D: _convolution,
    DepthwiseConv2D: _convolution,
    FullyConnected: _fully_connected,
    Add: _binary,
    Sub: _binary,
    Mul: _binary,
    MaxPool2D: _pool,
    AveragePool2D: _pool,
    Pad: _pad,
    PadV2: _pad,
    Mean: _mean,
    Reshape: _view,
    Squeeze: _view,
    ExpandDims: _view,
    Concatenation: _concatenation,
}
