"""Recomputation for the smallest arena: expanded tensors that a depthwise convolution reads are not kept.

The tensors that live where the arena is fullest are tried first, all of them, in a plan of the whole model; then each
alone, and those whose depthwise convolution makes what lives there, for behind it layers can stream that could not.
What takes less memory within the same limit of instructions is taken, and what fills the new plan is next.

    input  ──  pointwise  ══  depthwise  ──  pointwise      three rows of the wide tensor (══) in a ring
    input  ──  both, some channels at a time  ──  pointwise     some channels of them in scratch, computed anew
"""

from __future__ import annotations

from collections.abc import Callable

from tinygen.ir import Graph
from tinygen.kernels import Optimize, Schedule
from tinygen.kernels.rows import Rows, one_way
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan.arrange import arrange_within, is_huge, most_instructions
from tinygen.plan.values import Plan

MOST_PLANS = 8
"""Those of a large network take seconds each."""


def recompute(
    graph: Graph, schedule: Schedule, planned: Plan, rows_of: Callable[[Graph], Rows], budget: int
) -> tuple[Graph, Schedule, Plan]:
    """A graph in which convolutions are joined, with its schedule and plan, where that lowers the arena.

    `schedule` and `planned` are the best ones of `graph`; `rows_of` tells the kernels to choose from in a graph,
    `budget` what `balanced` may spend on flash.
    """
    best, joined = (graph, schedule, planned), frozenset[int]()
    if is_huge(graph) or not _trials(graph, planned):
        return best
    most = most_instructions(one_way(rows_of(graph)), Optimize.RAM, budget)
    waiting, plans = _trials(best[0], best[2]), 0
    while waiting and plans < MOST_PLANS:
        tensors = joined | waiting.pop(0)
        other = fuse_expansions(graph, tensors)
        found = arrange_within(other, rows_of(other), most)
        plans += 1
        if found is not None and found[1].arena_bytes < best[2].arena_bytes:
            best, joined = (other, *found), tensors
            waiting = _trials(best[0], best[2])
    return best


def _trials(graph: Graph, planned: Plan) -> list[frozenset[int]]:
    """What to join next: all tensors that are in the way, then one at a time of them and of those before them."""
    full = living_where_fullest(planned)
    wanted = set(expansions(graph))
    makers = [node for node in graph.nodes if node.outputs[0].index in full]
    before = {node.input(0).index for node in makers if node.optional(0) is not None}
    trials = [frozenset(wanted & full), *(frozenset({tensor}) for tensor in sorted(wanted & (full | before)))]
    return [trial for trial in dict.fromkeys(trials) if trial]


def living_where_fullest(planned: Plan) -> set[int]:
    """The tensors that live in a step in which the most bytes live."""
    peak = max(planned.live, default=0)
    found: set[int] = set()
    for buffer in planned.buffers:
        first, last = (max(0, planned.step_at(time)) for time in (buffer.life.first, buffer.life.last))
        if peak in planned.live[first : last + 1]:
            found |= set(buffer.tensors)
    return found
