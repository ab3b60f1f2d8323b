"""Sums and differences of two 8-bit tensors as one linear form, proved over all 65,536 pairs of inputs.

ADD and SUB round three times: each operand, their sum, the result. As a function of the two bytes that is nearly

    clamp((a × first + b × second + addend) >> shift)

and with well-chosen integers it is exactly that. For given factors each pair of bytes whose result is not clamped
bounds the addend from below and from above; any addend within all 65,536 bounds makes both forms equal on all pairs.
Where the bounds contradict each other, other factors nearby are tried: a little steeper ones serve results that lie
exactly between two integers, which the references round away from zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from tinygen.ir import Array, Node, Reference

LARGEST_FACTOR = 2**23 - 1
"""256 times a factor fits a word, which SMLAWB needs."""

LARGEST_TOTAL = 2**31 - 2**24
"""Of the magnitudes of addend and both products together."""

STEEPER = (0, 1, 2, -1, 4, 8, 16, 32)
"""Slopes that are tried, in units of 2^-24 of the factors' own."""

NEARBY = (0, 1, -1)
"""What is added to each factor."""


@dataclass(frozen=True, slots=True)
class LinearForm:
    """clamp((a × first + b × second + addend) >> shift), a and b as they are stored, without zero points."""

    first: int
    second: int
    addend: int
    shift: int


def every_pair(node: Node) -> Array:
    """The results of all pairs of bytes, [first operand + 128][second operand + 128], by the operator's definition."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = [np.repeat(values, 256), np.tile(values, 256)]
    (results,) = node.op.reference(node, pairs, Reference.LITERT)
    return results.reshape(256, 256).astype(np.int64)


def linear_form(node: Node, signs: tuple[int, int], clamps: tuple[int, int]) -> LinearForm | None:
    """The linear form of a sum (signs 1, 1) or difference (1, −1), or None where there is none."""
    scales = tuple(
        (sign * node.input(position).scale / node.output.scale, node.input(position).zero_point)
        for position, sign in enumerate(signs)
    )
    return _searched(every_pair(node).tobytes(), scales, node.output.zero_point, clamps)


@cache
def _searched(
    results: bytes, operands: tuple[tuple[float, int], ...], zero_point: int, clamps: tuple[int, int]
) -> LinearForm | None:
    expected = np.frombuffer(results, np.int64).reshape(256, 256)
    (ratio_1, zero_1), (ratio_2, zero_2) = operands
    offset = abs(zero_point + 1 - ratio_1 * zero_1 - ratio_2 * zero_2)
    shift = 23
    while shift > 0 and (
        max(abs(ratio_1), abs(ratio_2)) * 2.0**shift > LARGEST_FACTOR - 64
        or (offset + 128 * (abs(ratio_1) + abs(ratio_2))) * 2.0**shift > LARGEST_TOTAL
    ):
        shift -= 1
    if shift == 0:
        return None
    bytes_ = np.arange(-128, 128, dtype=np.int64)
    for first, second in _candidates(ratio_1 * 2.0**shift, ratio_2 * 2.0**shift):
        products = (first * bytes_)[:, None] + (second * bytes_)[None, :]
        addend = _addend(products, expected, shift, clamps)
        if addend is not None and abs(addend) + 128 * (abs(first) + abs(second)) < 2**31:
            return LinearForm(first, second, addend, shift)
    return None


def _candidates(first: float, second: float) -> Iterator[tuple[int, int]]:
    for steeper in STEEPER:
        slope = 1 + steeper * 2.0**-24
        for more_1 in NEARBY:
            for more_2 in NEARBY:
                yield round(first * slope) + more_1, round(second * slope) + more_2


def _addend(products: Array, expected: Array, shift: int, clamps: tuple[int, int]) -> int | None:
    """An addend that gives the expected result for every pair, in the middle of those that do."""
    low, high = clamps
    step = 1 << shift
    least = int(np.where(expected > low, expected * step - products, -(2**30)).max())
    most = int(np.where(expected < high, (expected + 1) * step - 1 - products, 2**30).min())
    return (least + most) // 2 if least <= most else None
