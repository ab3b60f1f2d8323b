"""Constants that parameter structs of the C kernels hold, from exact rational arithmetic.

Shares no code with `tinygen.fixedpoint`, which the numpy reference uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tinygen.ir import Activation, Clamp, FusedActivation, Tensor


def multiplier_and_shift(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ≈ multiplier × 2^(shift − 31) and 2³⁰ ≤ multiplier < 2³¹, halves rounded up.

    A factor below 2⁻³² becomes (0, 0), as in TensorFlow Lite's QuantizeMultiplier; one of 2³⁰ or more saturates.
    """
    exact = Fraction(real)
    if exact == 0:
        return 0, 0
    shift = exact.numerator.bit_length() - exact.denominator.bit_length()
    while Fraction(2) ** shift <= exact:
        shift += 1
    while Fraction(2) ** (shift - 1) > exact:
        shift -= 1
    multiplier = int(exact * Fraction(2) ** (31 - shift) + Fraction(1, 2))
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    if shift < -31:
        return 0, 0
    return (multiplier, shift) if shift <= 30 else ((1 << 31) - 1, 30)


def multipliers_and_shifts(reals: Iterable[float]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    """Arrays of `multiplier_and_shift`, one entry a channel."""
    pairs = [multiplier_and_shift(real) for real in reals]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int8)


def clamp_bounds(activation: FusedActivation, output: Tensor) -> tuple[int, int]:
    """The quantised range that a fused activation leaves of the output's type.

    The real bound divided by the scale is rounded to float32 first, as the reference divides floats.
    """
    if isinstance(activation, Clamp):
        return activation.lower, activation.upper
    info = np.iinfo(output.dtype.numpy)
    low, high = int(info.min), int(info.max)
    reals: dict[Activation, tuple[int | None, int | None]] = {
        Activation.RELU: (0, None),
        Activation.RELU6: (0, 6),
        Activation.RELU_N1_TO_1: (-1, 1),
    }
    lower, upper = reals.get(activation, (None, None))
    if lower is not None:
        low = max(low, output.zero_point + _rounded_quotient(lower, output.scale))
    if upper is not None:
        high = min(high, output.zero_point + _rounded_quotient(upper, output.scale))
    return low, high


def _rounded_quotient(real: int, scale: float) -> int:
    """real ÷ scale rounded to float32, then to the nearest integer, halves away from zero."""
    quotient = Fraction(float(np.float32(float(Fraction(abs(real)) / Fraction(scale)))))
    magnitude = int(quotient + Fraction(1, 2))
    return magnitude if real >= 0 else -magnitude
