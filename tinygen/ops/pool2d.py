"""AVERAGE_POOL_2D and MAX_POOL_2D: rounded mean or maximum of the window's elements that lie inside the input."""

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
    Cost,
    FusedActivation,
    Int32,
    Kernel,
    Node,
    Op,
    Padding,
    Params,
    Reference,
    Shape,
    Unit,
)
from tinygen.ops import rules
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.dsp import DSP
from tinygen.ops.sums import SUMS, half_sums_bytes, half_sums_instructions, rows_of_one_item, word_sums_bytes
from tinygen.ops.window import Window, batch_rows

LARGEST_WINDOW = 1 << 20
"""Elements; 255 × 2^20 leaves room in 32 bits for the rounding of an average."""

LARGEST_DSP_WINDOW = 256
"""Elements; −128 × 256 = −2^15 fits half a word."""

SCALE_TOLERANCE = 1e-6


def windows(node: Node) -> tuple[Window, Window]:
    """The windows along height and width."""
    op = node.op
    assert isinstance(op, Pool2D)
    _, height, width, _ = node.input(0).shape
    return (
        Window.of(height, op.filter_height, op.stride_h, 1, op.padding),
        Window.of(width, op.filter_width, op.stride_w, 1, op.padding),
    )


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that output rows begin..end-1 read."""
    return batch_rows(windows(node)[0], node.input(0).shape[1], begin, end)


def input_columns(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Columns of the input that output columns begin..end-1 read."""
    return windows(node)[1].input_range(begin, end, node.input(0).shape[2])


POOL = Access(Unit.ELEMENT, input_rows, input_columns=input_columns, by_channel=True)


def same_quantisation(node: Node) -> str | None:
    """Input and output must have the same scale, within 1e-6, and the same zero point."""
    data, output = node.input(0), node.output
    if abs(data.scale - output.scale) <= SCALE_TOLERANCE and data.zero_point == output.zero_point:
        return None
    return f"scales {data.scale} and {output.scale}, zero points {data.zero_point} and {output.zero_point}"


def window_size(node: Node) -> str | None:
    """The window may have at most 2^20 elements."""
    op = node.op
    assert isinstance(op, Pool2D)
    return None if op.filter_height * op.filter_width <= LARGEST_WINDOW else f"{op.filter_height}x{op.filter_width}"


@dataclass(frozen=True, slots=True)
class Pool2DParams(Params):
    input_height: Int32
    input_width: Int32
    channels: Int32
    output_height: Int32
    output_width: Int32
    filter_height: Int32
    filter_width: Int32
    stride_h: Int32
    stride_w: Int32
    pad_top: Int32
    pad_left: Int32
    clamp_min: Int32
    clamp_max: Int32


def params(node: Node, reference: Reference) -> Pool2DParams:
    """What the pooling kernels are given."""
    op, data, output = node.op, node.input(0), node.output
    assert isinstance(op, Pool2D)
    down, across = windows(node)
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, output)
    return Pool2DParams(
        input_height=data.shape[1],
        input_width=data.shape[2],
        channels=data.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        filter_height=down.taps,
        filter_width=across.taps,
        stride_h=down.stride,
        stride_w=across.stride,
        pad_top=down.before,
        pad_left=across.before,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def small_window(node: Node) -> str | None:
    """The window must have at most 256 elements, whose sum fits half a word."""
    down, across = windows(node)
    _, height, width, _ = node.input(0).shape
    largest = min(down.taps, height) * min(across.taps, width)
    return None if largest <= LARGEST_DSP_WINDOW else f"{largest} elements"


def four_channels(node: Node) -> str | None:
    """There must be at least four channels, which lie in one word."""
    channels = node.input(0).shape[3]
    return None if channels >= 4 else f"{channels} channels"


def cost(node: Node, reference: Reference) -> Cost:
    """What the portable kernels cost: about 5.5 instructions an element of a window, measured on Cortex-M4."""
    down, across = windows(node)
    return Cost(60 + round(node.output.elements * (25 + 5.5 * down.taps * across.taps)), 0, 420)


def dsp_cost(node: Node, reference: Reference) -> Cost:
    """What the kernels for DSP cost: one word of a pixel takes three instructions and its share of the loop."""
    down, across = windows(node)
    _, _, _, channels = node.output.shape
    sixteens, fours, ones = channels // 16, channels % 16 // 4, channels % 4
    run = down.taps * (15 * across.taps + 25), down.taps * (6 * across.taps + 20), down.taps * (5 * across.taps + 15)
    pixel = 80 + sixteens * (run[0] + 70) + fours * (run[1] + 30) + ones * (run[2] + 20)
    return Cost(60 + node.output.elements // channels * pixel, 0, 700)


def rows_call(node: Node, rows: int) -> int:
    """Instructions of a call of average_pool2d_s8__c_rows."""
    _, across = windows(node)
    return 70 + rows * node.output.nhwc[2] * (30 + 7 * across.taps * node.output.nhwc[3])


def rows_cost(node: Node, reference: Reference) -> Cost:
    """What average_pool2d_s8__c_rows costs in one call."""
    return Cost(rows_call(node, node.input(0).rows) + 25 * node.output.elements, 0, 480)


def dsp_rows_call(node: Node, rows: int) -> int:
    """Instructions of a call of average_pool2d_s8__dsp_rows."""
    _, across = windows(node)
    _, _, width, channels = node.output.nhwc
    return 70 + rows * width * (25 + half_sums_instructions(channels, across.taps))


def dsp_rows_cost(node: Node, reference: Reference) -> Cost:
    """What average_pool2d_s8__dsp_rows costs in one call."""
    return Cost(dsp_rows_call(node, node.input(0).rows) + 8 * node.output.elements, 0, 760)


@dataclass(frozen=True, slots=True)
class Pool2D(Op):
    padding: Padding = Padding.SAME
    stride_w: int = 0
    stride_h: int = 0
    filter_width: int = 0
    filter_height: int = 0
    fused_activation_function: FusedActivation = Activation.NONE

    options: ClassVar[str | None] = "Pool2DOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (
        rules.int8_data,
        rules.per_tensor_data,
        rules.rank_4,
        same_quantisation,
        rules.clamping_activation,
        rules.clamp_fits_int32,
        window_size,
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        down, across = windows(node)
        batch, _, _, channels = node.input(0).shape
        return ((batch, down.output, across.output, channels),)


@dataclass(frozen=True, slots=True)
class AveragePool2D(Pool2D):
    name: ClassVar[str] = "AVERAGE_POOL_2D"
    version: ClassVar[int] = 3
    kernels = (
        Kernel(
            "average_pool2d_s8__dsp",
            access=POOL,
            params=params,
            features=DSP,
            constraints=(small_window, four_channels),
            cost=dsp_cost,
        ),
        Kernel(
            "average_pool2d_s8__dsp_rows",
            access=SUMS,
            params=params,
            scratch_bytes=half_sums_bytes,
            features=DSP,
            constraints=(rows_of_one_item, small_window, four_channels),
            cost=dsp_rows_cost,
            call_cost=dsp_rows_call,
        ),
        Kernel(
            "average_pool2d_s8__c_rows",
            access=SUMS,
            params=params,
            scratch_bytes=word_sums_bytes,
            constraints=(rows_of_one_item,),
            cost=rows_cost,
            call_cost=rows_call,
        ),
        Kernel("average_pool2d_s8__c", access=POOL, params=params, cost=cost),
    )

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,), output = values, node.output
        assert data is not None
        down, across = windows(node)
        result = np.zeros(output.shape, np.int64)
        for y, x in np.ndindex(down.output, across.output):
            rows = slice(*down.input_range(y, y + 1, data.shape[1]))
            columns = slice(*across.input_range(x, x + 1, data.shape[2]))
            patch = data[:, rows, columns].astype(np.int64)
            count = patch.shape[1] * patch.shape[2]
            total = patch.sum((1, 2))
            # halves away from zero
            result[:, y, x] = np.sign(total) * ((np.abs(total) + count // 2) // count)
        bounds = fixedpoint.activation_range(
            self.fused_activation_function, output.scale, output.zero_point, output.dtype
        )
        return (np.clip(result, *bounds).astype(np.int8),)


@dataclass(frozen=True, slots=True)
class MaxPool2D(Pool2D):
    name: ClassVar[str] = "MAX_POOL_2D"
    version: ClassVar[int] = 3
    kernels = (
        Kernel(
            "max_pool2d_s8__dsp",
            access=POOL,
            params=params,
            features=DSP,
            constraints=(four_channels,),
            cost=dsp_cost,
        ),
        Kernel("max_pool2d_s8__c", access=POOL, params=params, cost=cost),
    )

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,), output = values, node.output
        assert data is not None
        down, across = windows(node)
        result = np.zeros(output.shape, np.int64)
        for y, x in np.ndindex(down.output, across.output):
            rows = slice(*down.input_range(y, y + 1, data.shape[1]))
            columns = slice(*across.input_range(x, x + 1, data.shape[2]))
            result[:, y, x] = data[:, rows, columns].max((1, 2))
        bounds = fixedpoint.activation_range(
            self.fused_activation_function, output.scale, output.zero_point, output.dtype
        )
        return (np.clip(result, *bounds).astype(np.int8),)
