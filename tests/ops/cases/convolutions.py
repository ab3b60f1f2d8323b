"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.ops.cases.case import TFLM, Case
from tests.ops.cases.draw import (
    CLAMPS,
    Rng,
    between,
    chance,
    data,
    int8,
    one_of,
    output_scale,
    scale,
    zero_point,
)
from tests.support.models import ModelBuilder, Operand


def conv_2d(b: ModelBuilder, rng: Rng) -> None:
    """Any window, stride, dilation, padding and grouping."""
    groups = between(rng, 2, 4) if chance(rng, 0.2) else 1
    depth = between(rng, 1, 6 if groups > 1 else 17)
    outputs = groups * between(rng, 1, 4) if groups > 1 else between(rng, 1, 17)
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth * groups, outputs, axis=0)


def conv_2d_pointwise(b: ModelBuilder, rng: Rng) -> None:
    """A window of one pixel, with or without stride."""
    depth, outputs = between(rng, 1, 33), between(rng, 1, 17)
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, largest_window=1)


def conv_2d_3x3(b: ModelBuilder, rng: Rng) -> None:
    """A window of 3 x 3 that moves by one pixel, channels by fours: what Winograd's algorithm is for."""
    depth, outputs = 4 * between(rng, 1, 5), between(rng, 1, 9)
    outputs *= 1 if chance(rng, 0.2) else 2
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, taps=(3, 3), strides=(1, 1))


def conv_2d_first_layer(b: ModelBuilder, rng: Rng) -> None:
    """Few input channels and a large window: slices of any number of bytes."""
    depth, outputs = between(rng, 1, 3), between(rng, 1, 9)
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, largest_window=10)


def conv_2d_long_sums(b: ModelBuilder, rng: Rng) -> None:
    """More products than the code computes one after the other."""
    depth, outputs = 4 * between(rng, 5, 40), between(rng, 1, 9)
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, largest_window=2)


def conv_2d_lowest_weights(b: ModelBuilder, rng: Rng) -> None:
    """Weights of −128 too, which no converter writes."""
    depth, outputs = between(rng, 1, 17), between(rng, 1, 17)
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, largest_window=3, lowest_weight=-128)


def conv_2d_without_bias(b: ModelBuilder, rng: Rng) -> None:
    """No bias, by a shorter list of inputs or by an omitted one; litert refuses both."""
    depth, outputs = between(rng, 1, 5), between(rng, 1, 5)
    bias: list[Operand | None] = [None] if chance(rng, 0.5) else []
    _convolution(b, rng, "CONV_2D", (outputs, depth), depth, outputs, axis=0, bias=bias)


def depthwise_conv_2d(b: ModelBuilder, rng: Rng) -> None:
    """Any window, stride, dilation, padding and multiplier."""
    channels, multiplier = between(rng, 1, 17), int(one_of(rng, 1, 1, 1, 2, 3, 8))  # type: ignore[call-overload]
    if chance(rng, 0.1):
        channels = 1
    outputs = channels * multiplier
    bias: list[Operand | None] | None = [] if chance(rng, 0.15) else None
    _convolution(
        b, rng, "DEPTHWISE_CONV_2D", (1, outputs), channels, outputs, axis=3, bias=bias, depth_multiplier=multiplier
    )


def depthwise_conv_2d_3x3(b: ModelBuilder, rng: Rng) -> None:
    """3 x 3 taps with stride 1 or 2, images of a pixel and of many rows; half of the outputs as after a ReLU."""
    channels, multiplier = between(rng, 1, 17), between(rng, 2, 3) if chance(rng, 0.15) else 1
    large = chance(rng, 0.2)
    _convolution(
        b,
        rng,
        "DEPTHWISE_CONV_2D",
        (1, channels * multiplier),
        channels,
        channels * multiplier,
        axis=3,
        taps=(3, 3),
        strides=(1, 1) if chance(rng, 0.6) else (2, 2),
        size=(between(rng, 3, 60), between(rng, 3, 60)) if large else (between(rng, 1, 9), between(rng, 1, 9)),
        one_sided=chance(rng, 0.4),
        depth_multiplier=multiplier,
    )


def depthwise_conv_2d_line(b: ModelBuilder, rng: Rng) -> None:
    """Taps in one dimension, up to 25 of them, mostly over an image that is one pixel wide, as over time."""
    channels, multiplier = between(rng, 1, 17), between(rng, 2, 3) if chance(rng, 0.15) else 1
    taps, width = between(rng, 1, 25), 1 if chance(rng, 0.7) else between(rng, 2, 6)
    stride, across = 1 if chance(rng, 0.7) else between(rng, 2, 4), chance(rng, 0.4)
    order = -1 if across else 1
    _convolution(
        b,
        rng,
        "DEPTHWISE_CONV_2D",
        (1, channels * multiplier),
        channels,
        channels * multiplier,
        axis=3,
        taps=(taps, 1)[::order],
        strides=(stride, 1)[::order],
        size=(taps + between(rng, 0, 20), width)[::order],
        depth_multiplier=multiplier,
    )


def _convolution(
    b: ModelBuilder,
    rng: Rng,
    operator: str,
    filter_ends: tuple[int, int],
    channels: int,
    outputs: int,
    *,
    axis: int,
    largest_window: int = 5,
    lowest_weight: int = -127,
    bias: list[Operand | None] | None = None,
    taps: Sequence[int] = (),
    strides: Sequence[int] = (),
    size: Sequence[int] = (),
    one_sided: bool = False,
    **options: int,
) -> None:
    dilations = [1, 1]
    if not taps:
        taps = [between(rng, 1, largest_window) for _ in range(2)]
        dilations = [between(rng, 2, 3) if chance(rng, 0.25) else 1 for _ in range(2)]
    if not strides:
        strides = [between(rng, 1, 4) for _ in range(2)]
        if max(dilations) > 1 and chance(rng, 0.7):
            strides = [1, 1]
    padding = str(one_of(rng, "SAME", "VALID"))
    extents = [(t - 1) * d + 1 for t, d in zip(taps, dilations, strict=True)]
    smallest = extents if padding == "VALID" else [1, 1]
    if not size:
        size = [low if chance(rng, 0.15) else between(rng, low, low + 8) for low in smallest]
    size = [max(low, given) for low, given in zip(smallest, size, strict=True)]
    spans = zip(size, extents, strides, strict=True)
    across = [(n - e) // s + 1 if padding == "VALID" else -(-n // s) for n, e, s in spans]
    batch = between(rng, 2, 3) if chance(rng, 0.2) else 1

    x, input_scale = data(b, rng, (batch, *size, channels))
    first, last = filter_ends
    per_channel = outputs if chance(rng, 0.7) else 1
    weights = int8(rng, first, *taps, last)
    if lowest_weight < -127:
        weights[weights < -100] = lowest_weight
    terms = weights.size // outputs
    inputs, sum_scale = _filter(b, rng, weights, input_scale, per_channel, axis)
    inputs += _bias(b, rng, terms, outputs, sum_scale) if bias is None else bias
    y_zero_point = -128 if one_sided else zero_point(rng)
    y = b.tensor((batch, *across, outputs), scale=output_scale(rng, sum_scale, terms), zero_point=y_zero_point)
    b.node(
        operator,
        [x, *inputs],
        [y],
        version=3,
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
        dilation_h_factor=dilations[0],
        dilation_w_factor=dilations[1],
        fused_activation_function=str(one_of(rng, *CLAMPS)),
        **options,
    )
    b.output(y)


def fully_connected_lowest_weights(b: ModelBuilder, rng: Rng) -> None:
    """Weights of −128 too, which no converter writes."""
    fully_connected(b, rng, lowest_weight=-128)


def fully_connected_wide(b: ModelBuilder, rng: Rng) -> None:
    """So many inputs that kernels loop over them, and sums that do or do not share a word."""
    width = between(rng, 1025, 1300) if chance(rng, 0.1) else between(rng, 41, 400)
    fully_connected(b, rng, size=(width, between(rng, 1, 33)))


def fully_connected_rows(b: ModelBuilder, rng: Rng) -> None:
    """One item of several rows, whose products kernels may add row by row; some rows so long that they loop."""
    row = between(rng, 130, 300) if chance(rng, 0.25) else between(rng, 1, 40)
    channels = int(rng.choice([d for d in range(1, row + 1) if row % d == 0]))
    item = (between(rng, 2, 9), row // channels, channels)
    outputs = between(rng, 1, 17)
    fully_connected(b, rng, size=(math.prod(item), outputs), item=(1, *item) if chance(rng, 0.7) else item)


def fully_connected(
    b: ModelBuilder,
    rng: Rng,
    lowest_weight: int = -127,
    size: tuple[int, int] | None = None,
    item: tuple[int, ...] | None = None,
) -> None:
    """Any input rank, flattened to the filter's width; per tensor or per channel; with and without bias."""
    width, outputs = size or (between(rng, 1, 40), between(rng, 1, 17))
    keep = item is None and chance(rng, 0.3)
    shape: tuple[int, ...]
    result: tuple[int, ...]
    if item is not None:
        shape, result = item, (1, outputs)
    elif keep:
        lead: tuple[int, ...] = tuple(between(rng, 1, 3) for _ in range(between(rng, 1, 3)))
        shape, result = (*lead, width), (*lead, outputs)
    else:
        batch = between(rng, 1, 4)
        inner = int(rng.choice([d for d in range(1, width + 1) if width % d == 0]))
        choices = [(batch, width), (batch, width // inner, inner), (batch, 1, width // inner, inner)]
        shape = choices[int(rng.integers(len(choices)))]
        result = (batch, outputs)
        if batch == 1 and chance(rng, 0.3):
            shape = (width,)
    x, input_scale = data(b, rng, shape)
    per_channel = outputs if chance(rng, 0.5) else 1
    weights = int8(rng, outputs, width)
    if lowest_weight < -127:
        weights[weights < -100] = lowest_weight
    inputs, sum_scale = _filter(b, rng, weights, input_scale, per_channel, 0)
    absent: list[Operand | None] = [None] if chance(rng, 0.5) else []
    inputs += absent if chance(rng, 0.2) else _bias(b, rng, width, outputs, sum_scale)
    y = b.tensor(result, scale=output_scale(rng, sum_scale, width), zero_point=zero_point(rng))
    b.node(
        "FULLY_CONNECTED",
        [x, *inputs],
        [y],
        version=4,
        keep_num_dims=keep,
        fused_activation_function=str(one_of(rng, *CLAMPS)),
    )
    b.output(y)


def _filter(
    b: ModelBuilder,
    rng: Rng,
    weights: np.ndarray[tuple[int, ...], np.dtype[np.int8]],
    input_scale: float,
    scales: int,
    axis: int,
) -> tuple[list[Operand | None], float]:
    """The filter as an operand, and the scale of its largest accumulators."""
    filter_scale = scale(rng)
    spread = rng.uniform(0.2, 1, scales) if scales > 1 else np.ones(1)
    filter_scales = [float(np.float32(filter_scale * factor)) for factor in spread]
    if chance(rng, 0.1):
        weights = np.full_like(weights, rng.choice([-127, 127]))
    w = b.constant(weights, scales=filter_scales, zero_points=[0] * scales, axis=axis)
    return [w], input_scale * max(filter_scales)


def _bias(b: ModelBuilder, rng: Rng, terms: int, outputs: int, sum_scale: float) -> list[Operand | None]:
    """Values as large as the sums."""
    limit = int(2000 * math.sqrt(terms))
    values = rng.integers(-limit, limit, outputs, np.int32, endpoint=True)
    return [b.constant(values, scales=float(np.float32(sum_scale)), zero_points=0)]


CASES: tuple[Case, ...] = (
    Case("conv_2d", conv_2d),
    Case("conv_2d_pointwise", conv_2d_pointwise),
    Case("conv_2d_lowest_weights", conv_2d_lowest_weights, count=60),
    Case("conv_2d_3x3", conv_2d_3x3, count=60),
    Case("conv_2d_first_layer", conv_2d_first_layer, count=60),
    Case("conv_2d_long_sums", conv_2d_long_sums, count=60),
    Case("conv_2d_without_bias", conv_2d_without_bias, references=(TFLM,), count=40),
    Case("depthwise_conv_2d", depthwise_conv_2d),
    Case("depthwise_conv_2d_3x3", depthwise_conv_2d_3x3, count=60),
    Case("depthwise_conv_2d_line", depthwise_conv_2d_line, count=60),
    Case("fully_connected", fully_connected),
    Case("fully_connected_lowest_weights", fully_connected_lowest_weights, count=60),
    Case("fully_connected_wide", fully_connected_wide, count=40),
    Case("fully_connected_rows", fully_connected_rows, count=40),
)
