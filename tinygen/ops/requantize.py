"""Exact requantisation in two instructions, SSAT(C + (scale × (sum + d) × M >> 32) >> s): constants, found and proved.

An int8 output is a staircase over the sum it comes from: it never falls, and has at most 255 steps. Where the steps
of the exact rounding that lie among the sums that can occur are also those of the shorter form, both are the same
function. `fit` searches M, C and d for one output channel, `fit_all` for all channels of a layer, whose shift is one
immediate. `agrees` proves what was found by evaluating the exact rounding and the instructions on both sides of every
step; it knows nothing of how the constants came about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

LARGEST_MULTIPLIER = 2**31 - 1
SHIFTS = (4, 7, 10, 13, 1)
"""In the order in which they are tried. Nearly every layer has a fit with the first, and so can share code with others;
a larger shift leaves the multipliers more bits."""

MULTIPLIERS_TRIED = (0, 1, -1, 2, -2, 3, -3, 4, -4)
OFFSETS_TRIED = (1 << 10, 1 << 16)
"""The largest offset of the first search, and of a second one."""


class Rounding(Protocol):
    """What an output is of each sum; never falls where sums rise."""

    def __call__(self, sums: Int64s) -> Int64s: ...


@dataclass(frozen=True, slots=True)
class Staircase:
    """One output channel: int8 outputs within its clamps, of sums from `lowest` to `highest`, both included.

    `factor` is the slope of `rounding`, about; it must be above zero unless all sums give one output.
    """

    rounding: Rounding
    factor: float
    zero_point: int
    clamp_min: int
    clamp_max: int
    lowest: int
    highest: int

    def outputs(self, sums: Int64s) -> Int64s:
        """The exact outputs."""
        clamped: Int64s = np.clip(self.rounding(sums) + self.zero_point, self.clamp_min, self.clamp_max)
        return clamped

    @property
    def is_flat(self) -> bool:
        """Whether all sums give one output."""
        low, high = self.outputs(np.array([self.lowest, self.highest])).tolist()
        return bool(low == high)


@dataclass(frozen=True, slots=True)
class Affine:
    """Constants of the two instructions SMMLA and SSAT; `offset` belongs into the sum's start value."""

    multiplier: int
    addend: int
    offset: int


@dataclass(frozen=True, slots=True)
class Fit:
    """The constants of all channels of a layer. Channel i is shifted by `shifts[i % len(shifts)]`."""

    shifts: tuple[int, ...]
    channels: tuple[Affine, ...]


def rounded_twice(multiplier: int, shift: int) -> Rounding:
    """gemmlowp's two roundings of sum × multiplier × 2^(shift − 31): half up to an integer, then half away from zero.

    |sum × 2^max(shift, 0)| < 2^31.
    """

    def rounding(sums: Int64s) -> Int64s:
        high = ((sums << max(shift, 0)) * multiplier + 2**30) >> 31
        right = max(-shift, 0)
        magnitude = (2 * np.abs(high) + (1 << right)) >> (right + 1)
        result: Int64s = np.where(high >= 0, magnitude, -magnitude)
        return result

    return rounding


def rounded_as_float(factor: float) -> Rounding:
    """The float64 product rounded half away from zero, as litert's FULLY_CONNECTED requantises."""

    def rounding(sums: Int64s) -> Int64s:
        scaled = sums.astype(np.float64) * factor
        whole = np.trunc(scaled)
        away: Int64s = (whole + np.where(np.abs(scaled - whole) >= 0.5, np.sign(scaled), 0)).astype(np.int64)
        return away

    return rounding


def first_sums(stairs: Staircase) -> tuple[Int64s, Int64s]:
    """(outputs, sums): each output that a step leads to, and the least sum that gives it or more.

    The slope says about where that is; halving finds it.
    """
    low, high = (int(value) for value in stairs.outputs(np.array([stairs.lowest, stairs.highest])))
    outputs = np.arange(low + 1, high + 1)
    if len(outputs) == 0:
        return outputs, outputs
    guess = np.floor((outputs - stairs.zero_point - 0.5) / stairs.factor)
    near = np.clip(guess + np.array([[-2], [2]]), stairs.lowest, stairs.highest).astype(np.int64)
    reached = stairs.outputs(near) >= outputs
    below = np.where(reached[0], stairs.lowest, near[0])
    above = np.where(reached[1], near[1], stairs.highest)
    while (above - below > 1).any():
        middle = (above + below) >> 1
        reached = stairs.outputs(middle) >= outputs
        above = np.where(reached, middle, above)
        below = np.where(reached, below, middle)
    return outputs, above


def fit(stairs: Staircase, shift: int, scale: int = 1) -> Affine | None:
    """Proved constants for sums that come multiplied by `scale`, or None where the search finds none.

    The output before saturation is (C + (scale × (sum + d) × M >> 32)) >> shift, with 1 ≤ shift. No step of it leaves
    32 bits.
    """
    outputs, firsts = first_sums(stairs)
    if len(outputs) == 0:
        (only,) = stairs.outputs(np.array([stairs.lowest])).tolist()
        found = Affine(0, only << shift, 0)
        return found if agrees(found, stairs, shift, scale) else None
    nearest = round(stairs.factor * 2 ** (32 + shift) / scale)
    for largest_offset in OFFSETS_TRIED:
        for difference in MULTIPLIERS_TRIED:
            multiplier = nearest + difference
            if not 0 < multiplier <= LARGEST_MULTIPLIER:
                continue
            least, most = _window(stairs, outputs, firsts, multiplier * scale, shift)
            candidate = _smallest_offset(least, most, multiplier, scale, largest_offset)
            if candidate is not None and agrees(candidate, stairs, shift, scale):
                return candidate
    return None


def fit_all(channels: Sequence[Staircase], scales: tuple[int, ...] = (1,)) -> Fit | None:
    """Proved constants for every channel of a layer with shifts in common, or None where one channel has none.

    Channel i's sums come multiplied by `scales[i % len(scales)]`, powers of two, and are shifted by as much more.
    """
    steepest = max((stairs.factor for stairs in channels if not stairs.is_flat), default=2.0**-16)
    # so that no multiplier, about steepest × 2^(32 + shift), leaves 31 bits
    largest = -1 - math.frexp(steepest)[1]
    common = [shift for shift in SHIFTS if shift <= largest]
    for shift in dict.fromkeys((*common[:1], largest, *common[1:])):
        found = []
        for number, stairs in enumerate(channels):
            scale = scales[number % len(scales)]
            affine = fit(stairs, shift + scale.bit_length() - 1, scale) if shift >= 1 else None
            if affine is None:
                break
            found.append(affine)
        else:
            return Fit(tuple(shift + scale.bit_length() - 1 for scale in scales), tuple(found))
    return None


def _window(stairs: Staircase, outputs: Int64s, firsts: Int64s, slope: int, shift: int) -> tuple[int, int]:
    """Bounds (least, most − 1) of the constant term at which every step falls where it should.

    Output k begins at sum t if t × slope + constant ≥ k × 2^(32 + shift) > (t − 1) × slope + constant.
    """
    unit = 1 << (32 + shift)
    least = int((outputs * unit - firsts * slope).max())
    most = int((outputs * unit - (firsts - 1) * slope).min())
    first, last = int(outputs[0]) - 1, int(outputs[-1])
    if first > stairs.clamp_min:
        least = max(least, first * unit - stairs.lowest * slope)
    if last < stairs.clamp_max:
        most = min(most, (last + 1) * unit - stairs.highest * slope)
    return least, most


def _smallest_offset(least: int, most: int, multiplier: int, scale: int, largest: int) -> Affine | None:
    """C and d with least ≤ C × 2^32 + scale × d × multiplier < most, |d| as small as it goes."""
    if most <= least:
        return None
    magnitudes = np.arange(1, largest)
    offsets = np.concatenate([[0], np.stack([magnitudes, -magnitudes], 1).reshape(-1)])
    # how far the next multiple of 2^32 lies above the least that is left for it
    slack = (-least % 2**32 + offsets * (multiplier * scale)) % 2**32
    (hits,) = np.nonzero(slack < most - least)
    if len(hits) == 0:
        return None
    offset = int(offsets[hits[0]])
    return Affine(multiplier, -((offset * multiplier * scale - least) // 2**32), offset)


def agrees(found: Affine, stairs: Staircase, shift: int, scale: int = 1) -> bool:
    """Whether the instructions give the exact output of every sum that can occur, and no step of them overflows.

    Both sides never fall. So it is enough to compare them at the ends of every run of sums with one exact output; that
    the runs are whole is shown by equal outputs at both of their ends.
    """
    if found.multiplier < 0 or shift < 1:
        return False
    firsts = np.unique(first_sums(stairs)[1])
    begins = np.concatenate([[stairs.lowest], firsts])
    ends = np.concatenate([firsts - 1, [stairs.highest]])
    exact = stairs.outputs(begins)
    if (exact != stairs.outputs(ends)).any():
        return False
    for sums in (begins, ends):
        factors = scale * (sums + found.offset)
        scaled = found.addend + (factors * found.multiplier >> 32)
        if max(np.abs(factors).max(), np.abs(scaled).max(), abs(found.addend)) >= 2**31:
            return False
        if (np.clip(scaled >> shift, stairs.clamp_min, stairs.clamp_max) != exact).any():
            return False
    return True
