"""Rows → Schedule and Plan: kernels, groups that stream, and places are chosen together.

First the fastest kernels that the flash allows, for their instructions. Then, for limits on the arena from the lowest
possible on, the groups with the fewest instructions, and of the kernels whose scratch fits there the fastest ones that
the flash allows. What a limit really takes is found by placing it, so the most promising ones are placed, and the best
plan is taken.

    speed      the smallest arena for 1 % more instructions than the fastest kernels have
    ram        the smallest arena for 2.5 times as many, or for what `balanced` may spend where that is more
    balanced   for up to 40 % more, where a byte of arena saves at least what 300 instructions cost
    flash      whole layers alone, with the kernels of the least flash

Where the caller pushes the input's rows, the layers that take them run in turn under any of these.

Under `balanced`, kernels that have more than twice the constants of another one for the same features do not count
among the fastest: what pays with flash (Winograd does) may not raise the arena as well. They are taken where they fit.

Kernels that go backward change no step's bytes, only how steps fit to one another. So they are left out of the choice,
and where a placement does not reach its bound, layers that run whole are turned round as long as that helps. Where the
bound counts holes that a scratch does not fit into, its layer takes a leaner kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tinygen.errors import UsageError
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, Schedule
from tinygen.kernels.choose import choose, flash_budget, schedule_of
from tinygen.kernels.price import instructions
from tinygen.kernels.rows import Row, Rows, backward_rows, one_way, row_of
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan.bound import live_by_step, lower_bound
from tinygen.plan.check import check
from tinygen.plan.cuts import IMPOSSIBLE, Cuts
from tinygen.plan.lives import follow
from tinygen.plan.place import place, place_coarsely, whole_steps
from tinygen.plan.stream import Chunk, Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.plan.values import Plan

ADDED = {Optimize.SPEED: 0.01, Optimize.BALANCED: 0.4, Optimize.RAM: 1.5}
"""The part of the fastest kernels' instructions that may be spent on a smaller arena."""

HEAVY = 2
"""Times the constants of the layer's lightest row of the same features: above that a row pays with flash."""

HUGE_BYTES = 1 << 25
"""A tensor of more than that is huge."""

LADDER = (1000, 1005, 1010, 1020, 1030, 1045, 1070, *(round(1100 * 1.03**step) for step in range(21)), 2500, 4000)
"""Limits that are looked at, in thousandths of the lowest."""

FEWER = (1, 2, 4)
"""Rows of a call at most with which the best one is placed again under `ram`, and where rows are pushed."""

PLACED = 3
"""Of those so many are placed, the most promising ones."""

WORTH = 300
"""Instructions that a byte of arena is worth under `balanced`: a kilobyte is 5 ms at 64 MHz."""

TURNED = 3
"""Layers that are tried backward one by one, before all together: those beside which the most lives."""

NEAR = 1.005
"""Times the bound: a placement below that is left as it is."""

EASED = 3
"""Times that layers take leaner kernels."""

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

    Raises UsageError when rows are to be pushed into a graph that cannot go on with less than all of them.
    `budget` is what `balanced` may spend on constants and kernels, in bytes of flash; see `flash_budget`.
    """
    forward, turned = one_way(rows), backward_rows(rows)
    whole = _Look(_whole(graph), choose(forward, optimize, budget))
    if is_huge(graph):
        if graph.pushed is not None:
            raise _no_rows(graph, f"has a tensor of more than {HUGE_BYTES:,} bytes")
        return schedule_of(whole.choice), place_coarsely(graph, schedule_of(whole.choice))
    if optimize not in ADDED:
        if graph.pushed is None:
            return _checked(graph, whole)
        forward = tuple(() if row is None else (row,) for row in whole.choice)
    own = _light(forward) if optimize is Optimize.BALANCED else forward
    fastest = _Look(_whole(graph), choose(own, optimize, budget))
    most = most_instructions(forward, optimize, budget)
    cuts = cuts_of(graph, own)
    best, placed = _search(cuts, _looks(cuts, optimize, budget, most) or [fastest], turned, optimize, most)
    if own != forward:  # heavy kernels where they fit
        other = _look(cuts_of(graph, forward), optimize, budget, placed.arena_bytes)
        if other is not None and other.instructions < best.instructions:
            other, found = _turned(graph, other, _placed(graph, other), turned)
            if found.arena_bytes <= placed.arena_bytes:
                return _checked(graph, other, found)
    return _checked(graph, best, placed)


def arrange_within(graph: Graph, rows: Rows, most: int) -> tuple[Schedule, Plan] | None:
    """What `arrange` finds under `ram` for `most` instructions at most, by the estimate; None where nothing keeps that.

    The graph must be one that is not huge.
    """
    cuts = cuts_of(graph, one_way(rows))
    looks = [look for look in _looks(cuts, Optimize.RAM, 0, most) if look.instructions <= most]
    if not looks:
        return None
    return _checked(graph, *_search(cuts, looks, backward_rows(rows), Optimize.RAM, most))


def _search(cuts: Cuts, looks: Sequence[_Look], turned: Rows, optimize: Optimize, most: int) -> tuple[_Look, Plan]:
    """The best of some looks once they are placed, and what becomes of it where placements miss their bound."""
    graph = cuts.network.graph
    plans = {look: _placed(graph, look) for look in looks}

    def worth(look: _Look) -> tuple[int, int]:
        return score(optimize, look.instructions, plans[look].arena_bytes)

    best = min(plans, key=worth)
    if optimize is Optimize.RAM or graph.pushed is not None:  # what is reckoned alike may not be once it is placed
        for look in _with_fewer_rows(cuts, best):
            if look.instructions <= most and look not in plans:
                plans[look] = _placed(graph, look)
        best = min(plans, key=worth)
    for look in list(plans):
        bound = plans[look].lower_bound_bytes
        if bound * NEAR < plans[look].arena_bytes and score(optimize, look.instructions, bound) < worth(best):
            look, plans[look] = _turned(graph, look, plans[look], turned)
            best = min(best, look, key=worth)
            for eased, placed in _eased(graph, look, plans[look], cuts.offers):
                plans[eased] = placed
                best = min(best, eased, key=worth) if eased.instructions <= most else best
    return best, plans[best]


def is_huge(graph: Graph) -> bool:
    """Whether no microcontroller holds one of the tensors, so that it is not worth following byte by byte."""
    return max((t.size_bytes for t in graph.tensors() if not t.is_constant), default=0) > HUGE_BYTES


def most_instructions(rows: Rows, optimize: Optimize, budget: int) -> int:
    """What may be spent on layers with these rows, so that `ram` leaves out nothing that `balanced` may take."""
    own = _light(rows) if optimize is Optimize.BALANCED else rows
    fastest = instructions([row for row in choose(own, optimize, budget) if row])
    most = int(fastest * (1 + ADDED.get(optimize, 0)))
    return max(most, most_instructions(rows, Optimize.BALANCED, budget)) if optimize is Optimize.RAM else most


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


def _light(rows: Rows) -> Rows:
    return tuple(tuple(row for row in own if not _is_heavy(row, own)) for own in rows)


def _is_heavy(row: Row, own: Sequence[Row]) -> bool:
    """Whether it has many more constants than others that use as much of the core."""
    alike = [other.cost.constant_bytes for other in own if other.kernel.features == row.kernel.features]
    return row.cost.constant_bytes > HEAVY * min(alike)


def _placed(graph: Graph, look: _Look) -> Plan:
    schedule = schedule_of(look.choice)
    return place(graph, schedule, steps_of(Network(graph, layers_of(graph, schedule)), look.groups))


def _turned(graph: Graph, look: _Look, placed: Plan, backward: Rows) -> tuple[_Look, Plan]:
    """A look with layers turned round where that makes its placement lower."""
    whole = [group.begin for group in look.groups if not group.is_stream and backward[group.begin]]
    whole.sort(key=lambda layer: -placed.live_bytes(layer))
    for layers in [[layer] for layer in whole[:TURNED]] + ([whole] if len(whole) > 1 else []):  # each is more code
        if placed.arena_bytes <= placed.lower_bound_bytes:
            break
        turned = {layer: min(backward[layer], key=lambda row: row.cost.instructions) for layer in layers}
        other = replace(look, choice=tuple(turned.get(layer, row) for layer, row in enumerate(look.choice)))
        found = _placed(graph, other)
        if found.arena_bytes < placed.arena_bytes:
            look, placed = other, found
    return look, placed


def _eased(graph: Graph, look: _Look, placed: Plan, rows: Rows) -> Iterator[tuple[_Look, Plan]]:
    """A look with leaner kernels for layers that run whole and whose scratch finds no place below the bound."""
    whole = {group.begin for group in look.groups if not group.is_stream}
    for _ in range(EASED):
        high = [
            layer
            for buffer, offset in zip(placed.buffers, placed.offsets, strict=True)
            if offset + buffer.size_bytes > placed.lower_bound_bytes
            for layer in whole.intersection(buffer.scratch_of)
        ]
        leaner = {layer: _leaner(graph, layer, look.choice[layer], rows[layer]) for layer in high}
        found = {layer: row for layer, row in leaner.items() if row is not None}
        if not found:
            return
        choice = tuple(found.get(layer, row) for layer, row in enumerate(look.choice))
        look = replace(look, choice=choice)
        placed = _placed(graph, look)
        yield look, placed


def _leaner(graph: Graph, layer: int, now: Row | None, own: Sequence[Row]) -> Row | None:
    """The fastest of the rows that need less scratch than the one that is taken now."""
    assert now is not None
    node = graph.nodes[layer]
    less = [row for row in own if row.kernel.scratch_bytes(node) < now.kernel.scratch_bytes(node)]
    return min(less, key=lambda row: row.cost.instructions, default=None)


def _checked(graph: Graph, look: _Look, placed: Plan | None = None) -> tuple[Schedule, Plan]:
    schedule = schedule_of(look.choice)
    result = placed or _placed(graph, look)
    check(graph, schedule, result)
    return schedule, result


def cuts_of(graph: Graph, rows: Rows) -> Cuts:
    """The groupings of a graph whose layers have these kernels to choose from."""
    schedules = [
        schedule_of([own[min(rank, len(own) - 1)] if own else None for own in rows])
        for rank in range(max(map(len, rows), default=1) or 1)
    ]
    in_turn = schedule_of([_in_turn(own) if own else None for own in rows])
    live = []
    for schedule in schedules:
        timeline = follow(graph, layers_of(graph, schedule), whole_steps(graph, schedule))
        live.append(live_by_step([value.life() for value in timeline.values.values()], timeline.times))
    whole = [[live[rank][layer] for rank in range(len(own))] for layer, own in enumerate(rows)]
    return Cuts(Network(graph, layers_of(graph, in_turn)), rows, whole, inner_layers(graph))


def _in_turn(own: Sequence[Row]) -> Row:
    """The kernel that stands for those of a layer where it runs in turn with others."""
    return next((row for row in own if row.kernel.access.accumulates), own[0])


def inner_layers(graph: Graph) -> range:
    """The layers that are no edges: a program may run them alone."""
    begin = sum(is_input_edge(graph, node) for node in graph.nodes)
    return range(begin, len(graph.nodes) - sum(is_output_edge(graph, node) for node in graph.nodes))


def _looks(cuts: Cuts, optimize: Optimize, budget: int, most: int) -> list[_Look]:
    """The most promising groups and kernels of no more than `most` instructions, for limits from the lowest on."""
    graph = cuts.network.graph
    found: list[_Look] = []
    lowest = cuts.lowest()
    if lowest >= IMPOSSIBLE:
        raise _no_rows(graph, "needs all rows of its input before its first layer can begin")
    for step in LADDER:
        limit = lowest * step // 1000
        look = _look(cuts, optimize, budget, limit)
        if look is not None and look not in found:
            found.append(look)
    allowed = [look for look in found if look.instructions <= most]
    if graph.pushed is not None and not allowed:  # whole layers are no way out then
        allowed = [min(found, key=lambda look: look.instructions)]
    return sorted(allowed, key=lambda look: score(optimize, look.instructions, _bound(graph, look)))[:PLACED]


def _no_rows(graph: Graph, why: str) -> UsageError:
    return UsageError(
        f"--input rows: {graph.name} {why}, so its input would be whole in the arena as well. Leave --input rows out, "
        "or let the model begin with a layer that goes row by row: a convolution, a pooling, an elementwise operator."
    )


def _with_fewer_rows(cuts: Cuts, look: _Look) -> list[_Look]:
    """The same groups and kernels with calls of fewer rows."""
    found: list[_Look] = []
    for rows in FEWER:
        groups = tuple(
            replace(group, chunk=Chunk(min(group.chunk.last, rows), min(group.chunk.most, rows)))
            for group in look.groups
        )
        leaner = _Look(groups, tuple(row for group in groups for row in cuts.in_group(group, look.choice)))
        if groups != look.groups and leaner not in found:
            found.append(leaner)
    return found


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


def score(optimize: Optimize, count: int, arena_bytes: int) -> tuple[int, int]:
    """What so many instructions and so large an arena are worth; the smaller the better."""
    return (count + WORTH * arena_bytes if optimize is Optimize.BALANCED else arena_bytes), count
