"""CONV_2D: a convolution over height and width, grouped where the filter has fewer channels than the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Activation,
    Array,
    Direction,
    FusedActivation,
    Int8Array,
    Int32,
    Int32Array,
    Kernel,
    Node,
    Op,
    Padding,
    Params,
    Reference,
    Rounding,
    Shape,
    Unit,
)
from tinygen.ops import conv2d_costs, conv2d_direct, conv2d_dsp, conv2d_winograd, dsp, rules
from tinygen.ops.constants import clamp_bounds, multipliers_and_shifts
from tinygen.ops.costs import weighted
from tinygen.ops.filters import (
    accumulators_fit,
    bias_values,
    channel_factors,
    one_channel_each,
    one_scale_or_one_a_channel,
)
from tinygen.ops.window import NO_BORDER, Border, batch_rows, filter_geometry, filter_windows


def filter_fits(node: Node) -> str | None:
    """The filter's channels must divide the input's, and the groups that makes must divide the output's."""
    if len(node.input(1).shape) != 4 or len(node.input(0).shape) != 4:
        return f"input {node.input(0).describe()}, filter {node.input(1).describe()}"
    channels, depth, outputs = node.input(0).shape[3], node.input(1).shape[3], node.input(1).shape[0]
    if channels % depth == 0 and outputs % (channels // depth) == 0:
        return None
    return f"{channels} input channels, a filter of {depth}, {outputs} output channels"


@dataclass(frozen=True, slots=True)
class Conv2DParams(Params):
    input_height: Int32
    input_width: Int32
    input_channels: Int32
    output_height: Int32
    output_width: Int32
    output_channels: Int32
    filter_height: Int32
    filter_width: Int32
    filter_channels: Int32
    outputs_per_group: Int32
    stride_h: Int32
    stride_w: Int32
    dilation_h: Int32
    dilation_w: Int32
    pad_top: Int32
    pad_left: Int32
    input_offset: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    weights: Int8Array
    bias: Int32Array
    multiplier: Int32Array
    shift: Int8Array


def params(node: Node, reference: Reference) -> Conv2DParams:
    """What conv2d_s8__c is given."""
    op, data, weights, output = node.op, node.input(0), node.input(1), node.output
    assert isinstance(op, Conv2D) and weights.data is not None
    multiplier, shift = multipliers_and_shifts(channel_factors(node))
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, output)
    channels = output.shape[3]
    return Conv2DParams(
        **filter_geometry(node),
        filter_channels=weights.shape[3],
        outputs_per_group=channels * weights.shape[3] // data.shape[3],
        input_offset=-data.zero_point,
        output_zero_point=output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        weights=weights.data,
        bias=bias_values(node),
        multiplier=multiplier,
        shift=shift,
    )


def one_group(node: Node) -> str | None:
    """The filter must have as many channels as the input."""
    channels, depth = node.input(0).shape[3], node.input(1).shape[3]
    return None if channels == depth else f"{channels} input channels, a filter of {depth}"


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that output rows begin..end-1 read."""
    return batch_rows(filter_windows(node)[0], node.input(0).shape[1], begin, end)


def input_columns(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Columns of the input that output columns begin..end-1 read."""
    return filter_windows(node)[1].input_range(begin, end, node.input(0).shape[2])


def pointwise(node: Node) -> str | None:
    """The filter must be 1 x 1."""
    _, height, width, _ = node.input(1).shape
    return None if height == width == 1 else f"a filter of {height} x {width}"


def wider_pixels(node: Node) -> str | None:
    """A pixel of the output must have more channels than one of the input."""
    channels, outputs = node.input(0).shape[3], node.output.shape[3]
    return None if outputs > channels else f"{channels} input channels, {outputs} output channels"


PIXELS = Access(Unit.PIXEL, input_rows, input_columns=input_columns)
"""All that a pixel reads is extended in the scratch before it is written."""

ELEMENTS = Access(Unit.ELEMENT, input_rows, input_columns=input_columns)
"""A pixel is written while it is still being read."""


def _few_pixels(name: str, pixels: int) -> Kernel:
    """The row of conv2d_s8__dsp with the scratch of one or two pixels."""
    return Kernel(
        name,
        access=PIXELS,
        params=conv2d_dsp.params,
        scratch_bytes=lambda node: conv2d_dsp.few_scratch_bytes(node, pixels),
        switches=lambda node, reference: conv2d_dsp.few_switches(node, pixels),
        features=dsp.DSP,
        constraints=(one_group, conv2d_dsp.requantises),
        cost=lambda node, reference: conv2d_costs.few_cost(node, pixels),
    )


def pairs_of_rows(node: Node) -> int:
    """Rows that are made together; an odd number of rows of several images ends pairs anywhere."""
    batch, rows, _, _ = node.output.shape
    return 2 if batch == 1 or rows % 2 == 0 else batch * rows


@dataclass(frozen=True, slots=True)
class Conv2D(Op):
    padding: Padding = Padding.SAME
    stride_w: int = 0
    stride_h: int = 0
    fused_activation_function: FusedActivation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    quantized_bias_type: int = 0

    name: ClassVar[str] = "CONV_2D"
    version: ClassVar[int] = 8
    options: ClassVar[str | None] = "Conv2DOptions"
    arity: ClassVar[tuple[int, int]] = (2, 3)
    constraints = (
        one_channel_each(0),
        *rules.INT8_CONVOLUTION,
        filter_fits,
        one_scale_or_one_a_channel(0),
        accumulators_fit(0),
    )
    kernels = (
        Kernel(
            "conv2d_s8__dsp",
            access=PIXELS,
            params=conv2d_dsp.params,
            scratch_bytes=conv2d_dsp.scratch_bytes,
            switches=conv2d_dsp.switches,
            features=dsp.DSP,
            constraints=(one_group, conv2d_dsp.requantises),
            cost=conv2d_costs.cost,
        ),
        Kernel(
            "conv2d_s8__dsp_loop",
            access=PIXELS,
            params=conv2d_dsp.params,
            scratch_bytes=conv2d_dsp.scratch_bytes,
            switches=conv2d_dsp.loop_switches,
            features=dsp.DSP,
            constraints=(one_group, conv2d_dsp.requantises),
            cost=conv2d_costs.loop_cost,
        ),
        _few_pixels("conv2d_s8__dsp_2p", 2),
        _few_pixels("conv2d_s8__dsp_1p", 1),
        Kernel(
            "conv2d_s8__dsp_direct",
            access=replace(ELEMENTS, pixels=conv2d_direct.PIXELS),
            params=conv2d_dsp.params,
            scratch_bytes=conv2d_direct.scratch_bytes,
            switches=conv2d_direct.switches,
            features=dsp.DSP,
            constraints=(
                one_group,
                conv2d_direct.whole_words,
                conv2d_direct.few_slices,
                conv2d_direct.near_pixels,
                conv2d_dsp.requantises,
            ),
            cost=conv2d_direct.cost,
        ),
        Kernel(
            "conv2d_s8__dsp_backward",
            access=replace(PIXELS, direction=Direction.BACKWARD),
            params=conv2d_dsp.params,
            scratch_bytes=conv2d_dsp.scratch_bytes,
            switches=conv2d_dsp.switches,
            features=dsp.DSP,
            constraints=(one_group, pointwise, wider_pixels, conv2d_dsp.requantises),
            cost=conv2d_costs.cost,
        ),
        Kernel(
            "conv2d_s8__dsp_winograd",
            access=Access(Unit.ROW, input_rows, rows=pairs_of_rows),
            params=conv2d_winograd.params,
            scratch_bytes=conv2d_winograd.scratch_bytes,
            switches=conv2d_winograd.switches,
            features=dsp.DSP,
            constraints=(
                one_group,
                conv2d_winograd.three_by_three,
                conv2d_winograd.whole_groups,
                conv2d_winograd.requantises,
            ),
            cost=conv2d_winograd.cost,
        ),
        Kernel(
            "conv2d_s8__c_backward",
            access=replace(ELEMENTS, direction=Direction.BACKWARD),
            params=params,
            constraints=(pointwise, wider_pixels),
            cost=weighted(5, 24, 120, 950),
        ),
        Kernel(
            "conv2d_s8__c",
            access=ELEMENTS,
            params=params,
            cost=weighted(5, 24, 120, 950),
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        down, across = filter_windows(node)
        return ((node.input(0).shape[0], down.output, across.output, node.input(1).shape[0]),)

    def macs(self, node: Node) -> int:
        _, taps_h, taps_w, depth = node.input(1).shape
        return node.output.elements * taps_h * taps_w * depth

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        data, weights, bias = values[0], values[1], values[2] if len(values) > 2 else None
        assert data is not None and weights is not None
        output = node.output
        accumulator = convolve(node, data.astype(np.int64) - node.input(0).zero_point, weights.astype(np.int64))
        if bias is not None:
            accumulator = accumulator + bias.reshape(-1)
        bounds = fixedpoint.activation_range(
            self.fused_activation_function, output.scale, output.zero_point, output.dtype
        )
        return (
            fixedpoint.requantize(
                accumulator, channel_factors(node), Rounding.DOUBLE, output.zero_point, bounds, output.dtype
            ),
        )


@dataclass(frozen=True, slots=True)
class BorderedConv2D(Conv2D):
    """One that has taken over a PAD in front of it; made by a pass, never read from a file."""

    border: Border = NO_BORDER


def convolve(node: Node, data: Array, weights: Array) -> Array:
    """int64 accumulators (batch, height, width, outputs) of data (NHWC) and weights (outputs, taps, taps, depth)."""
    down, across = filter_windows(node)
    batch, height, width, channels = data.shape
    outputs, _, _, depth = weights.shape
    groups = channels // depth
    result = np.zeros((batch, down.output, across.output, outputs), np.int64)
    for tap_y in range(down.taps):
        for tap_x in range(across.taps):
            rows = np.arange(down.output) * down.stride + tap_y * down.dilation - down.before
            columns = np.arange(across.output) * across.stride + tap_x * across.dilation - across.before
            inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
            patch = data[:, rows.clip(0, height - 1)][:, :, columns.clip(0, width - 1)] * inside[None, :, :, None]
            for group in range(groups):
                chosen = slice(group * outputs // groups, (group + 1) * outputs // groups)
                part = patch[..., group * depth : (group + 1) * depth]
                result[..., chosen] += part @ weights[chosen, tap_y, tap_x].T
    return result
