"""The planner's one function."""

from __future__ import annotations

from tinygen.ir import Graph
from tinygen.kernels import Optimize, Schedule
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan.check import check
from tinygen.plan.cuts import Cuts
from tinygen.plan.estimate import layer_instructions
from tinygen.plan.place import place
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.plan.values import Plan

ADDED = {Optimize.SPEED: 0.002, Optimize.BALANCED: 0.04, Optimize.RAM: 1.0}
"""The part of a model's instructions that streaming may add. Not at all for flash: it takes a table and a loop."""

SLACK = (1.0, 1.005, 1.01, 1.02, 1.04, 1.08, 1.15, 1.25, 1.4, 1.6, 2.0, 3.0, 4.0)
"""Limits that groupings are looked for within, as multiples of the lowest peak."""

LOOKS = 5
"""Groupings that are placed at most."""


def plan(graph: Graph, schedule: Schedule, optimize: Optimize = Optimize.BALANCED) -> Plan:
    """Place every tensor and all scratch in one arena, and check the result. Deterministic.

    Layers run whole, one after the other, or some rows at a time in turn, where that makes the arena smaller for no
    more instructions than `optimize` allows.
    """
    layers = layers_of(graph, schedule)
    network = Network(graph, layers)
    best = place(graph, schedule, steps_of(network, [Group(i, i + 1) for i in range(len(graph.nodes))]))
    if optimize in ADDED:
        cuts = Cuts(network, best.live, _inner(graph))
        may_add = ADDED[optimize] * sum(layer_instructions(layer) for layer in layers if layer)
        best = _streamed(graph, schedule, cuts, best, int(may_add))
    check(graph, schedule, best)
    return best


def _inner(graph: Graph) -> range:
    """The layers that are no edges: a program may run them alone."""
    begin = sum(is_input_edge(graph, node) for node in graph.nodes)
    return range(begin, len(graph.nodes) - sum(is_output_edge(graph, node) for node in graph.nodes))


def _streamed(graph: Graph, schedule: Schedule, cuts: Cuts, whole: Plan, may_add: int) -> Plan:
    """The lowest of the plans with groups that add no more instructions than they may; else the plan as it is."""
    best, looks = whole, 0
    seen: set[tuple[Group, ...]] = set()
    lowest = cuts.lowest()
    for slack in SLACK:
        limit = int(lowest * slack)
        if limit >= best.arena_bytes or looks == LOOKS:
            break
        groups = cuts.within(limit)
        if groups is None or groups in seen or sum(cuts.added(group) for group in groups) > may_add:
            continue
        seen.add(groups)
        looks += 1
        found = place(graph, schedule, steps_of(cuts.network, groups))
        if found.arena_bytes < best.arena_bytes:
            best = found
    return best
