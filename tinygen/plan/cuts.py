"""Which layers to stream together: cut points by dynamic programming.

First the lowest peak that any grouping reaches, then of the groupings that keep within a limit the one that adds the
fewest instructions. Groups are reckoned lazily, and not at all where what lives before or after one is too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tinygen.plan.estimate import added_instructions, group_peak
from tinygen.plan.stream import Chunk, Group, Network, steps_of

LONGEST = 48
"""Layers of a group at most."""

CHUNKS = (Chunk(1, 1), Chunk(1, 2), Chunk(2, 2), Chunk(1, 4), Chunk(2, 4), Chunk(4, 4), Chunk(8, 8))
"""From the leanest to the fastest."""
FUSED = 1
"""Instructions that count for a layer in a group, so that the shortest of equal groups is taken."""


class Cuts:
    """Groupings of a network. `whole` is the peak of each layer that runs whole, `inner` those that may stream."""

    def __init__(self, network: Network, whole: Sequence[int], inner: range) -> None:
        self.network, self.whole = network, whole
        self.layers = len(whole)
        self.boundary = [network.boundary(at) for at in range(self.layers + 1)]
        self.streams = [layer in inner and network.may_stream(layer) for layer in range(self.layers)]
        self.peak = cache(self._peak)
        self.added = cache(self._added)

    def _peak(self, group: Group) -> int:
        return group_peak(self.network, group) if group.is_stream else self.whole[group.begin]

    def _added(self, group: Group) -> int:
        return added_instructions(self.network, steps_of(self.network, [group])) if group.is_stream else 0

    def begins(self, end: int) -> range:
        """Where groups that end at `end` may begin, the shortest first."""
        first = end - 1
        if self.streams[first]:
            while first > 0 and self.streams[first - 1] and end - first < LONGEST:
                first -= 1
        return range(end - 1, first - 1, -1)

    def variants(self, begin: int, end: int) -> list[Group]:
        """The ways to run layers begin..end-1 together, the leanest first."""
        if end - begin == 1:
            return [Group(begin, end)]
        eager = frozenset(self._shortcuts(begin, end))
        return [
            Group(begin, end, chunk, early)
            for chunk in CHUNKS
            for early in ((eager, frozenset()) if eager else (frozenset(),))
        ]

    def fastest(self, begin: int, end: int, limit: int) -> Group | None:
        """The way to run layers begin..end-1 that adds the fewest instructions of those that keep within the limit."""
        variants = self.variants(begin, end)
        lean = [group for group in variants if group.chunk == variants[0].chunk]
        if min(map(self.peak, lean)) > limit:
            return None
        return next(group for group in reversed(variants) if self.peak(group) <= limit)

    def _shortcuts(self, begin: int, end: int) -> list[int]:
        """Layers that read what another layer of the group reads as well."""
        readers: dict[int, int] = {}
        for layer in range(begin, end):
            for rows in self.network.reads[layer]:
                readers[rows.tensor] = readers.get(rows.tensor, 0) + 1
        return [
            layer
            for layer in range(begin, end)
            if len(self.network.reads[layer]) == 1 and readers[self.network.reads[layer][0].tensor] > 1
        ]

    def lowest(self) -> int:
        """The lowest peak of any grouping."""
        best = [0, *[1 << 62] * self.layers]
        for end in range(1, self.layers + 1):
            for begin in self.begins(end):
                if max(best[begin], self.boundary[begin], self.boundary[end]) >= best[end]:
                    continue
                leanest = [g for g in self.variants(begin, end) if g.chunk == CHUNKS[0] or not g.is_stream]
                peak = min(self.peak(group) for group in leanest)
                best[end] = min(best[end], max(best[begin], peak))
        return best[self.layers]

    def within(self, limit: int) -> tuple[Group, ...] | None:
        """The grouping that adds the fewest instructions of those with no group above the limit."""
        found: list[tuple[int, tuple[Group, ...]] | None] = [(0, ()), *[None] * self.layers]
        for end in range(1, self.layers + 1):
            for begin in self.begins(end):
                before = found[begin]
                if before is None or max(self.boundary[begin], self.boundary[end]) > limit:
                    continue
                best = found[end]
                count = end - begin
                if best is not None and before[0] + (FUSED * count if count > 1 else 0) >= best[0]:
                    continue
                group = self.fastest(begin, end, limit)
                if group is not None:
                    added = before[0] + (self.added(group) + FUSED * count if count > 1 else 0)
                    if best is None or added < best[0]:
                        found[end] = added, (*before[1], group)
        last = found[self.layers]
        return None if last is None else last[1]
