"""Rows → Schedule and Plan: kernels, groups that stream, and places are chosen together.

First the fastest kernels that the flash allows, for their instructions. Then, for a limit on the arena, the groups with
the fewest instructions, and of the kernels whose scratch fits there the fastest ones that the flash allows; the lowest
limit is sought that takes no more instructions than the user's wish says. What a limit really takes is found by placing
it, so a few limits from the lowest on are placed, and the best plan is taken.

    speed      1 % more instructions than the fastest kernels
    balanced   5 % more
    ram        2.5 times as many
    flash      whole layers alone, with the kernels of the least flash

Under `balanced`, kernels that have more than twice the constants of another one of the layer do not count among the
fastest: what pays with flash (Winograd does) may not raise the arena as well. They are taken where they fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, Schedule
from tinygen.kernels.choose import choose, flash_budget, schedule_of
from tinygen.kernels.price import instructions
from tinygen.kernels.rows import Row, Rows, row_of
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan.bound import live_by_step
from tinygen.plan.check import check
from tinygen.plan.cuts import Cuts
from tinygen.plan.lives import follow
from tinygen.plan.place import place
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.plan.values import Plan, Step

ADDED = {Optimize.SPEED: 0.01, Optimize.BALANCED: 0.05, Optimize.RAM: 1.5}
"""The part of the fastest kernels' instructions that may be spent on a smaller arena."""

HEAVY = 2
"""Times the constants of the layer's lightest row: above that a row pays with flash."""

HALVINGS = 8
"""Of the interval in which the lowest limit is sought."""

LADDER = (1.0, 1.005, 1.01, 1.02, 1.04)
"""Limits that are placed, as multiples of the lowest."""

WORTH = 4
"""Percent of instructions that a percent of arena is worth, where several plans are allowed."""

Choice = tuple[Row | None, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """Groups with kernels."""

    groups: tuple[Group, ...]
    choice: Choice

    @property
    def instructions(self) -> int:
        return instructions([row for row in self.choice if row])


def arrange(graph: Graph, rows: Rows, optimize: Optimize) -> tuple[Schedule, Plan]:
    """Choose a row for every layer of a graph and its steps, and place its tensors. Deterministic."""
    budget = flash_budget(graph)
    whole = _Look(_whole(graph), choose(rows, optimize, budget))
    if optimize not in ADDED:
        return _checked(graph, whole)
    light = tuple(tuple(row for row in own if not _is_heavy(row, own)) for own in rows)
    fastest = _Look(_whole(graph), choose(light if optimize is Optimize.BALANCED else rows, optimize, budget))
    most = int(fastest.instructions * (1 + ADDED[optimize]))
    looks = _looks(_cuts(graph, rows), rows, optimize, budget, most)
    plans = {look: _placed(graph, look) for look in dict.fromkeys([*looks, fastest])}
    if optimize is Optimize.BALANCED:
        best = min(plans, key=lambda look: (look.instructions * plans[look].arena_bytes ** WORTH, look.instructions))
    else:
        best = min(plans, key=lambda look: (plans[look].arena_bytes, look.instructions))
    return _checked(graph, best, plans[best])


def plan(graph: Graph, schedule: Schedule, optimize: Optimize = Optimize.BALANCED) -> Plan:
    """The same for kernels that are given."""
    kernels = [schedule.kernels[layer] for layer in range(len(graph.nodes))]
    rows = tuple(
        () if kernel is None else (row_of(kernel, node, Reference.LITERT),)
        for kernel, node in zip(kernels, graph.nodes, strict=True)
    )
    return arrange(graph, rows, optimize)[1]


def _whole(graph: Graph) -> tuple[Group, ...]:
    return tuple(Group(layer, layer + 1) for layer in range(len(graph.nodes)))


def _is_heavy(row: Row, own: Sequence[Row]) -> bool:
    return row.cost.constant_bytes > HEAVY * min(other.cost.constant_bytes for other in own)


def _placed(graph: Graph, look: _Look) -> Plan:
    schedule = schedule_of(look.choice)
    return place(graph, schedule, steps_of(Network(graph, layers_of(graph, schedule)), look.groups))


def _checked(graph: Graph, look: _Look, placed: Plan | None = None) -> tuple[Schedule, Plan]:
    schedule = schedule_of(look.choice)
    result = placed or _placed(graph, look)
    check(graph, schedule, result)
    return schedule, result


def _cuts(graph: Graph, rows: Rows) -> Cuts:
    """The groupings of a graph whose layers have these kernels to choose from."""
    nodes = graph.nodes
    by_rank = [
        layers_of(graph, schedule_of([own[min(rank, len(own) - 1)] if own else None for own in rows]))
        for rank in range(max(map(len, rows), default=1) or 1)
    ]
    steps = [Step(layer, 0, node.outputs[0].rows) for layer, node in enumerate(nodes)]
    live = []
    for layers in by_rank:
        timeline = follow(graph, layers, steps)
        live.append(live_by_step([value.life() for value in timeline.values.values()], timeline.times))
    whole = [[live[rank][layer] for rank in range(len(own))] for layer, own in enumerate(rows)]
    begin = sum(is_input_edge(graph, node) for node in nodes)
    inner = range(begin, len(nodes) - sum(is_output_edge(graph, node) for node in nodes))
    return Cuts(Network(graph, by_rank[0]), rows, whole, inner)


def _looks(cuts: Cuts, rows: Rows, optimize: Optimize, budget: int, most: int) -> list[_Look]:
    """Groups and kernels for the lowest limit that takes no more than `most` instructions, and for a few above."""
    low, high = (
        cuts.lowest(),
        max(
            live + scratch
            for pair in zip(cuts.whole, cuts.scratch, strict=True)
            for live, scratch in zip(*pair, strict=True)
        ),
    )

    def look(limit: int) -> _Look | None:
        ways = cuts.within(limit)
        if ways is None:
            return None
        found = _Look(
            tuple(way.group for way in ways),
            choose([own for way in ways for own in way.offers], optimize, budget),
        )
        return found if found.instructions <= most else None

    if look(low) is None:
        for _ in range(HALVINGS):
            middle = (low + high) // 2
            if look(middle) is None:
                low = middle
            else:
                high = middle
        low = high
    return [found for step in LADDER if (found := look(int(low * step))) is not None]
