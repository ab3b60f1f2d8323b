"""Layers of which each kernel is right at its limit and wrong a word further: sizes for which every byte counts.

A kernel states pixels or rows, and what it writes last within one harms nobody; so the last word that it writes must
come before another read of the first word that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.support.models import ModelBuilder, Operand

Add = Callable[[ModelBuilder, np.random.Generator], None]
Rng = np.random.Generator


def _weights(b: ModelBuilder, rng: Rng, shape: tuple[int, ...]) -> Operand:
    return b.constant(rng.integers(-127, 128, shape).astype(np.int8), scales=0.01)


def convolution(shape: tuple[int, ...], taps: int, outputs: int) -> Add:
    """CONV_2D, as large as its input."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input(shape, scale=0.05), b.tensor((*shape[:3], outputs), scale=0.05)
        filters = _weights(b, rng, (outputs, taps, taps, shape[3]))
        b.node("CONV_2D", [x, filters, None], [y], stride_w=1, stride_h=1, padding="SAME")
        b.output(y)

    return add


def depthwise(shape: tuple[int, ...], taps: int = 3) -> Add:
    """DEPTHWISE_CONV_2D, as large as its input."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input(shape, scale=0.05), b.tensor(shape, scale=0.05)
        filters = _weights(b, rng, (1, taps, taps, shape[3]))
        options = {"stride_w": 1, "stride_h": 1, "padding": "SAME", "depth_multiplier": 1}
        b.node("DEPTHWISE_CONV_2D", [x, filters, None], [y], **options)
        b.output(y)

    return add


def expansion(shape: tuple[int, ...], channels: int, taps: int) -> Add:
    """Two convolutions that a pass makes one operator of."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, between, y = (
            b.input(shape, scale=0.05),
            b.tensor((*shape[:3], channels), scale=0.05),
            b.tensor((*shape[:3], channels), scale=0.05),
        )
        one = {"stride_w": 1, "stride_h": 1, "padding": "SAME"}
        b.node("CONV_2D", [x, _weights(b, rng, (channels, 1, 1, shape[3])), None], [between], **one)
        filters = _weights(b, rng, (1, taps, taps, channels))
        b.node("DEPTHWISE_CONV_2D", [between, filters, None], [y], **one, depth_multiplier=1)
        b.output(y)

    return add


def dense(items: int, inputs: int, outputs: int) -> Add:
    """FULLY_CONNECTED."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input((items, inputs), scale=0.05), b.tensor((items, outputs), scale=0.05)
        b.node("FULLY_CONNECTED", [x, _weights(b, rng, (outputs, inputs)), None], [y])
        b.output(y)

    return add


def pool(operator: str, shape: tuple[int, ...]) -> Add:
    """A window of 3 x 3, as many outputs as inputs."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input(shape, scale=0.05), b.tensor(shape, scale=0.05)
        window = {"filter_height": 3, "filter_width": 3, "stride_w": 1, "stride_h": 1, "padding": "SAME"}
        b.node(operator, [x], [y], version=2, **window)
        b.output(y)

    return add


def mean(shape: tuple[int, ...], axes: tuple[int, ...]) -> Add:
    """MEAN."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        result = [size for axis, size in enumerate(shape) if axis not in axes]
        x, y = b.input(shape, scale=0.05), b.tensor(result, scale=0.02)
        b.node("MEAN", [x, b.constant(np.array(axes, np.int32))], [y], version=2)
        b.output(y)

    return add


def binary(operator: str, first: tuple[int, ...], second: tuple[int, ...], output_scale: float = 0.1) -> Add:
    """ADD, SUB or MUL."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        y = b.tensor(np.broadcast_shapes(first, second), scale=output_scale)
        b.node(operator, [b.input(first, scale=0.0625), b.input(second, scale=0.0625)], [y], version=2)
        b.output(y)

    return add


def unary(operator: str, shape: tuple[int, ...], to: str = "int8", source: str = "int8") -> Add:
    """An operator of one tensor, as large as its output."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        point = {"int8": 0, "uint8": 128, "float32": 0}
        sizes = [0.05 if kind != "float32" else None for kind in (source, to)]
        x = b.input(shape, source, scale=sizes[0], zero_point=point[source])
        if operator in ("LOGISTIC", "SOFTMAX"):
            y = b.tensor(shape, scale=1 / 256, zero_point=-128)
        else:
            y = b.tensor(shape, to, scale=sizes[1], zero_point=point[to])
        options = {"beta": 1.0} if operator == "SOFTMAX" else {}
        b.node(operator, [x], [y], version=1 if options else 2, **options)
        b.output(y)

    return add


def concatenation(shape: tuple[int, ...], axis: int) -> Add:
    """Three inputs of one shape."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        operands = [b.input(shape, scale=0.05) for _ in range(3)]
        sizes = [3 * size if number == axis else size for number, size in enumerate(shape)]
        y = b.tensor(sizes, scale=0.05)
        b.node("CONCATENATION", operands, [y], version=2, axis=axis)
        b.output(y)

    return add


def pad(shape: tuple[int, ...], table: list[list[int]]) -> Add:
    """PAD."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        sizes = [size + sum(own) for size, own in zip(shape, table, strict=True)]
        x, y = b.input(shape, scale=0.05), b.tensor(sizes, scale=0.05)
        b.node("PAD", [x, b.constant(np.array(table, np.int32))], [y])
        b.output(y)

    return add


def window_of_all_rows(shape: tuple[int, ...]) -> Add:
    """AVERAGE_POOL_2D to one row."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input(shape, scale=0.05), b.tensor((1, 1, shape[2], shape[3]), scale=0.05)
        window = {"filter_height": shape[1], "filter_width": 1, "stride_w": 1, "stride_h": shape[1], "padding": "VALID"}
        b.node("AVERAGE_POOL_2D", [x], [y], version=2, **window)
        b.output(y)

    return add


def dense_of_rows(shape: tuple[int, ...], outputs: int) -> Add:
    """FULLY_CONNECTED of one item of several rows."""

    def add(b: ModelBuilder, rng: Rng) -> None:
        x, y = b.input(shape, scale=0.05), b.tensor((1, outputs), scale=0.5)
        b.node("FULLY_CONNECTED", [x, _weights(b, rng, (outputs, int(np.prod(shape)))), None], [y])
        b.output(y)

    return add


@dataclass(frozen=True)
class Edge:
    """A layer and the kernels that it is for, a regular expression of their names.

    steps       words or pixels from the limit to where it breaks: what the kernel states is `steps` - 1 too modest
    by_channel  whether the output lies a whole number of pixels from the operand, if the kernel keeps channels apart
    """

    add: Add
    kernels: str
    steps: int = 1
    by_channel: bool = True

    def is_for(self, kernel: str) -> bool:
        """Whether it is for a kernel."""
        return re.fullmatch(self.kernels, kernel) is not None


EDGES: tuple[Edge, ...] = (
    Edge(convolution((1, 5, 7, 8), 1, 8), "conv2d_s8__(dsp|dsp_loop|dsp_1p|dsp_2p|dsp_direct|c)"),
    Edge(convolution((1, 5, 7, 8), 1, 9), "conv2d_s8__(dsp|c)_backward"),
    # of two rows the last columns are made together, when nothing but they is needed: 28 bytes
    Edge(convolution((1, 5, 9, 4), 3, 2), "conv2d_s8__dsp_winograd", steps=8),
    Edge(depthwise((1, 6, 7, 8)), "depthwise_conv2d_s8__(dsp_3x3thin|dsp_3x3bare|c)"),
    # more rows than their planes have
    Edge(depthwise((1, 96, 30, 4)), "depthwise_conv2d_s8__(dsp|dsp_3x3|dsp_3x3l|dsp_3x3lean)"),
    Edge(depthwise((1, 6, 6, 3)), "depthwise_conv2d_s8__(dsp|dsp_3x3|dsp_3x3lean|dsp_3x3thin|c)", by_channel=False),
    Edge(depthwise((1, 96, 29, 3)), "depthwise_conv2d_s8__dsp_3x3l", by_channel=False),
    # has four channels or more, of which the last are not read after the first are written: 4 bytes
    Edge(depthwise((1, 6, 8, 5)), "depthwise_conv2d_s8__dsp_3x3bare", steps=2, by_channel=False),
    Edge(expansion((1, 6, 7, 6), 17, 3), "expand_depthwise_s8__.*"),
    Edge(dense(4, 8, 9), "fully_connected_s8__.*"),
    Edge(pool("AVERAGE_POOL_2D", (1, 6, 6, 5)), "average_pool2d_s8__.*"),
    Edge(pool("AVERAGE_POOL_2D", (1, 6, 6, 3)), "average_pool2d_s8__c", by_channel=False),
    Edge(pool("MAX_POOL_2D", (1, 6, 6, 5)), "max_pool2d_s8__.*"),
    Edge(pool("MAX_POOL_2D", (1, 6, 6, 3)), "max_pool2d_s8__c", by_channel=False),
    # the same as with dsp_3x3bare
    Edge(pool("AVERAGE_POOL_2D", (1, 6, 6, 5)), "average_pool2d_s8__dsp", steps=2, by_channel=False),
    Edge(pool("MAX_POOL_2D", (1, 6, 6, 5)), "max_pool2d_s8__dsp", steps=2, by_channel=False),
    Edge(mean((1, 6, 7, 20), (1, 2)), "mean_s8__.*"),
    Edge(mean((2, 6, 7, 20), (1, 2)), "mean_s8__.*"),
    Edge(binary("ADD", (1, 3, 4, 8), (1, 3, 4, 8), 0.0625), "add_s8__.*"),
    Edge(binary("ADD", (1, 3, 4, 3), (3,), 0.0625), "add_s8__.*"),
    Edge(binary("SUB", (1, 3, 4, 8), (1, 3, 4, 8), 0.0625), "add_s8__.*"),
    Edge(binary("SUB", (3,), (1, 3, 4, 3), 0.0625), "add_s8__.*"),
    Edge(binary("MUL", (1, 3, 4, 8), (1, 3, 4, 8), 0.3), "mul_s8__.*"),
    Edge(binary("MUL", (1, 3, 4, 3), (3,), 0.3), "mul_s8__.*"),
    Edge(unary("LOGISTIC", (1, 3, 4, 8)), "lut_s8__c"),
    # so long that no output is above the greatest input, whose difference no table has
    Edge(unary("SOFTMAX", (2, 600)), "softmax_s8__c"),
    Edge(unary("QUANTIZE", (1, 3, 4, 8), source="float32"), "quantize_f32_s8__c"),
    Edge(unary("DEQUANTIZE", (1, 3, 4, 8), to="float32"), "dequantize_s8_f32__c"),
    Edge(unary("DEQUANTIZE", (1, 3, 4, 8), to="float32", source="uint8"), "dequantize_u8_f32__c"),
    Edge(concatenation((1, 3, 4, 8), 1), "concatenation_s8__c"),
    Edge(pad((1, 3, 4, 8), [[0, 0], [1, 1], [0, 0], [0, 0]]), "pad_s8__c"),
)

SUMS: tuple[Edge, ...] = (
    Edge(window_of_all_rows((1, 5, 2, 20)), "average_pool2d_s8__.*_rows"),
    Edge(mean((1, 5, 3, 20), (1, 2)), "mean_s8__.*_rows"),
    Edge(dense_of_rows((1, 5, 2, 8), 20), "fully_connected_s8__.*_rows"),
)
"""Of kernels that accumulate, which state no limit for their output, but for their sums."""
