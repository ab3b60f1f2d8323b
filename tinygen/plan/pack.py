"""Offsets for buffers: first fit in several orders, then a local search, until the lower bound is reached."""

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
    orders = [sorted(range(len(sizes)), key=key) for key in keys]
    best_order, best, height = orders[0], *_first_fit(sizes, rules, orders[0], None)
    for order in orders[1:]:
        offsets, reached = _first_fit(sizes, rules, order, height)
        if reached < height:
            best, best_order, height = offsets, order, reached
    chance = random.Random(0)
    for _ in range(min(ROUNDS, TRIALS // (len(sizes) + 2 * len(pairs)))):
        if height <= floor or len(sizes) < 2:
            break
        order = list(best_order)
        for _ in range(chance.choice((1, 1, 2, 3))):
            i, j = chance.sample(range(len(order)), 2)
            if chance.random() < 0.5:
                order.insert(j, order.pop(i))
            else:
                order[i], order[j] = order[j], order[i]
        offsets, reached = _first_fit(sizes, rules, order, height)
        if reached <= height:
            best, best_order, height = offsets, order, reached
    return tuple(best)


def _first_fit(
    sizes: Sequence[int], rules: Sequence[Sequence[tuple[int, Apart]]], order: Sequence[int], limit: int | None
) -> tuple[list[int], int]:
    """Place the buffers in the given order, each at the lowest offset that is apart from those before it.

    Returns offsets and height; gives up above `limit`.
    """
    offsets = [-1] * len(sizes)
    height = 0
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
        height = max(height, offsets[i] + sizes[i])
        if limit is not None and height > limit:
            break
    return offsets, height


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
