"""Constants as the kernels for the Arm DSP extension read them: one stream of words, two output channels at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tinygen.ir import Node
from tinygen.ops.constants import multiplier_and_shift
from tinygen.ops.filters import accumulator_bounds, bias_values, channel_factors

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

LARGEST_SUM = 2**30
"""SMMULR of twice a sum needs that to fit a word."""

LARGEST_SHARED_SUM = 2**23
"""A sum is read from the upper 24 bits of an accumulator that two outputs share."""

DSP = frozenset({"dsp"})


@dataclass(frozen=True, slots=True)
class Channels:
    """What the kernels compute of a filter, by output channel; products are padded with zeros to a multiple of 4.

    An output that is the same for every input has no weights, and a start value that gives it.
    """

    weights: Int64s
    starts: Int64s
    multipliers: tuple[int, ...]
    right_shifts: tuple[int, ...]
    lows: Int64s
    highs: Int64s


def rounded_twice(value: int, multiplier: int, shift: int) -> int:
    """value × multiplier × 2^(shift − 31), half up to an integer, then half away from zero."""
    high = ((value << max(shift, 0)) * multiplier + 2**30) >> 31
    right = max(-shift, 0)
    magnitude = (2 * abs(high) + (1 << right)) >> (right + 1)
    return magnitude if high >= 0 else -magnitude


def channel_axis(node: Node) -> int:
    """The dimension of the filter along which output channels lie: the last one of a depthwise filter."""
    return 3 if node.op.name == "DEPTHWISE_CONV_2D" else 0


def sum_bounds(node: Node) -> tuple[Int64s, Int64s]:
    """Least and greatest value of each output channel's complete sum, over all inputs."""
    lows, highs = accumulator_bounds(node, channel_axis(node))
    bias = bias_values(node).astype(np.int64)
    return lows + np.maximum(bias, 0), highs + np.minimum(bias, 0)


def filter_channels(node: Node) -> Channels:
    """The filter's channels as they are, taps in the order of the filter."""
    filter_ = node.input(1).data
    assert filter_ is not None
    by_channel = np.moveaxis(filter_, channel_axis(node), 0)
    weights = by_channel.reshape(by_channel.shape[0], -1).astype(np.int64)
    weights = np.pad(weights, ((0, 0), (0, -weights.shape[1] % 4)))
    starts = bias_values(node) - node.input(0).zero_point * weights.sum(1)
    pairs = [multiplier_and_shift(factor) for factor in channel_factors(node)]
    return Channels(weights, starts, tuple(m for m, _ in pairs), tuple(-shift for _, shift in pairs), *sum_bounds(node))


@lru_cache(maxsize=256)
def channels_of(node: Node) -> Channels:
    """The filter's channels, those with a constant output made plain."""
    plain = filter_channels(node)
    weights, starts, lows, highs = plain.weights, plain.starts, plain.lows, plain.highs
    multipliers, right_shifts = list(plain.multipliers), list(plain.right_shifts)
    zero_point = node.output.zero_point
    for channel, (multiplier, shift) in enumerate(zip(multipliers, right_shifts, strict=True)):
        ends = [rounded_twice(int(end[channel]), multiplier, -shift) for end in (lows, highs)]
        low, high = (min(max(end, -128 - zero_point), 127 - zero_point) for end in ends)
        if low == high:
            weights[channel] = 0
            # times 2^30 / 2^31, then shifted right once
            lows[channel] = highs[channel] = starts[channel] = 4 * low
            multipliers[channel], right_shifts[channel] = 2**30, 1
    return Channels(weights, starts, tuple(multipliers), tuple(right_shifts), lows, highs)


def weight_words(first: Int64s, second: Int64s, *, shared: bool) -> Int64s:
    """Words of two products of both outputs, in the order of SXTB16: of four 0 and 2, then 1 and 3."""
    halves = (256 * second + first if shared else (second & 255) * 256 + (first & 255)) & 0xFFFF
    fours = halves.reshape(-1, 4)
    return np.stack([fours[:, 0] | fours[:, 2] << 16, fours[:, 1] | fours[:, 3] << 16], 1).reshape(-1)


def joined(parts: Sequence[Int64s]) -> Int32s:
    """The parts one after the other, modulo 2^32."""
    return (np.concatenate(parts) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
