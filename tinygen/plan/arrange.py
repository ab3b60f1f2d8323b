"""Rows → Schedule and Plan: the choice of kernels looks at the arena, which only a plan can tell.

`speed` and `flash` choose, then plan. `ram` and `balanced` plan the leanest rows first, those that put the least into
the arena. What that plan leaves free at each layer its kernel may use for nothing. `balanced` also raises the arena
where that pays: of all heights it takes the one with the least instructions × arena⁴, that is, a percent of arena must
save four percent of the instructions. No kernel may do so that has more than twice the constants of another one of the
layer: what pays with flash (Winograd does) may not raise the arena as well.

What the rows say of the arena is an estimate: how they share and overlap is the planner's. So the plan of the choice is
looked at, and layers that stand higher than was reckoned get their leanest row, until the arena is as low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.ir import Graph
from tinygen.kernels import Optimize, Schedule
from tinygen.kernels.choose import choose, flash_budget, leanest, schedule_of
from tinygen.kernels.price import instructions
from tinygen.kernels.rows import Row, Rows
from tinygen.plan.plan import plan
from tinygen.plan.values import Plan

WORTH = 4
"""Percent of instructions that a percent of arena must save."""

HEAVY = 2
"""Times the constants of the layer's lightest row: above that a row pays with flash."""

ROUNDS = 6
WORD = 4


@dataclass(frozen=True, slots=True)
class _Look:
    """One choice with its plan."""

    choice: tuple[Row | None, ...]
    plan: Plan

    @property
    def score(self) -> tuple[int, int]:
        """The smaller the better for `balanced`."""
        return self.instructions * self.plan.arena_bytes**WORTH, self.instructions

    @property
    def instructions(self) -> int:
        return instructions([row for row in self.choice if row])


def arrange(graph: Graph, rows: Rows, optimize: Optimize) -> tuple[Schedule, Plan]:
    """Choose a row for every layer of a graph and place its tensors. Deterministic."""
    budget = flash_budget(graph)
    lean = leanest(rows)
    modest = all(row.memory <= least.memory for own, least in zip(rows, lean, strict=True) if least for row in own)
    if modest or optimize in (Optimize.SPEED, Optimize.FLASH):
        return _result(_look(graph, choose(rows, optimize, budget)))
    base = _look(graph, lean)
    allowed, most_bytes = _worthwhile(rows, base, optimize)
    looks = []
    for _ in range(ROUNDS):
        look = _look(graph, choose(allowed, optimize, budget))
        if look.plan.arena_bytes <= most_bytes:
            return _result(look)
        heavy, high = _too_high(rows, look, lean, most_bytes)
        if not heavy:
            looks.append(look)
        if not high:
            break
        allowed = _without(allowed, lean, heavy, rows) if heavy else _without(allowed, lean, high)
    else:
        looks.append(_look(graph, choose(_without(rows, lean, frozenset(range(len(rows)))), optimize, budget)))
    if optimize is Optimize.RAM:
        return _result(min(looks, key=lambda look: (look.plan.arena_bytes, look.instructions)))
    return _result(min(looks, key=lambda look: look.score))


def _look(graph: Graph, choice: tuple[Row | None, ...]) -> _Look:
    return _Look(choice, plan(graph, schedule_of(choice)))


def _result(look: _Look) -> tuple[Schedule, Plan]:
    return schedule_of(look.choice), look.plan


def _worthwhile(rows: Rows, base: _Look, optimize: Optimize) -> tuple[Rows, int]:
    """The rows that raise the arena no higher than pays, and that height in bytes."""
    floor = base.plan.arena_bytes
    raises = [
        [
            max(0, base.plan.live_bytes(layer) + row.added_bytes - (least.added_bytes if least else 0) - floor)
            for row in own
        ]
        for layer, (own, least) in enumerate(zip(rows, base.choice, strict=True))
    ]
    height = 0 if optimize is Optimize.RAM else _best_height(rows, raises, floor)
    allowed = tuple(
        tuple(row for row, needs in zip(own, needed, strict=True) if needs <= height)
        for own, needed in zip(rows, raises, strict=True)
    )
    return allowed, floor + -(-height // WORD) * WORD


def _best_height(rows: Rows, raises: Sequence[Sequence[int]], floor: int) -> int:
    """By how many bytes to raise the arena: what makes instructions × arena⁴ the least, without heavy rows."""
    fastest: dict[int, int] = {}
    asked = sorted(
        (needs, layer, row.cost.instructions)
        for layer, (own, needed) in enumerate(zip(rows, raises, strict=True))
        for row, needs in zip(own, needed, strict=True)
        if not _is_heavy(row, own)
    )
    total, best, best_score = 0, 0, None
    for number, (needs, layer, count) in enumerate(asked):
        was = fastest.get(layer)
        fastest[layer] = count if was is None else min(was, count)
        total += fastest[layer] - (was or 0)
        if number + 1 < len(asked) and asked[number + 1][0] == needs:
            continue
        score = total * (floor + needs) ** WORTH
        if best_score is None or score < best_score:
            best, best_score = needs, score
    return best


def _is_heavy(row: Row | None, own: Sequence[Row]) -> bool:
    return row is not None and row.cost.constant_bytes > HEAVY * min(other.cost.constant_bytes for other in own)


def _too_high(
    rows: Rows, look: _Look, lean: Sequence[Row | None], most_bytes: int
) -> tuple[frozenset[int], frozenset[int]]:
    """The layers to blame where a plan is higher than reckoned: those with heavy rows, and all of them.

    To blame are layers that stand too high and ask for more than their leanest row; or all that do, where none of them
    stands too high and the planner only found no better packing.
    """
    greedy = {
        layer
        for layer, (row, least) in enumerate(zip(look.choice, lean, strict=True))
        if row is not None and least is not None and row.memory > least.memory
    }
    high = frozenset(layer for layer in greedy if look.plan.live_bytes(layer) > most_bytes) or frozenset(greedy)
    return frozenset(layer for layer in high if _is_heavy(look.choice[layer], rows[layer])), high


def _without(rows: Rows, lean: Sequence[Row | None], layers: frozenset[int], light_of: Rows | None = None) -> Rows:
    """The rows, of some layers only those that ask for no more than the leanest, or are not heavy in `light_of`."""

    def stays(row: Row, layer: int) -> bool:
        least = lean[layer]
        if layer not in layers or least is None or row.memory <= least.memory:
            return True
        return light_of is not None and not _is_heavy(row, light_of[layer])

    return tuple(tuple(row for row in own if stays(row, layer)) for layer, own in enumerate(rows))
