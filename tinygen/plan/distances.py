"""Which distances between two buffers keep apart all bytes that are needed at the same time.

A distance is offset of the second − offset of the first. Byte i of the first meets byte j of the second at distance
i − j, which is forbidden when their lives meet. So an output may start inside its dying input:

    input   ├──────────── dead ─────────┤── needed ──┤
    output       ├── written ──┤        :
                 distance so far, that none of it reaches what is needed
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

import numpy as np

from tinygen.plan.values import Life

ALIGNMENT = 4
"""Every buffer starts on a word: 32-bit elements need it and word loads of bytes profit."""


def aligned(offset_bytes: int) -> int:
    """The first word at or behind an offset."""
    return -(-offset_bytes // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Gaps:
    """Forbidden distances among multiples of `step`: from begins[i] on the next one that is allowed is ends[i]."""

    begins: tuple[int, ...]
    ends: tuple[int, ...]
    step: int = ALIGNMENT

    def next_allowed(self, distance: int) -> int:
        """The least allowed distance that is not below the given one."""
        distance = -(-distance // self.step) * self.step
        i = bisect_right(self.begins, distance) - 1
        return self.ends[i] if i >= 0 and distance < self.ends[i] else distance

    def mirrored(self) -> Gaps:
        """The same for the distance from the second to the first."""
        begins = tuple(self.step - end for end in reversed(self.ends))
        return Gaps(begins, tuple(self.step - begin for begin in reversed(self.begins)), self.step)


@dataclass(frozen=True, slots=True)
class Apart:
    """The distances that two buffers may have: those outside of any of these."""

    ways: tuple[Gaps, ...]

    def next_allowed(self, distance: int) -> int:
        """The least allowed distance that is not below the given one."""
        return min(way.next_allowed(distance) for way in self.ways)

    def mirrored(self) -> Apart:
        """The same for the distance from the second to the first."""
        return Apart(tuple(way.mirrored() for way in self.ways))


@cache
def side_by_side(first_bytes: int, second_bytes: int) -> Apart:
    """The distances between two buffers of which every byte of one meets every byte of the other."""
    return Apart((Gaps((aligned(1 - second_bytes),), (aligned(first_bytes),)),))


def apart(first: Life, second: Life) -> Apart | None:
    """The distances between two buffers, or None when any will do."""
    gaps = forbidden(first, second, ALIGNMENT)
    return None if gaps is None else Apart((gaps,))


def apart_by_channel(whole: tuple[Life, Life], channel: tuple[Life, Life], pixel_bytes: int) -> Apart | None:
    """The same where a kernel that keeps channels apart reads the first and writes the second.

    At a distance of a whole number of pixels their lives are `channel`, at any other `whole`.
    """
    gaps = forbidden(*whole, ALIGNMENT)
    if gaps is None:
        return None
    step = math.lcm(pixel_bytes, ALIGNMENT)
    return Apart((gaps, forbidden(*channel, step) or Gaps((), (), step)))


def forbidden(first: Life, second: Life, step: int) -> Gaps | None:
    """The forbidden distances among multiples of `step`."""
    if first.last < second.first or second.last < first.first:
        return None
    # Of the runs of `first` that meet run j of `second`, the least and the greatest; those between count as well.
    needed, born = first.death, first.birth
    low = np.maximum(
        np.searchsorted(np.maximum.accumulate(needed), second.birth, "left"),
        np.searchsorted(-np.minimum.accumulate(born), -second.death, "left"),
    )
    high = (
        len(needed)
        - 1
        - np.maximum(
            np.searchsorted(np.maximum.accumulate(needed[::-1]), second.birth, "left"),
            np.searchsorted(-np.minimum.accumulate(born[::-1]), -second.death, "left"),
        )
    )
    meet = low <= high
    begins = first.begins[low[meet]] - second.ends[meet]
    ends = first.ends[high[meet]] - second.begins[meet]
    # Open intervals of distances: the first multiple of `step` inside, and the first one that is not.
    begins, ends = begins // step * step + step, -(-ends // step) * step
    order = np.lexsort((ends, begins))
    merged: list[list[int]] = []
    for begin, end in zip(begins[order].tolist(), ends[order].tolist(), strict=True):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        elif begin < end:
            merged.append([begin, end])
    return Gaps(tuple(b for b, _ in merged), tuple(e for _, e in merged), step) if merged else None
