"""Integer multipliers that round like litert's FULLY_CONNECTED, which requantises in float64.

There an accumulator a becomes round(fl(a × factor)), halves away from zero, where fl rounds to float64. As a function
of a that is a staircase: output k begins at the least a with fl(a × factor) ≥ k − ½ (> for k ≤ 0). The integer form
(a × M + 2^(shift − 1)) >> shift is the same function on all accumulators that can occur if and only if each step that
lies among them begins at the same a. Each step bounds M from below and from above; any M within all bounds will do.
"""

from __future__ import annotations

import math
from functools import cache

SINGLE_BITS = 31
"""Of a multiplier that fits int32_t."""

WIDE_BITS = 62
"""Of accumulator and multiplier together, so that their product and the rounding half fit int64_t."""

LARGEST_SHIFT = 62


@cache
def multiplier(factor: float, sums: tuple[int, int], outputs: tuple[int, int], bits: int) -> tuple[int, int] | None:
    """(M, shift) with M < 2^bits for accumulators and outputs within these ranges, or None where there is none.

    The outputs are those before the zero point is added, `factor` is above zero.
    """
    exponent = math.frexp(factor)[1]
    shift = min(bits - exponent, LARGEST_SHIFT)
    numerator, denominator = factor.as_integer_ratio()
    nearest = ((numerator << shift + 1) + denominator) // (2 * denominator)
    least, most = 0, (1 << bits) - 1
    for output in range(outputs[0] + 1, outputs[1] + 1):
        exact = (2 * output - 1) * denominator // (2 * numerator)
        # float64 moves a step by one accumulator at most while accumulators are exact in it, which all that occur are
        begin = first_sum(factor, output) if sums[0] - 2 < exact < sums[1] + 2 else exact
        if not sums[0] < begin <= sums[1]:
            continue
        half = (2 * output - 1) << (shift - 1)
        # begin × M ≥ half and (begin − 1) × M < half
        if begin > 0:
            least = max(least, -(-half // begin))
        if begin < 0:
            most = min(most, half // begin)
        if begin > 1:
            most = min(most, (half - 1) // (begin - 1))
        if begin < 1:
            least = max(least, -((half - 1) // (1 - begin)))
    return (min(max(nearest, least), most), shift) if least <= most else None


def first_sum(factor: float, output: int) -> int:
    """The least accumulator that rounds to `output` or more."""
    edge = output - 0.5
    numerator, denominator = factor.as_integer_ratio()
    found = -((1 - 2 * output) * denominator // (2 * numerator))

    def reaches(accumulator: int) -> bool:
        product = accumulator * factor
        return product >= edge if output > 0 else product > edge

    while reaches(found - 1):
        found -= 1
    while not reaches(found):
        found += 1
    return found
