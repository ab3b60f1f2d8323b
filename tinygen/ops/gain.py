"""Exact requantisation without an addend: SSAT((gain × sum + offset) × M >> 32 >> s), for kernels with 16-bit weights.

Weights that a kernel holds in 16 bits can be multiplied by a whole number, the gain, for nothing. The sum then comes
with that many times finer steps, and the offset, which belongs into its start value, places the output's steps finely
enough to need no addend: SMMUL and SSAT are left, and one constant a channel beside the start value.
The constants are searched; `agrees` proves them by the exact rounding at both sides of every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinygen.ops.requantize import LARGEST_MULTIPLIER, Staircase, first_sums

Int64s = npt.NDArray[np.int64]

LARGEST_HALF = 2**15 - 1
LARGEST_GAINED = 2**30
"""Of a sum times its gain."""

SHIFTS = (8, 10, 6, 12, 4, 2, 1)
"""In this order, so that layers share code."""

GAINS_TRIED = 48
TILTS = tuple(range(-12, 13))
"""Eighths of a sum by which a multiplier may move the uppermost step."""


@dataclass(frozen=True, slots=True)
class Gained:
    """Constants of one channel: its weights and start value are multiplied by `gain`, `offset` is added to the latter.

    A gain of 0 stands for an output that no input changes: its start value is the offset alone.
    """

    gain: int
    offset: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class GainFit:
    """The constants of all channels of a layer, and the shift they share."""

    shift: int
    channels: tuple[Gained, ...]


def fit_gains(channels: Sequence[Staircase], largest_weights: Sequence[int]) -> GainFit | None:
    """Proved constants for every channel of a layer, or None where one channel has none.

    `largest_weights` are the magnitudes that must fit 16 bits when they are multiplied by the gain.
    """
    for shift in SHIFTS:
        found: list[Gained] = []
        for stairs, largest in zip(channels, largest_weights, strict=True):
            gained = fit_gain(stairs, largest, shift)
            if gained is None:
                break
            found.append(gained)
        else:
            return GainFit(shift, tuple(found))
    return None


def fit_gain(stairs: Staircase, largest_weight: int, shift: int) -> Gained | None:
    """Proved constants for one channel and a given shift, or None where the search finds none."""
    outputs, firsts = first_sums(stairs)
    if len(outputs) == 0:
        (only,) = stairs.outputs(np.array([stairs.lowest])).tolist()
        constant = Gained(0, only << (shift + 2), 2**30)
        return constant if agrees(constant, stairs, shift) else None
    span = max(-stairs.lowest, stairs.highest, 1)
    largest_gain = min(LARGEST_HALF // max(largest_weight, 1), LARGEST_GAINED // span, 255)
    # the multiplier must stay below 2^31
    least_gain = max(1, math.ceil(stairs.factor * 2 ** (1 + shift)))
    gains = range(largest_gain, least_gain - 1, -1)
    for gain in gains[:: max(1, len(gains) // GAINS_TRIED)]:
        nearest = round(stairs.factor * 2 ** (32 + shift) / gain)
        tilt = max(1, nearest // (8 * span))
        for tilts in sorted(TILTS, key=abs):
            multiplier = nearest + tilts * tilt
            if not 0 < multiplier <= LARGEST_MULTIPLIER:
                continue
            least, most = _window(stairs, outputs, firsts, gain * multiplier, shift)
            offset = -(-least // multiplier)
            candidate = Gained(gain, offset, multiplier)
            if offset * multiplier < most and agrees(candidate, stairs, shift):
                return candidate
    return None


def _window(stairs: Staircase, outputs: Int64s, firsts: Int64s, slope: int, shift: int) -> tuple[int, int]:
    """Bounds (least, most − 1) of offset × M at which every step falls where it should.

    Output k begins at sum t if t × slope + offset × M ≥ k × 2^(32 + shift) > (t − 1) × slope + offset × M.
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


def agrees(found: Gained, stairs: Staircase, shift: int) -> bool:
    """Whether the instructions give the exact output of every sum that can occur, and no step of them overflows.

    Neither function ever falls. So it is enough to compare them at the ends of every run of sums with one exact
    output; that the runs are whole is shown by equal outputs at both of their ends.
    """
    firsts = np.unique(first_sums(stairs)[1])
    begins = np.concatenate([[stairs.lowest], firsts])
    ends = np.concatenate([firsts - 1, [stairs.highest]])
    exact = stairs.outputs(begins)
    if not 0 <= found.multiplier <= LARGEST_MULTIPLIER or (exact != stairs.outputs(ends)).any():
        return False
    for sums in (begins, ends):
        gained = found.gain * sums + found.offset
        if np.abs(gained).max() >= 2**31:
            return False
        outputs = gained * found.multiplier >> 32 + shift
        if (np.clip(outputs, stairs.clamp_min, stairs.clamp_max) != exact).any():
            return False
    return True
