"""Offsets for buffers: first fit in several orders, then a local search, until the lower bound is reached.

The search looks at the height, and among equal heights at the bytes by which buffers end above the lower bound.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from tinygen.plan.distances import Apart

ROUNDS = 2000
TRIALS = 1_500_000
"""Bounds the local search: rounds × pairs of buffers, so that it takes a second or two at most."""

Pair = tuple[int, int]


def pack(sizes: Sequence[int], pairs: Mapping[Pair, Apart], ages: Sequence[Pair], floor: int) -> tuple[int, ...]:
    """Offsets in bytes, in the sizes' order, as low as can be found; the search ends at `floor`. Deterministic.

    `pairs` has the distances from i to j that keep i and j apart; buffers without an entry never meet. `ages` are the
    first birth and the last death of each.
    """
    if not sizes:
        return ()
    rules: list[list[tuple[int, Apart]]] = [[] for _ in sizes]
    for (i, j), distances in pairs.items():
        rules[j].append((i, distances))
        rules[i].append((j, distances.mirrored()))
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-sizes[i], ages[i][0]),
        lambda i: (-(ages[i][1] - ages[i][0] + 1) * sizes[i], i),
        lambda i: (ages[i][0] - ages[i][1], -sizes[i]),
        lambda i: (ages[i][0], -sizes[i]),
        lambda i: (-ages[i][1], -sizes[i]),
    )

    def look(order: list[int]) -> tuple[tuple[int, int], list[int], list[int]]:
        offsets = _first_fit(sizes, rules, order)
        ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
        return (max(ends), sum(end - floor for end in ends if end > floor)), order, offsets

    score, best_order, best = min(look(sorted(range(len(sizes)), key=key)) for key in keys)
    chance = random.Random(0)
    for _ in range(min(ROUNDS, TRIALS // (len(sizes) + 2 * len(pairs)))):
        if score[0] <= floor or len(sizes) < 2:
            break
        order = list(best_order)
        for _ in range(chance.choice((1, 1, 2, 3))):
            i, j = chance.sample(range(len(order)), 2)
            if chance.random() < 0.5:
                order.insert(j, order.pop(i))
            else:
                order[i], order[j] = order[j], order[i]
        found = look(order)
        if found[0] <= score:
            score, best_order, best = found
    return tuple(best)


def _first_fit(sizes: Sequence[int], rules: Sequence[Sequence[tuple[int, Apart]]], order: Sequence[int]) -> list[int]:
    """Place the buffers in the given order, each at the lowest offset that is apart from those before it."""
    offsets = [-1] * len(sizes)
    for i in order:
        taken: list[tuple[int, int]] = []
        choices: list[tuple[int, Apart]] = []
        for j, distances in rules[i]:
            base = offsets[j]
            if base < 0:
                continue
            if len(distances.ways) > 1:
                choices.append((base, distances))
            else:
                (way,) = distances.ways
                taken += [(base + begin, base + end) for begin, end in zip(way.begins, way.ends, strict=True)]
        taken.sort()
        offsets[i] = _lowest(taken, choices)
    return offsets


def _lowest(taken: Sequence[tuple[int, int]], choices: Sequence[tuple[int, Apart]]) -> int:
    """The lowest offset outside of all that is taken, `begin` included and `end` not, and of one way of each choice."""
    offset = at = 0
    while True:
        while at < len(taken) and taken[at][0] <= offset:
            offset = max(offset, taken[at][1])
            at += 1
        moved = max((base + distances.next_allowed(offset - base) for base, distances in choices), default=offset)
        if moved == offset:
            return offset
        offset = moved
