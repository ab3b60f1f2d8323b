"""HARD_SWISH: x · relu6(x + 3) / 6, in the references' 16-bit fixed point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import Array, Node, Op, Reference, Shape
from tinygen.ops import rules
from tinygen.ops.lut import LUT

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1


def factors(node: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, exponent) towards the output's scale, and towards the scale on which 3.0 is 32768."""
    output, reluish = real_factors(node)
    return _multiplier_16(output), _multiplier_16(reluish)


def real_factors(node: Node) -> tuple[float, float]:
    """The same before they become fixed point; divided in float32, as the references do."""
    fine = np.float32(1 / 128) * np.float32(node.input(0).scale)
    return float(fine / np.float32(node.output.scale)), float(fine / np.float32(3 / 32768))


def exponents_fit(node: Node) -> str | None:
    """The input scale must be from 2^-21 to 2^23, and from 2^-8 to 2^7 times the output scale."""
    if all(map(math.isfinite, real_factors(node))):
        (_, output), (_, reluish) = factors(node)
        if -15 <= output <= 0 and -15 <= reluish <= 30:
            return None
    return f"input scale {node.input(0).scale}, output scale {node.output.scale}"


def _multiplier_16(real: float) -> tuple[int, int]:
    """A real factor with a 15-bit multiplier, rounded half up from the 31-bit one."""
    multiplier, exponent = fixedpoint.quantize_multiplier(real)
    return min((multiplier + 2**15) >> 16, INT16_MAX), exponent


def _rounding_high_mul(a: Array, b: int) -> Array:
    """gemmlowp's SaturatingRoundingDoublingHighMul of 16-bit values; b is never −32768."""
    return _divide_towards_zero(a * b + np.where(a * b >= 0, 2**14, 1 - 2**14), 2**15)


def _divide_towards_zero(values: Array, divisor: int) -> Array:
    quotient: Array = np.sign(values) * (np.abs(values) // divisor)
    return quotient


def _shift_left_saturating(values: Array, amount: int) -> Array:
    shifted: Array = np.clip(values * 2**amount, INT16_MIN, INT16_MAX)
    return shifted


@dataclass(frozen=True, slots=True)
class HardSwish(Op):
    name: ClassVar[str] = "HARD_SWISH"
    version: ClassVar[int] = 1
    options: ClassVar[str | None] = "HardSwishOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, exponents_fit)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        (output_multiplier, output_exponent), (gate_multiplier, gate_exponent) = factors(node)
        fine = (data.astype(np.int64) - node.input(0).zero_point) * 2**7
        value = _rounding_high_mul(fine, output_multiplier)
        gate = _shift_left_saturating(fine, gate_exponent - 1) if gate_exponent > 0 else fine
        gate = _rounding_high_mul(gate, gate_multiplier)
        if gate_exponent > 0:
            gate = _shift_left_saturating(gate, 1)
        gate = fixedpoint.rounding_divide_by_pot(gate, max(0, -gate_exponent))
        gate = (gate + 2**15) >> 1
        product = _divide_towards_zero(gate * value, 2**15)
        result = fixedpoint.rounding_divide_by_pot(product, -output_exponent) + node.output.zero_point
        # the references add the zero point in 16 bits, where the sum can wrap
        return (np.clip(result.astype(np.int16), -128, 127).astype(np.int8),)
