"""The reference arithmetic in numpy: gemmlowp's fixed point as TensorFlow Lite's reference kernels use it.

Written for obviousness, on int64 arrays. The constants that the generated C uses are computed elsewhere
(`tinygen.ops.constants`), on purpose by other means, so that the two cannot agree on one mistake.
"""

from __future__ import annotations

import math

import numpy as np

from tinygen.ir import Activation, Array, Clamp, DType, FusedActivation, Rounding

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real factor as (multiplier, shift): real ≈ multiplier × 2^(shift − 31), multiplier in [2³⁰, 2³¹).

    TensorFlow Lite's QuantizeMultiplier: a shift below −31 gives (0, 0), one above 30 saturates.
    """
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return INT32_MAX, 30
    return multiplier, shift


def wrap_int32(values: Array) -> Array:
    """int64 values as two's complement int32 arithmetic leaves them, still in int64."""
    wrapped: Array = (values + 2**31) % 2**32 - 2**31
    return wrapped


def saturating_rounding_doubling_high_mul(a: Array, b: Array | int) -> Array:
    """gemmlowp's SaturatingRoundingDoublingHighMul on int64 arrays that hold int32 values."""
    product = a * b
    nudge = np.where(product >= 0, 2**30, 1 - 2**30)
    total = product + nudge
    quotient = np.where(total >= 0, total // 2**31, -((-total) // 2**31))
    return np.minimum(quotient, INT32_MAX)


def rounding_divide_by_pot(values: Array, exponent: Array | int) -> Array:
    """gemmlowp's RoundingDivideByPOT: division by 2^exponent, halves away from zero."""
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    remainder = values & mask
    threshold = (mask >> 1) + (values < 0)
    rounded: Array = (values >> exponent) + (remainder > threshold)
    return rounded


def multiply_by_quantized_multiplier(
    values: Array, multiplier: Array | int, shift: Array | int, rounding: Rounding
) -> Array:
    """int32 values (as int64) × multiplier × 2^(shift − 31), rounded as the reference does; broadcasts."""
    values = values.astype(np.int64)
    shift = np.asarray(shift, np.int64)
    if rounding is Rounding.SINGLE:
        rounded: Array = (values * multiplier + (np.int64(1) << (30 - shift))) >> (31 - shift)
        return rounded
    scaled = wrap_int32(values << np.maximum(shift, 0))
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(scaled, multiplier), np.maximum(-shift, 0))


def activation_range(activation: FusedActivation, scale: float, zero_point: int, dtype: DType) -> tuple[int, int]:
    """Quantised bounds that a fused activation imposes (CalculateActivationRangeQuantized, in float32)."""
    if isinstance(activation, Clamp):
        return activation.lower, activation.upper
    info = np.iinfo(dtype.numpy)
    low, high = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU6: (0.0, 6.0),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
    }[activation]

    def quantized(real: float) -> int:
        ratio = float(np.float32(real) / np.float32(scale))
        return zero_point + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))

    minimum = int(info.min) if low is None else max(int(info.min), quantized(low))
    maximum = int(info.max) if high is None else min(int(info.max), quantized(high))
    return minimum, maximum


def requantize(
    accumulator: Array,
    real_multipliers: list[float],
    rounding: Rounding,
    zero_point: int,
    bounds: tuple[int, int],
    dtype: DType,
) -> Array:
    """Accumulators (…, channels) to quantised outputs: scale per channel or once, add the zero point, clamp."""
    pairs = [quantize_multiplier(real) for real in real_multipliers]
    multiplier = np.array([m for m, _ in pairs], np.int64)
    shift = np.array([s for _, s in pairs], np.int64)
    scaled = multiply_by_quantized_multiplier(accumulator, multiplier, shift, rounding)
    clamped: Array = np.clip(scaled + zero_point, *bounds).astype(dtype.numpy)
    return clamped
