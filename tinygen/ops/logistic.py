"""LOGISTIC: 1 / (1 + exp(−x)). litert evaluates it in float32, tflm in gemmlowp's fixed point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import gemmlowp
from tinygen.fixedpoint import multiply_by_quantized_multiplier, rounding_divide_by_pot
from tinygen.ir import Array, Node, Op, Reference, Rounding, Shape
from tinygen.ops import rules
from tinygen.ops.lut import LUT

INTEGER_BITS = 4
"""tflm brings the input to a range of ±16 and calls everything beyond ±15 saturated."""


def input_scale_in_range(node: Node) -> str | None:
    """The input scale must be at least 2^-27 and below 2^30."""
    return None if 2.0**-27 <= node.input(0).scale < 2.0**30 else f"{node.input(0).scale}"


def unit_output(node: Node) -> str | None:
    """The output must have scale 1/256 and zero point -128."""
    output = node.output
    fits = output.scale == 1 / 256 and output.zero_point == -128
    return None if fits else f"scale {output.scale}, zero point {output.zero_point}"


def in_float(node: Node, data: Array, function: Callable[[Array], Array]) -> Array:
    """litert's table: dequantise, apply a float32 function, quantise, halves away from zero."""
    source, output = node.input(0), node.output
    real = np.float32(source.scale) * (data.astype(np.int32) - source.zero_point).astype(np.float32)
    steps = function(real) * (np.float32(1) / np.float32(output.scale))
    rounded = np.trunc(steps + np.copysign(np.float64(0.5), steps)) + output.zero_point
    clamped: Array = np.clip(rounded, -128, 127).astype(np.int8)
    return clamped


def in_fixed_point(
    node: Node, data: Array, function: Callable[[Array, int], Array], fraction_bits: int, zero_point: int
) -> Array:
    """tflm's int8 evaluation of a gemmlowp function; the output's quantisation is the function's own."""
    source = node.input(0)
    mantissa, shift = math.frexp(source.scale * 2 ** (31 - INTEGER_BITS))
    multiplier = int(mantissa * 2**31)  # exact: a float32 has 24 bits
    radius = (2**INTEGER_BITS - 1) * 2 ** (31 - INTEGER_BITS) // 2**shift
    centred = data.astype(np.int64) - source.zero_point
    inside = np.where(np.abs(centred) < radius, centred, 0)
    scaled = multiply_by_quantized_multiplier(inside, multiplier, shift, Rounding.DOUBLE)
    result = rounding_divide_by_pot(function(scaled, INTEGER_BITS), 31 - fraction_bits) + zero_point
    result = np.where(centred >= radius, 127, result)
    result = np.where(centred <= -radius, -128, result)
    clamped: Array = np.clip(result, -128, 127).astype(np.int8)
    return clamped


def _logistic(real: Array) -> Array:
    """In float32, with the exponential rounded correctly."""
    with np.errstate(over="ignore"):
        exponential = np.exp(-real.astype(np.float64)).astype(np.float32)
    result: Array = np.float32(1) / (np.float32(1) + exponential)
    return result


@dataclass(frozen=True, slots=True)
class Logistic(Op):
    name: ClassVar[str] = "LOGISTIC"
    version: ClassVar[int] = 3
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, input_scale_in_range, unit_output)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        if reference is Reference.LITERT:
            return (in_float(node, data, _logistic),)
        return (in_fixed_point(node, data, gemmlowp.logistic, fraction_bits=8, zero_point=-128),)
