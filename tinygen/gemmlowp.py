"""gemmlowp's fixed-point exponential, logistic and tanh in numpy, as TensorFlow Lite Micro evaluates them.

A value with k integer bits is an int64 array of raw int32 values, real = raw × 2^(k − 31).
"""

from __future__ import annotations

import numpy as np

from tinygen.fixedpoint import INT32_MAX, INT32_MIN, rounding_divide_by_pot, saturating_rounding_doubling_high_mul
from tinygen.ir import Array

ONE = INT32_MAX
"""1.0 with no integer bits."""

ONE_2 = 1 << 29
"""1.0 with two integer bits."""

EXP_MINUS_POWERS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
"""exp(−2^n) with no integer bits."""


def multiply_by_pot(values: Array, exponent: int) -> Array:
    """Values × 2^exponent, saturating to the left and rounding to nearest to the right."""
    if exponent <= 0:
        return rounding_divide_by_pot(values, -exponent)
    shifted: Array = np.clip(values << exponent, INT32_MIN, INT32_MAX)
    return shifted


def exp_on_negative_values(a: Array, integer_bits: int) -> Array:
    """exp(a) for a ≤ 0 with `integer_bits`; the result has no integer bits."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    offset = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_0(multiply_by_pot(offset, integer_bits))
    remainder = offset - a
    for exponent, factor in EXP_MINUS_POWERS.items():
        if integer_bits > exponent:
            is_set = (remainder & (1 << (fraction_bits + exponent))) != 0
            result = np.where(is_set, saturating_rounding_doubling_high_mul(result, factor), result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (36 - integer_bits)), 0, result)
    return np.where(a == 0, ONE, result)


def one_over_one_plus_x(x: Array) -> Array:
    """1 / (1 + x) for x in (0, 1); no integer bits."""
    return multiply_by_pot(_reciprocal_of_half_denominator(x), 1)


def one_minus_x_over_one_plus_x(x: Array) -> Array:
    """(1 − x) / (1 + x) for x in (0, 1); no integer bits."""
    return multiply_by_pot(_reciprocal_of_half_denominator(x) - ONE_2, 2)


def logistic(a: Array, integer_bits: int) -> Array:
    """1 / (1 + exp(−a)); the result has no integer bits."""
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(a: Array, integer_bits: int) -> Array:
    """tanh(a); the result has no integer bits."""
    magnitude = one_minus_x_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits + 1))
    return np.where(a == 0, 0, np.where(a > 0, magnitude, -magnitude))


def _exp_between_minus_quarter_and_0(a: Array) -> Array:
    """exp(a) for −1/4 ≤ a < 0: a Taylor expansion about −1/8; no integer bits."""
    multiply = saturating_rounding_doubling_high_mul
    constant_term, one_third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = multiply(x, x)
    x3 = multiply(x2, x)
    x4_over_4 = rounding_divide_by_pot(multiply(x2, x2), 2)
    series = rounding_divide_by_pot(multiply(x4_over_4 + x3, one_third) + x2, 1)
    result: Array = constant_term + multiply(x + series, constant_term)
    return result


def _reciprocal_of_half_denominator(x: Array) -> Array:
    """2 / (1 + x) with two integer bits, by three steps of Newton and Raphson."""
    multiply = saturating_rounding_doubling_high_mul
    half_denominator = (x + ONE + 1) // 2
    estimate = 1515870810 + multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = ONE_2 - multiply(half_denominator, estimate)
        estimate = estimate + multiply_by_pot(multiply(estimate, error), 2)
    return estimate
