"""Offsets for buffers: first fit over several orders, then a local search, until the lower bound is reached."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tinygen.plan.values import Buffer

ALIGNMENT = 4
"""Every buffer starts on a word: 32-bit elements need it and word loads of bytes profit."""

ROUNDS = 2000
TRIALS = 4_000_000
"""Bounds the local search: rounds × buffers², so that it takes a second or two at most."""


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes that the buffers of one step take side by side: no packing can need less.

    Each starts on a word, so all but one of them take their size rounded up; the last one's rest is free.
    """
    events = sorted(
        [(buffer.birth, 1, buffer.size_bytes) for buffer in buffers]
        + [(buffer.death + 1, -1, buffer.size_bytes) for buffer in buffers]
    )  # at one step, deaths come first
    alive_bytes = greatest = 0
    with_rest = [0] * ALIGNMENT  # how many of the buffers alive leave so many bytes of their last word free
    for _, change, size_bytes in events:
        whole = aligned(size_bytes)
        alive_bytes += change * whole
        with_rest[whole - size_bytes] += change
        free = max((rest for rest, count in enumerate(with_rest) if count), default=0)
        greatest = max(greatest, alive_bytes - free)
    return greatest


def aligned(offset_bytes: int) -> int:
    """The first word at or behind an offset."""
    return -(-offset_bytes // ALIGNMENT) * ALIGNMENT


def pack(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes, in the buffers' order. Deterministic."""
    if not buffers:
        return ()
    conflicts = [[j for j, other in enumerate(buffers) if j != i and b.meets(other)] for i, b in enumerate(buffers)]
    floor = lower_bound(buffers)
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-buffers[i].size_bytes, buffers[i].birth),
        lambda i: (-(buffers[i].death - buffers[i].birth + 1) * buffers[i].size_bytes, i),
        lambda i: (buffers[i].birth - buffers[i].death, -buffers[i].size_bytes),
        lambda i: (buffers[i].birth, -buffers[i].size_bytes),
    )
    orders = [sorted(range(len(buffers)), key=key) for key in keys]
    best_order = min(orders, key=lambda order: _height(buffers, _first_fit(buffers, conflicts, order)))
    best = _first_fit(buffers, conflicts, best_order)
    chance = random.Random(0)
    for _ in range(min(ROUNDS, TRIALS // len(buffers) ** 2)):
        if _height(buffers, best) <= floor:
            break
        order = list(best_order)
        i, j = chance.sample(range(len(order)), 2)
        order.insert(j, order.pop(i))
        offsets = _first_fit(buffers, conflicts, order)
        if _height(buffers, offsets) <= _height(buffers, best):
            best, best_order = offsets, order
    return tuple(best)


def _first_fit(buffers: Sequence[Buffer], conflicts: Sequence[Sequence[int]], order: Sequence[int]) -> list[int]:
    """Place the buffers in the given order, each at the lowest offset that is free during its life."""
    offsets = [-1] * len(buffers)
    for i in order:
        taken = sorted((offsets[j], offsets[j] + buffers[j].size_bytes) for j in conflicts[i] if offsets[j] >= 0)
        offset = 0
        for begin, end in taken:
            if offset + buffers[i].size_bytes <= begin:
                break
            offset = max(offset, aligned(end))
        offsets[i] = offset
    return offsets


def _height(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    return max(offset + buffer.size_bytes for offset, buffer in zip(offsets, buffers, strict=True))
