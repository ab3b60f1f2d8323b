"""DEPTHWISE_CONV_2D: a convolution of each channel on its own, giving `depth_multiplier` output channels each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Activation,
    Array,
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
from tinygen.ops import depthwise_dsp, depthwise_taps, dsp, rules
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
    """The filter must be 1 x height x width x (input channels x depth multiplier)."""
    data, weights, op = node.input(0), node.input(1), node.op
    assert isinstance(op, DepthwiseConv2D)
    fits = len(data.shape) == len(weights.shape) == 4 and weights.shape[0] == 1
    if fits and op.depth_multiplier >= 1 and weights.shape[3] == data.shape[3] * op.depth_multiplier:
        return None
    return f"input {data.describe()}, filter {weights.describe()}, multiplier {op.depth_multiplier}"


@dataclass(frozen=True, slots=True)
class DepthwiseConv2DParams(Params):
    input_height: Int32
    input_width: Int32
    input_channels: Int32
    output_height: Int32
    output_width: Int32
    output_channels: Int32
    depth_multiplier: Int32
    filter_height: Int32
    filter_width: Int32
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


def params(node: Node, reference: Reference) -> DepthwiseConv2DParams:
    """What depthwise_conv2d_s8__c is given."""
    op, data, weights, output = node.op, node.input(0), node.input(1), node.output
    assert isinstance(op, DepthwiseConv2D) and weights.data is not None
    multiplier, shift = multipliers_and_shifts(channel_factors(node))
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, output)
    return DepthwiseConv2DParams(
        **filter_geometry(node),
        depth_multiplier=op.depth_multiplier,
        input_offset=-data.zero_point,
        output_zero_point=output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        weights=weights.data,
        bias=bias_values(node),
        multiplier=multiplier,
        shift=shift,
    )


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that output rows begin..end-1 read."""
    return batch_rows(filter_windows(node)[0], node.input(0).shape[1], begin, end)


def input_columns(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Columns of the input that output columns begin..end-1 read."""
    return filter_windows(node)[1].input_range(begin, end, node.input(0).shape[2])


IN_CHANNELS = Access(Unit.CHANNEL, input_rows)
"""Some channels after the other, in each some rows after the other."""

IN_PLANES = Access(Unit.CHANNEL, input_rows, reads_once=True)
"""The kernels for 3 x 3 taps keep in their planes the rows that the next strip needs as well."""


@dataclass(frozen=True, slots=True)
class DepthwiseConv2D(Op):
    padding: Padding = Padding.SAME
    stride_w: int = 0
    stride_h: int = 0
    depth_multiplier: int = 0
    fused_activation_function: FusedActivation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1

    name: ClassVar[str] = "DEPTHWISE_CONV_2D"
    version: ClassVar[int] = 7
    options: ClassVar[str | None] = "DepthwiseConv2DOptions"
    arity: ClassVar[tuple[int, int]] = (2, 3)
    constraints = (
        one_channel_each(3),
        *rules.INT8_CONVOLUTION,
        filter_fits,
        one_scale_or_one_a_channel(3),
        accumulators_fit(3),
    )
    kernels = (
        depthwise_dsp.kernel_3x3("depthwise_conv2d_s8__dsp_3x3l", depthwise_dsp.LARGE, IN_PLANES),
        depthwise_dsp.kernel_3x3("depthwise_conv2d_s8__dsp_3x3", depthwise_dsp.SMALL, IN_PLANES),
        depthwise_dsp.kernel_3x3("depthwise_conv2d_s8__dsp_3x3lean", depthwise_dsp.LEAN, IN_PLANES),
        depthwise_dsp.kernel_3x3("depthwise_conv2d_s8__dsp_3x3thin", depthwise_dsp.THIN, IN_PLANES),
        depthwise_dsp.kernel_3x3("depthwise_conv2d_s8__dsp_3x3bare", depthwise_dsp.BARE, IN_PLANES),
        Kernel(
            "depthwise_conv2d_s8__dsp",
            access=IN_CHANNELS,
            params=depthwise_taps.params,
            scratch_bytes=depthwise_taps.scratch_bytes,
            switches=depthwise_taps.switches,
            features=dsp.DSP,
            constraints=(depthwise_taps.one_dilation, depthwise_dsp.requantises, depthwise_taps.offsets_fit),
            cost=depthwise_taps.cost,
            call_cost=depthwise_taps.call_instructions,
        ),
        Kernel(
            "depthwise_conv2d_s8__c",
            access=Access(Unit.ELEMENT, input_rows, input_columns=input_columns, by_channel=True),
            params=params,
            cost=weighted(7, 30, 60, 750),
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        down, across = filter_windows(node)
        return ((node.input(0).shape[0], down.output, across.output, node.input(1).shape[3]),)

    def macs(self, node: Node) -> int:
        _, taps_h, taps_w, _ = node.input(1).shape
        return node.output.elements * taps_h * taps_w

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        data, weights, bias = values[0], values[1], values[2] if len(values) > 2 else None
        assert data is not None and weights is not None
        output = node.output
        accumulator = convolve_channels(node, data.astype(np.int64) - node.input(0).zero_point, weights[0])
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
class BorderedDepthwiseConv2D(DepthwiseConv2D):
    """One that has taken over a PAD in front of it; made by a pass, never read from a file."""

    border: Border = NO_BORDER


def convolve_channels(node: Node, data: Array, weights: Array) -> Array:
    """int64 accumulators (batch, height, width, outputs) of data (NHWC) and weights (taps, taps, outputs)."""
    down, across = filter_windows(node)
    batch, height, width, channels = data.shape
    outputs = weights.shape[2]
    source = np.repeat(data, outputs // channels, axis=3)
    result = np.zeros((batch, down.output, across.output, outputs), np.int64)
    for y in range(down.output):
        for x in range(across.output):
            for tap_y in range(down.taps):
                for tap_x in range(across.taps):
                    row = y * down.stride + tap_y * down.dilation - down.before
                    column = x * across.stride + tap_x * across.dilation - across.before
                    if 0 <= row < height and 0 <= column < width:
                        result[:, y, x] += source[:, row, column] * weights[tap_y, tap_x].astype(np.int64)
    return result
