"""Fixed-point arithmetic against exact rational numbers, and its two independent computations against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from tinygen import fixedpoint, gemmlowp
from tinygen.fixedpoint import INT32_MAX, INT32_MIN
from tinygen.ir import Activation, DType, Quant, Rounding, Tensor
from tinygen.ops import exponentials
from tinygen.ops.constants import clamp_bounds, multiplier_and_shift, multipliers_and_shifts
from tinygen.ops.float_rounding import SINGLE_BITS, WIDE_BITS, first_sum, multiplier
from tinygen.ops.softmax import SUM_BITS

HALF = Fraction(1, 2)
CORNERS = [INT32_MIN, INT32_MIN + 1, -(2**30) - 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30 - 1, 2**30, INT32_MAX]


def half_up(exact: Fraction) -> int:
    return math.floor(exact + HALF)


def half_away(exact: Fraction) -> int:
    return half_up(exact) if exact >= 0 else -half_up(-exact)


def int32s(seed: int, count: int) -> list[int]:
    """Corners, then numbers of every magnitude."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(INT32_MIN, INT32_MAX, count, endpoint=True) >> rng.integers(0, 31, count)
    return [*CORNERS, *drawn.tolist()]


# --- fixedpoint ---------------------------------------------------------------------------------------------------


def test_the_high_product_is_the_exact_one_rounded_half_up_and_saturated() -> None:
    values = int32s(1, 150)
    products = fixedpoint.saturating_rounding_doubling_high_mul(
        np.array(values, np.int64)[:, None], np.array(values, np.int64)
    )
    expected = [[min(half_up(Fraction(a * b, 2**31)), INT32_MAX) for b in values] for a in values]
    assert products.tolist() == expected
    assert expected[0][0] == INT32_MAX, "−2³¹ × −2³¹ is the one product that saturates"


@pytest.mark.parametrize("exponent", range(32))
def test_division_by_a_power_of_two_rounds_halves_away_from_zero(exponent: int) -> None:
    halves = [sign * (k * 2**exponent + 2**exponent // 2) for k in (0, 1, 2, 5) for sign in (-1, 1)]
    values = [v for v in [*int32s(exponent, 300), *halves] if INT32_MIN <= v <= INT32_MAX]
    found = fixedpoint.rounding_divide_by_pot(np.array(values, np.int64), exponent)
    assert found.tolist() == [half_away(Fraction(v, 2**exponent)) for v in values]


def test_wrapping_is_the_remainder_in_the_int32_range() -> None:
    values = [*CORNERS, 2**31, 2**32 - 1, 2**32, -(2**31) - 1, 12345 * 2**32 + 7, -(2**62)]
    wrapped = fixedpoint.wrap_int32(np.array(values, np.int64)).tolist()
    assert all((w - v) % 2**32 == 0 and INT32_MIN <= w <= INT32_MAX for v, w in zip(values, wrapped, strict=True))


@pytest.mark.parametrize("shift", range(-31, 31))
def test_rounding_once_is_the_exact_product_rounded_half_up(shift: int) -> None:
    multipliers = [2**30, 2**30 + 1, 3 * 2**29, INT32_MAX]
    values = int32s(shift + 100, 200)
    for m in multipliers:
        found = fixedpoint.multiply_by_quantized_multiplier(np.array(values), m, shift, Rounding.SINGLE)
        assert found.tolist() == [half_up(Fraction(v * m) * Fraction(2) ** (shift - 31)) for v in values]


@pytest.mark.parametrize("shift", range(-31, 31))
def test_rounding_twice_is_high_product_then_division(shift: int) -> None:
    values = [v for v in int32s(shift + 200, 200) if shift <= 0 or INT32_MIN <= v << shift <= INT32_MAX]
    for m in (2**30, 2**30 + 1, 3 * 2**29, INT32_MAX):
        found = fixedpoint.multiply_by_quantized_multiplier(np.array(values), m, shift, Rounding.DOUBLE)
        highs = [half_up(Fraction((v << max(shift, 0)) * m, 2**31)) for v in values]
        assert found.tolist() == [half_away(Fraction(high) / 2 ** max(-shift, 0)) for high in highs]


@pytest.mark.parametrize("rounding", Rounding)
def test_requantising_scales_each_channel_adds_the_zero_point_and_clamps(rounding: Rounding) -> None:
    sums = np.array([[-1000, 0, 1000], [10, 10, 10]], np.int64)
    found = fixedpoint.requantize(sums, [0.5, 0.125, 0.25], rounding, -3, (-100, 90), DType.INT8)
    assert found.tolist() == [[-100, -3, 90], [2, -2, 0]]
    assert found.dtype == np.int8


# --- two ways to the same constants -------------------------------------------------------------------------------


def factors() -> Iterator[float]:
    """Halves of the last place, neighbours of powers of two, both ends of the range, subnormals, and random ones."""
    rng = np.random.default_rng(3)
    for exponent in range(-70, 70):
        power = 2.0**exponent
        yield from (power, math.nextafter(power, 0), math.nextafter(power, math.inf))
        yield from (power * (1 - 2.0**-32), power * (1 - 2.0**-33), power * (1 + 2.0**-31), power * (1 + 2.0**-30))
        for odd in (2 * rng.integers(2**30, 2**31, 20) + 1).tolist():  # exactly between two multipliers
            yield from (x := odd * power, math.nextafter(x, 0), math.nextafter(x, math.inf))
        yield from (power * rng.uniform(1, 2, 40)).tolist()
        yield from (np.float32(power) * rng.uniform(1, 2, 10).astype(np.float32)).astype(float).tolist()
    yield from (0.0, 5e-324, 2.2250738585072014e-308, 1e-300, 1e300, 1.7976931348623157e308)
    yield from (rng.uniform(2**31 - 4, 2**31 + 4, 200) / 2.0**31).tolist()


def test_both_quantisations_of_a_factor_agree_and_are_the_nearest() -> None:
    count = 0
    for real in factors():
        found = fixedpoint.quantize_multiplier(real)
        assert found == multiplier_and_shift(real), real.hex()
        m, shift = found
        if 2.0**-31 <= real < 2.0**30 * (1 - 2.0**-31):
            exact = Fraction(real) * Fraction(2) ** (31 - shift)
            assert 2**30 <= m < 2**31
            assert m == half_up(exact) or (m, half_up(exact * 2)) == (2**30, 2**31), real.hex()
            assert abs(Fraction(m) - exact) <= HALF
            count += 1
    assert count > 5000


@pytest.mark.parametrize(
    ("real", "pair"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (2.0**-32, (2**30, -31)),
        (math.nextafter(2.0**-32, 0), (2**30, -31)),  # rounds up to 2^-32
        (2.0**-32 * (1 - 2.0**-31), (0, 0)),
        (2.0**30 * (1 - 2.0**-31), (INT32_MAX, 30)),
        (2.0**30, (INT32_MAX, 30)),
        (1e300, (INT32_MAX, 30)),
        (1 - 2.0**-32, (2**30, 1)),
        (1 - 2.0**-31, (INT32_MAX, 0)),
    ],
)
@pytest.mark.parametrize("function", [fixedpoint.quantize_multiplier, multiplier_and_shift])
def test_the_ends_of_the_range_are_tflites(
    function: Callable[[float], tuple[int, int]], real: float, pair: tuple[int, int]
) -> None:
    assert function(real) == pair


def test_several_factors_become_arrays_of_the_structs_types() -> None:
    multipliers, shifts = multipliers_and_shifts([0.5, 1.0, 0.0])
    assert (multipliers.dtype, multipliers.tolist()) == (np.int32, [2**30, 2**30, 0])
    assert (shifts.dtype, shifts.tolist()) == (np.int8, [0, 1, 0])


@pytest.mark.parametrize("activation", [a for a in Activation if a not in (Activation.TANH, Activation.SIGN_BIT)])
@pytest.mark.parametrize("dtype", [DType.INT8, DType.UINT8])
def test_both_computations_of_an_activations_bounds_agree(activation: Activation, dtype: DType) -> None:
    rng = np.random.default_rng(4)
    info = np.iinfo(dtype.numpy)
    scales = [*(2.0**-e for e in range(24)), *(6 / k for k in range(1, 256)), *(10.0 ** rng.uniform(-6, 2, 400))]
    for scale in np.array(scales, np.float32).astype(float).tolist():
        for point in (info.min, info.max, 0, int(rng.integers(info.min, info.max, endpoint=True))):
            tensor = Tensor(0, "", (1,), dtype, Quant((scale,), (point,)))
            bounds = clamp_bounds(activation, tensor)
            assert bounds == fixedpoint.activation_range(activation, scale, point, dtype), (scale, point)


# --- float64 rounding as integers ---------------------------------------------------------------------------------


def rounded_like_float64(a: int, factor: float) -> int:
    """litert: the product rounded to float64, then to the nearest integer, halves away from zero."""
    return half_away(Fraction(a * factor))


def steep(seed: int) -> float:
    """A factor that reaches several outputs within a few thousand sums; every second one is full of exact halves."""
    rng = np.random.default_rng(seed)
    factor = float(2.0 ** rng.uniform(-9, -2))
    return round(factor * 1024) / 1024 + 1 / 1024 if seed % 2 else factor


@pytest.mark.parametrize("seed", range(40))
def test_the_integer_multiplier_rounds_every_sum_as_float64_does(seed: int) -> None:
    factor, low, high = steep(seed), -3000, 2500
    outputs = (-128 - seed, 127 - seed)
    found = multiplier(factor, (low, high), outputs, SINGLE_BITS)
    assert found is not None
    m, shift = found
    assert 0 <= m < 2**SINGLE_BITS
    for a in range(low, high + 1):
        integer = (a * m + (1 << (shift - 1))) >> shift
        expected = rounded_like_float64(a, factor)
        assert min(max(integer, outputs[0]), outputs[1]) == min(max(expected, outputs[0]), outputs[1]), (a, factor)


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 7])
def test_no_multiplier_is_found_only_where_none_exists(bits: int) -> None:
    answers = set()
    for seed in range(60):
        factor, sums, outputs = steep(seed), (-40, 30), (-9, 9)
        found = multiplier(factor, sums, outputs, bits)
        shift = bits - math.frexp(factor)[1]
        wanted = [min(max(rounded_like_float64(a, factor), -9), 9) for a in range(sums[0], sums[1] + 1)]

        def works(m: int, shift: int = shift, wanted: list[int] = wanted) -> bool:
            half = 1 << (shift - 1)
            return all(min(max((a * m + half) >> shift, -9), 9) == w for a, w in enumerate(wanted, -40))

        possible = [m for m in range(1 << bits) if works(m)]
        assert (found is None) == (not possible), (factor, bits)
        assert found is None or (found[0] in possible and found[1] == shift)
        answers.add(found is None)
    assert answers == {True, False}, "both answers must occur, else nothing was tested"


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_multiplier_rounds_the_sums_at_every_step_of_the_stairs_as_float64_does(seed: int) -> None:
    factor, sums, outputs = 2.0 ** -(10 + seed / 3), (-(2**24), 2**24), (-255, 255)
    found = multiplier(factor, sums, outputs, WIDE_BITS - 25)
    assert found is not None
    m, shift = found
    for a in (first_sum(factor, output) + d for output in range(-254, 256) for d in (-2, -1, 0, 1)):
        if sums[0] <= a <= sums[1]:
            assert (a * m + (1 << (shift - 1))) >> shift == rounded_like_float64(a, factor), (a, factor)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_sum_of_an_output_is_the_least_that_rounds_to_it(seed: int) -> None:
    factor = steep(seed)
    for output in range(-20, 21):
        begin = first_sum(factor, output)
        assert rounded_like_float64(begin, factor) >= output > rounded_like_float64(begin - 1, factor)


# --- exponentials -------------------------------------------------------------------------------------------------


def test_the_exponential_in_integers_is_gemmlowps() -> None:
    rng = np.random.default_rng(5)
    steps = [-(k << (exponentials.UNIT - 2)) + d for k in range(128) for d in (-1, 0, 1)]
    values = [x for x in [*steps, -(2**31), *(-rng.integers(0, 2**31, 2000)).tolist()] if INT32_MIN <= x <= 0]
    expected = gemmlowp.exp_on_negative_values(np.array(values, np.int64), exponentials.INTEGER_BITS)
    assert [exponentials.exponential(x) for x in values] == expected.tolist()


@pytest.mark.parametrize("beta", [1.0, 0.1, 2.5])
@pytest.mark.parametrize("scale", [2.0**-22, 1e-4, 0.0123, 0.05, 1 / 16, 0.25, 1.0, 7.3, 50.0])
def test_the_table_of_softmax_holds_gemmlowps_exponentials_until_they_are_negligible(beta: float, scale: float) -> None:
    table = exponentials.exponentials(beta, scale)
    m, shift = fixedpoint.quantize_multiplier(min(beta * scale * 2.0**26, 2.0**31 - 1))
    differences = np.arange(256, dtype=np.int64)
    differences = differences[differences << shift <= 31 << 26]
    scaled = fixedpoint.multiply_by_quantized_multiplier(-differences, m, shift, Rounding.DOUBLE)
    values = gemmlowp.exp_on_negative_values(scaled, exponentials.INTEGER_BITS).tolist()
    assert list(table) == values[: len(table)]
    assert table[0] == INT32_MAX and table[-1] >= exponentials.NEGLIGIBLE
    assert all(value < exponentials.NEGLIGIBLE for value in values[len(table) :])


def test_the_negligible_exponentials_are_exactly_those_that_add_nothing_to_softmaxs_sum() -> None:
    beside = np.array([exponentials.NEGLIGIBLE - 1, exponentials.NEGLIGIBLE])
    assert gemmlowp.multiply_by_pot(beside, -SUM_BITS).tolist() == [0, 1]


def test_gemmlowps_functions_are_symmetric_about_their_centre() -> None:
    values = np.array([x for x in int32s(6, 500) if x != INT32_MIN], np.int64)
    assert (gemmlowp.tanh(-values, 4) == -gemmlowp.tanh(values, 4)).all()
    beside = values[values != 0]
    assert (gemmlowp.logistic(beside, 4) + gemmlowp.logistic(-beside, 4) == gemmlowp.ONE).all()
    assert gemmlowp.logistic(np.array([0]), 4).tolist() == [2**30]
