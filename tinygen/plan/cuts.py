"""Which layers to stream together, and which kernels that leaves them: cut points by dynamic programming.

Of the groupings that keep within a limit, the one with the fewest instructions. A layer may take any of its kernels
whose scratch fits beside what lives meanwhile. Groups are reckoned lazily, and not at all where what lives before or
after one is too much, or where even the fastest kernels would not make it worth while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from tinygen.kernels.rows import Row
from tinygen.plan.estimate import Reckoning, called_instructions, reckon
from tinygen.plan.stream import Chunk, Group, Network

LONGEST = 24
"""Layers of a group at most."""

MARGIN = 4
"""Layers that would run whole as well, at the beginning or end of a group."""

CHUNKS = (Chunk(1, 1), Chunk(1, 2), Chunk(2, 2), Chunk(1, 4), Chunk(2, 4), Chunk(4, 4), Chunk(8, 8))
"""From the leanest to the fastest."""

MOST_ROWS = 8
"""The most rows of a call in a group."""

IMPOSSIBLE = 1 << 62
"""Bytes that no grouping keeps within."""

Offers = tuple[tuple[Row, ...], ...]
"""The kernels of each layer, none where it is a view."""


@dataclass(frozen=True, slots=True)
class Way:
    """A group, the kernels that its layers may take, and its instructions with the fastest of them.

    The kernels' costs are those in the group, with what streaming adds.
    """

    group: Group
    offers: Offers
    instructions: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A group reckoned, and the kernels of its layers with their instructions in it."""

    found: Reckoning
    offers: Offers


class Cuts:
    """Groupings of a network.

    whole   for each kernel of each layer the bytes that live at most while it runs whole, without its scratch
    inner   the layers that may stream

    The network has the kernels that stand for the others in a group: one that accumulates where a layer has it.
    """

    def __init__(self, network: Network, offers: Offers, whole: Sequence[Sequence[int]], inner: range) -> None:
        self.network, self.offers, self.whole = network, offers, whole
        self.layers = len(offers)
        self.boundary = [network.boundary(at) for at in range(self.layers + 1)]
        self.streams = [layer in inner and network.may_stream(layer) for layer in range(self.layers)]
        nodes = network.graph.nodes
        self.scratch = [
            [row.kernel.scratch_bytes(node) for row in own] for own, node in zip(offers, nodes, strict=True)
        ]
        self.in_turn = [tuple(row for row in own if _counts_alike(row, network, i)) for i, own in enumerate(offers)]
        self.scratch_in_turn = [
            [max(0, row.kernel.scratch_bytes(node) - network.sums_bytes(layer)) for row in self.in_turn[layer]]
            for layer, node in enumerate(nodes)
        ]  # beside what is reckoned to live
        self.fastest = [min((row.cost.instructions for row in own), default=0) for own in offers]
        self.streamed_fastest = [self._streamed_fastest(layer) for layer in range(self.layers)]
        self.known = cache(self._known)

    def in_group(self, group: Group, choice: Sequence[Row | None]) -> tuple[Row | None, ...]:
        """The chosen rows of a group's layers, with what they cost there."""
        members = range(group.begin, group.end)
        if not group.is_stream:
            return tuple(choice[layer] for layer in members)
        found = self.known(group).found
        own = {layer: {row.kernel.name: row for row in self.offers[layer]} for layer in members}
        return tuple(
            None if (row := choice[layer]) is None else self._in_group(layer, own[layer][row.kernel.name], found)
            for layer in members
        )

    def _streamed_fastest(self, layer: int) -> int:
        """The fewest instructions of a layer in a group, whatever the group."""
        node = self.network.layers[layer]
        if node is None or not self.streams[layer]:
            return 0
        times, left = divmod(node.rows, MOST_ROWS)
        calls = {rows: count for rows, count in ((MOST_ROWS, times), (left, 1)) if rows and count}
        return min(called_instructions(node, row, calls) for row in self.in_turn[layer])

    def _known(self, group: Group) -> _Known:
        found = reckon(self.network, group)
        offers = tuple(
            tuple(self._in_group(layer, row, found) for row in self.in_turn[layer])
            for layer in range(group.begin, group.end)
        )
        return _Known(found, offers)

    def _in_group(self, layer: int, row: Row, found: Reckoning) -> Row:
        node = self.network.layers[layer]
        assert node is not None
        return replace(row, cost=replace(row.cost, instructions=called_instructions(node, row, found.calls[layer])))

    def begins(self, end: int) -> range:
        """Where groups that end at `end` may begin, the shortest first."""
        first = end - 1
        if self.streams[first]:
            while first > 0 and self.streams[first - 1] and end - first < LONGEST:
                first -= 1
        return range(end - 1, first - 1, -1)

    def variants(self, begin: int, end: int) -> list[Group]:
        """The ways to run layers begin..end-1 in turn, the leanest first."""
        eager = frozenset(self._shortcuts(begin, end))
        return [
            Group(begin, end, chunk, early)
            for chunk in CHUNKS
            for early in ((eager, frozenset()) if eager else (frozenset(),))
        ]

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
        """The lowest peak of any grouping, with the leanest kernels; IMPOSSIBLE where there is none."""
        best = [0, *[IMPOSSIBLE] * self.layers]
        for end in range(1, self.layers + 1):
            for begin in self.begins(end):
                if max(best[begin], self.boundary[begin], self.boundary[end]) < best[end]:
                    best[end] = min(best[end], max(best[begin], self.leanest(begin, end)))
        return best[self.layers]

    def leanest(self, begin: int, end: int) -> int:
        """The lowest peak of layers begin..end-1, streamed together or, if it is one, whole."""
        if end - begin == 1:
            if self.network.must_stream(begin):
                return IMPOSSIBLE
            pairs = zip(self.whole[begin], self.scratch[begin], strict=True)
            return min((live + scratch for live, scratch in pairs), default=self.boundary[begin])
        return min(self.peak(group) for group in self.variants(begin, end) if group.chunk == CHUNKS[0])

    def peak(self, group: Group) -> int:
        """The most bytes that live while a group runs, or a layer that is none, with the leanest kernels."""
        if not group.is_stream:
            return self.leanest(group.begin, group.end)
        found = self.known(group).found
        return max(found.live, *(room + min(self.scratch_in_turn[layer]) for layer, room in found.room.items()))

    def within(self, limit: int) -> tuple[Way, ...] | None:
        """The groups with the fewest instructions of those that all keep within the limit."""
        singles = [self.single(layer, limit) for layer in range(self.layers)]
        free = [
            way is not None and len(way.offers[0]) == len(own) for way, own in zip(singles, self.offers, strict=True)
        ]
        found: list[tuple[int, tuple[Way, ...]] | None] = [(0, ()), *[None] * self.layers]
        for end in range(1, self.layers + 1):
            least = 0
            for begin in self.begins(end):
                least += self.streamed_fastest[begin]
                before, best = found[begin], found[end]
                if before is None or max(self.boundary[begin], self.boundary[end]) > limit:
                    continue
                if end - begin == 1:
                    way = singles[begin]
                elif (best is not None and before[0] + least >= best[0]) or _far(free[begin:end]):
                    continue
                else:
                    way = self.streamed(begin, end, limit)
                if way is not None and (best is None or before[0] + way.instructions < best[0]):
                    found[end] = before[0] + way.instructions, (*before[1], way)
        last = found[self.layers]
        return None if last is None else last[1]

    def single(self, layer: int, limit: int) -> Way | None:
        """A layer that runs whole, with the kernels that keep within the limit."""
        group = Group(layer, layer + 1)
        if self.network.must_stream(layer):
            return None
        if not self.offers[layer]:
            return Way(group, ((),), 0)
        rows = tuple(
            row
            for row, live, scratch in zip(self.offers[layer], self.whole[layer], self.scratch[layer], strict=True)
            if live + scratch <= limit
        )
        return Way(group, (rows,), min(row.cost.instructions for row in rows)) if rows else None

    def streamed(self, begin: int, end: int, limit: int) -> Way | None:
        """Layers that run in turn, with the chunk and the kernels that take the fewest instructions."""
        if self.leanest(begin, end) > limit:
            return None
        best: Way | None = None
        for group in reversed(self.variants(begin, end)):
            way = self._way(group, limit)
            if way is not None and (best is None or way.instructions < best.instructions):
                best = way
                if sum(map(len, way.offers)) == sum(map(len, self.in_turn[begin:end])):
                    break  # smaller chunks cannot give more room
        return best

    def _way(self, group: Group, limit: int) -> Way | None:
        known = self.known(group)
        if known.found.live > limit:
            return None
        offers, total = [], group.end - group.begin
        for layer, own in zip(range(group.begin, group.end), known.offers, strict=True):
            room = limit - known.found.room[layer]
            rows = tuple(row for row, scratch in zip(own, self.scratch_in_turn[layer], strict=True) if scratch <= room)
            if not rows:
                return None
            total += min(row.cost.instructions for row in rows)
            offers.append(rows)
        return Way(group, tuple(offers), total)


def _far(free: Sequence[bool]) -> bool:
    """Whether a group begins or ends far from any layer that cannot run whole with any of its kernels."""
    return all(free[: MARGIN + 1]) or all(free[-MARGIN - 1 :])


def _counts_alike(row: Row, network: Network, layer: int) -> bool:
    """Whether steps of a kernel count the rows that those of the network's do."""
    node = network.layers[layer]
    return node is not None and row.kernel.access.accumulates == node.access.accumulates
