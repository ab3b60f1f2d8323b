"""What operators with a constant filter share: scales by channel, bounds of the accumulators, constraints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinygen.ir import Constraint, Node
from tinygen.ops.constants import multiplier_and_shift

Int64s = npt.NDArray[np.int64]

LARGEST_SCALED = 2**31 - 2**9
"""Of a requantised accumulator before its zero point is added and it is clamped; leaves room for both."""


def filter_scales(node: Node) -> tuple[float, ...]:
    """The filter's scale of each output channel."""
    weights = node.input(1)
    assert weights.quant is not None
    scales = weights.quant.scales
    return scales if len(scales) > 1 else scales * node.output.shape[-1]


def channel_factors(node: Node) -> list[float]:
    """Requantisation factor of each output channel: input scale × filter scale ÷ output scale, in float64."""
    return [node.input(0).scale * scale / node.output.scale for scale in filter_scales(node)]


def bias_values(node: Node) -> npt.NDArray[np.int32]:
    """The bias of each output channel, zeros where the node has none."""
    bias = node.optional(2)
    return np.zeros(node.output.shape[-1], np.int32) if bias is None or bias.data is None else bias.data.reshape(-1)


def accumulator_bounds(node: Node, channel_axis: int) -> tuple[Int64s, Int64s]:
    """Least and greatest value of each output channel's accumulator, over all inputs and all partial sums.

    Each product's range holds 0 (an input at its zero point), so that omitted taps and partial sums lie inside too.
    """
    weights, zero_point = node.input(1).data, node.input(0).zero_point
    assert weights is not None
    by_channel = np.moveaxis(weights, channel_axis, 0).reshape(weights.shape[channel_axis], -1).astype(np.int64)
    ends = by_channel * (-128 - zero_point), by_channel * (127 - zero_point)
    bias = bias_values(node).astype(np.int64)
    return np.minimum(*ends).sum(1) + np.minimum(bias, 0), np.maximum(*ends).sum(1) + np.maximum(bias, 0)


def one_channel_each(channel_axis: int) -> Constraint:
    """The constraint on the output of a filter whose output channels lie along an axis."""

    def rule(node: Node) -> str | None:
        """The output must have one channel for each of the filter's."""
        weights, output = node.input(1), node.output
        if output.shape[-1:] == weights.shape[channel_axis : channel_axis + 1] != ():
            return None
        return f"filter {weights.describe()}, output {output.describe()}"

    return rule


def one_scale_or_one_a_channel(channel_axis: int) -> Constraint:
    """The constraint on a filter whose output channels lie along an axis."""

    def rule(node: Node) -> str | None:
        """The filter must have one scale, or one for each output channel."""
        quant = node.input(1).quant
        if quant is None or quant.is_per_tensor or quant.axis == channel_axis:
            return None
        return f"{len(quant.scales)} scales along dimension {quant.axis}"

    return rule


def accumulators_fit(channel_axis: int) -> Constraint:
    """The constraint on the sums of products of a filter whose output channels lie along an axis."""

    def rule(node: Node) -> str | None:
        """No sum of products may leave 32 bits, before or after requantisation, whatever the input is."""
        lows, highs = accumulator_bounds(node, channel_axis)
        for channel, factor in enumerate(channel_factors(node)):
            largest = max(-int(lows[channel]), int(highs[channel]), 1)
            if largest << max(0, multiplier_and_shift(factor)[1]) > LARGEST_SCALED:
                return f"sums up to {largest} with factor {factor:g} in output channel {channel}"
        return None

    return rule
