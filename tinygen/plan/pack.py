"""Offsets for buffers: first fit in several orders, then a local search, until the lower bound is reached.

A buffer that finds a place below the bound wherever the others lie takes no part: it is placed last. The search moves
the others about. It looks at the height, and among equal heights at the bytes by which buffers end above the bound;
now and then it goes on from a worse order, and after some rounds again from the best one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from tinygen.plan.distances import Apart

ROUNDS = 4000
TRIALS = 1_500_000
"""Bounds the local search: rounds × pairs of buffers, so that it takes a second or two at most."""

DOWNHILL = 0.02
"""How often a worse order is taken."""

PATIENCE = 500
"""Rounds until the search goes back to the best order."""

Pair = tuple[int, int]
Rule = tuple[int, Apart, tuple[Pair, ...] | None]
"""Another buffer, the distances from it that keep apart, and their gaps where there is one way only."""
Found = tuple[Pair, list[int], list[int]]
"""Height and what lies above the bound; the order of placing; the offsets by buffer."""


def pack(sizes: Sequence[int], pairs: Mapping[Pair, Apart], ages: Sequence[Pair], floor: int) -> tuple[int, ...]:
    """Offsets in bytes, in the sizes' order, as low as can be found; the search ends at `floor`. Deterministic.

    `pairs` has the distances from i to j that keep i and j apart; buffers without an entry never meet. `ages` are the
    first birth and the last death of each.
    """
    if not sizes:
        return ()
    rules: list[list[Rule]] = [[] for _ in sizes]
    for (i, j), distances in pairs.items():
        rules[j].append(_rule(i, distances))
        rules[i].append(_rule(j, distances.mirrored()))
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-sizes[i], ages[i][0]),
        lambda i: (-(ages[i][1] - ages[i][0] + 1) * sizes[i], i),
        lambda i: (ages[i][0] - ages[i][1], -sizes[i]),
        lambda i: (ages[i][0], -sizes[i]),
        lambda i: (-ages[i][1], -sizes[i]),
    )

    last = _easy(sizes, pairs, floor)
    hard = sorted(set(range(len(sizes))) - set(last))
    links = sum(1 for i, j in pairs if not {i, j} & set(last))

    now = best = min(_first_fit(sizes, rules, sorted(hard, key=key), floor) for key in keys)
    chance = random.Random(0)
    for number in range(min(ROUNDS, TRIALS // (len(hard) + 2 * links + 1))):
        if best[0][0] <= floor or len(hard) < 2:
            break
        order = list(now[1])
        for _ in range(chance.choice((1, 1, 2, 3))):
            i, j = chance.sample(range(len(order)), 2)
            if chance.random() < 0.5:
                order.insert(j, order.pop(i))
            else:
                order[i], order[j] = order[j], order[i]
        found = _first_fit(sizes, rules, order, floor, like=now, stop=True)
        if found[0] <= now[0]:
            now = found
        elif chance.random() < DOWNHILL:
            now = _first_fit(sizes, rules, order, floor)
        if now[0] < best[0]:
            best = now
        if number % PATIENCE == PATIENCE - 1:
            now = best
    return tuple(_first_fit(sizes, rules, best[1] + last, floor)[2])


def _rule(other: int, distances: Apart) -> Rule:
    gaps = [tuple(zip(way.begins, way.ends, strict=True)) for way in distances.ways]
    return other, distances, gaps[0] if len(gaps) == 1 else None


def _easy(sizes: Sequence[int], pairs: Mapping[Pair, Apart], floor: int) -> list[int]:
    """Buffers that find a place below the floor when they are placed in this order after all others.

    The others' forbidden distances together leave some offset free.
    """
    taken: list[dict[int, int]] = [{} for _ in sizes]
    for (i, j), distances in pairs.items():
        way = distances.ways[0]
        taken[i][j] = taken[j][i] = sum(end - begin for begin, end in zip(way.begins, way.ends, strict=True))
    left = set(range(len(sizes)))
    found: list[int] = []
    while easy := [i for i in sorted(left) if sum(n for j, n in taken[i].items() if j in left) + sizes[i] <= floor]:
        found += easy
        left -= set(easy)
    return found[::-1]


def _first_fit(
    sizes: Sequence[int],
    rules: Sequence[Sequence[Rule]],
    order: list[int],
    floor: int,
    like: Found | None = None,
    stop: bool = False,
) -> Found:
    """Place the buffers in the given order, each at the lowest offset that is apart from those before it.

    As far as the order is that of `like` its offsets are taken from there; with `stop` it ends where it is worse.
    """
    offsets = [-1] * len(sizes)
    height = above = 0
    before = like[1] if like else []
    is_same = True
    for number, i in enumerate(order):
        is_same = is_same and number < len(before) and before[number] == i
        offsets[i] = like[2][i] if like and is_same else _lowest(*_taken(rules[i], offsets))
        end = offsets[i] + sizes[i]
        height, above = max(height, end), above + max(0, end - floor)
        if stop and like and (height, above) > like[0]:
            break
    return (height, above), order, offsets


def _taken(rules: Sequence[Rule], offsets: Sequence[int]) -> tuple[list[Pair], list[tuple[int, Apart]]]:
    """The offsets that placed buffers forbid, sorted, and the buffers that leave a choice between ways."""
    taken: list[Pair] = []
    choices: list[tuple[int, Apart]] = []
    for other, distances, gaps in rules:
        base = offsets[other]
        if base < 0:
            continue
        if gaps is None:
            choices.append((base, distances))
        else:
            taken += [(base + begin, base + end) for begin, end in gaps]
    taken.sort()
    return taken, choices


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
