"""The table of exponentials that the C softmax reads, in Python's integers.

Shares no code with `tinygen.gemmlowp`, which the numpy reference uses.
"""

from __future__ import annotations

from tinygen.ops.constants import multiplier_and_shift

INTEGER_BITS = 5
UNIT = 31 - INTEGER_BITS
"""Fraction bits of a scaled difference."""

NEGLIGIBLE = 1 << 11
"""An exponential below this adds 0 to the sum and gives probability 0: half a unit of the sum's last place."""

LARGEST_DIFFERENCE = 255

FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""2^31 × exp(−1/4), exp(−1/2), … exp(−16)."""


def exponentials(beta: float, scale: float) -> tuple[int, ...]:
    """2^31 × exp(−d × beta × scale) for d = 0, 1, …, as gemmlowp computes it, up to the last one that matters."""
    real = min(beta * scale * (1 << UNIT), float((1 << 31) - 1))
    multiplier, shift = multiplier_and_shift(real)
    largest = min(LARGEST_DIFFERENCE, (((1 << INTEGER_BITS) - 1) << UNIT) >> shift)
    table = [exponential(_high(-difference << shift, multiplier)) for difference in range(largest + 1)]
    while table[-1] < NEGLIGIBLE:
        table.pop()
    return tuple(table)


def exponential(x: int) -> int:
    """2^31 × exp(x ÷ 2^26) for x ≤ 0."""
    if x == 0:
        return (1 << 31) - 1
    quarter = 1 << (UNIT - 2)
    near = (x & (quarter - 1)) - quarter  # −1/4 ≤ near < 0, and x − near is a multiple of 1/4
    result = _series(near << INTEGER_BITS)
    quarters = (near - x) >> (UNIT - 2)
    for place, factor in enumerate(FACTORS):
        if quarters >> place & 1:
            result = _high(result, factor)
    return result


def _series(x: int) -> int:
    """exp about −1/8 up to the fourth power, all in units of 2^−31."""
    x += 1 << 28
    square = _high(x, x)
    cube = _high(square, x)
    fourth = _shifted(_high(square, square), 2)
    tail = _shifted(_high(fourth + cube, 715827883) + square, 1)
    return 1895147668 + _high(1895147668, x + tail)


def _high(a: int, b: int) -> int:
    """a × b ÷ 2^31, halves up."""
    return (a * b + (1 << 30)) >> 31


def _shifted(value: int, bits: int) -> int:
    """value ÷ 2^bits, halves away from zero."""
    rounded = (abs(value) + (1 << (bits - 1))) >> bits
    return rounded if value >= 0 else -rounded
