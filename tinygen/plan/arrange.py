"""Rows → Schedule and Plan: kernels, groups that stream, and places are chosen together.

First the fastest kernels that the flash allows, for their instructions. Then, for limits on the arena from the lowest
possible on, the groups with the fewest instructions, and of the kernels whose scratch fits there the fastest ones that
the flash allows. What a limit really takes is found by placing it, so the most promising ones are placed, and the best
plan is taken.

    speed      the smallest arena for 1 % more instructions than the fastest kernels have
    ram        the smallest arena for 2.5 times as many
    balanced   for up to 25 % more, where a percent of arena saves at least what four percent of instructions cost
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
from tinygen.plan.bound import live_by_step, lower_bound
from tinygen.plan.check import check
from tinygen.plan.cuts import Cuts
from tinygen.plan.lives import follow
from tinygen.plan.place import place, place_coarsely
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.plan.values import Plan, Step

ADDED = {Optimize.SPEED: 0.01, Optimize.BALANCED: 0.25, Optimize.RAM: 1.5}
"""The part of the fastest kernels' instructions that may be spent on a smaller arena."""

HEAVY = 2
"""Times the constants of the layer's lightest row: above that a row pays with flash."""

HUGE_BYTES = 1 << 25
"""No microcontroller holds such a tensor: it is not worth following byte by byte."""

LADDER = (1000, 1005, 1010, 1020, 1030, 1045, 1070, 1100, 1150, 1200, 1300, 1450, 1700, 2000, 2500, 4000)
"""Limits that are looked at, in thousandths of the lowest."""

PLACED = 3
"""Of those so many are placed, the most promising ones."""

WORTH = 4
"""Percent of instructions that a percent of arena is worth under `balanced`."""

Choice = tuple[Row | None, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """Groups with kernels."""

    groups: tuple[Group, ...]
    choice: Choice

    @property
    def instructions(self) -> int:
        return instructions([row for row in self.choice if row])


def arrange(graph: Graph, rows: Rows, optimize: Optimize, budget: int) -> tuple[Schedule, Plan]:
    """Choose a row for every layer of a graph and its steps, and place its tensors. Deterministic.

    `budget` is what `balanced` may spend on constants and kernels, in bytes of flash; see `flash_budget`.
    """
    whole = _Look(_whole(graph), choose(rows, optimize, budget))
    if is_huge(graph):
        return schedule_of(whole.choice), place_coarsely(graph, schedule_of(whole.choice))
    if optimize not in ADDED:
        return _checked(graph, whole)
    light = tuple(tuple(row for row in own if not _is_heavy(row, own)) for own in rows)
    own = light if optimize is Optimize.BALANCED else rows
    fastest = _Look(_whole(graph), choose(own, optimize, budget))
    most = int(fastest.instructions * (1 + ADDED[optimize]))
    plans = {look: _placed(graph, look) for look in _looks(cuts_of(graph, own), optimize, budget, most) or [fastest]}
    best = min(plans, key=lambda look: _score(optimize, look.instructions, plans[look].arena_bytes))
    if own != rows:  # heavy kernels where they fit
        other = _look(cuts_of(graph, rows), optimize, budget, plans[best].arena_bytes)
        if other is not None and other.instructions < best.instructions:
            placed = _placed(graph, other)
            if placed.arena_bytes <= plans[best].arena_bytes:
                return _checked(graph, other, placed)
    return _checked(graph, best, plans[best])


def is_huge(graph: Graph) -> bool:
    """Whether a plan is not looked for, but only places that do not overlap."""
    return max((tensor.size_bytes for tensor in graph.tensors() if not tensor.is_constant), default=0) > HUGE_BYTES


def arrange_within(graph: Graph, rows: Rows, most: int) -> tuple[Schedule, Plan] | None:
    """The smallest arena for no more than `most` instructions by the estimate; None where no plan is known to keep it.

    The graph must not be huge.
    """
    plans = {look: _placed(graph, look) for look in _looks(cuts_of(graph, rows), Optimize.RAM, 0, most)}
    if not plans:
        return None
    best = min(plans, key=lambda look: _score(Optimize.RAM, look.instructions, plans[look].arena_bytes))
    return _checked(graph, best, plans[best])


def most_instructions(rows: Rows) -> int:
    """What `ram` may spend on layers with these rows."""
    return int(instructions([row for row in choose(rows, Optimize.RAM, 0) if row]) * (1 + ADDED[Optimize.RAM]))


def plan(graph: Graph, schedule: Schedule, optimize: Optimize = Optimize.BALANCED) -> Plan:
    """The same for kernels that are given."""
    kernels = [schedule.kernels[layer] for layer in range(len(graph.nodes))]
    rows = tuple(
        () if kernel is None else (row_of(kernel, node, Reference.LITERT),)
        for kernel, node in zip(kernels, graph.nodes, strict=True)
    )
    return arrange(graph, rows, optimize, flash_budget(graph))[1]


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


def cuts_of(graph: Graph, rows: Rows) -> Cuts:
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
    return Cuts(Network(graph, by_rank[0]), rows, whole, inner_layers(graph))


def inner_layers(graph: Graph) -> range:
    """The layers that are no edges: a program may run them alone."""
    begin = sum(is_input_edge(graph, node) for node in graph.nodes)
    return range(begin, len(graph.nodes) - sum(is_output_edge(graph, node) for node in graph.nodes))


def _looks(cuts: Cuts, optimize: Optimize, budget: int, most: int) -> list[_Look]:
    """The most promising groups and kernels of no more than `most` instructions, for limits from the lowest on."""
    found: list[_Look] = []
    lowest = cuts.lowest()
    for step in LADDER:
        limit = lowest * step // 1000
        look = _look(cuts, optimize, budget, limit)
        if look is not None and look not in found:
            found.append(look)
    allowed = [look for look in found if look.instructions <= most]
    graph = cuts.network.graph
    return sorted(allowed, key=lambda look: _score(optimize, look.instructions, _bound(graph, look)))[:PLACED]


def _bound(graph: Graph, look: _Look) -> int:
    """What no placement can go below, byte by byte: groups are reckoned in rows, with one kernel for all."""
    layers = layers_of(graph, schedule_of(look.choice))
    timeline = follow(graph, layers, steps_of(Network(graph, layers), look.groups))
    lives = [*(value.life() for value in timeline.values.values()), *(scratch.life for scratch in timeline.scratch)]
    return lower_bound(lives)


def _look(cuts: Cuts, optimize: Optimize, budget: int, limit: int) -> _Look | None:
    """The fastest groups within a limit, and the fastest kernels that the flash allows of those that fit there."""
    ways = cuts.within(limit)
    if ways is None:
        return None
    choice = choose([own for way in ways for own in way.offers], optimize, budget)
    return _Look(tuple(way.group for way in ways), choice)


def _score(optimize: Optimize, count: int, arena_bytes: int) -> tuple[float, int]:
    """The smaller the better."""
    return (count * float(arena_bytes) ** WORTH if optimize is Optimize.BALANCED else arena_bytes), count
