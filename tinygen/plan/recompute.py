"""Recomputation for the smallest arena: expanded tensors that a depthwise convolution reads are not kept.

The tensors that live where the arena is fullest are tried first, all of them, in a plan of the whole model. If that
takes less memory within the same limit of instructions, it is taken, and those are next that fill the new plan.

    input  ──  pointwise  ══  depthwise  ──  pointwise      three rows of the wide tensor (══) in a ring
    input  ──  both, some channels at a time  ──  pointwise     some channels of them in scratch, computed anew
"""

from __future__ import annotations

from collections.abc import Callable

from tinygen.ir import Graph
from tinygen.kernels import Schedule
from tinygen.kernels.rows import Rows
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan.arrange import arrange_within, is_huge, most_instructions
from tinygen.plan.values import Plan

ROUNDS = 8
"""Plans at most: those of a large network take seconds each."""


def recompute(
    graph: Graph, schedule: Schedule, planned: Plan, rows_of: Callable[[Graph], Rows]
) -> tuple[Graph, Schedule, Plan]:
    """A graph in which convolutions are joined, with its schedule and plan, where that lowers the arena.

    `schedule` and `planned` are the best ones of `graph`; `rows_of` tells the kernels to choose from in a graph.
    """
    best, joined = (graph, schedule, planned), set[int]()
    if is_huge(graph) or not expanded_where_fullest(graph, planned):
        return best
    most = most_instructions(rows_of(graph))
    for _ in range(ROUNDS):
        fullest = expanded_where_fullest(best[0], best[2])
        if not fullest:
            break
        other = fuse_expansions(graph, joined | fullest)
        found = arrange_within(other, rows_of(other), most)
        if found is None or found[1].arena_bytes >= best[2].arena_bytes:
            break
        best, joined = (other, *found), joined | fullest
    return best


def expanded_where_fullest(graph: Graph, planned: Plan) -> set[int]:
    """The tensors that need not exist and live in a step in which the most bytes live."""
    peak = max(planned.live, default=0)
    wanted = set(expansions(graph))
    found: set[int] = set()
    for buffer in planned.buffers:
        first, last = (max(0, planned.step_at(time)) for time in (buffer.life.first, buffer.life.last))
        if peak in planned.live[first : last + 1]:
            found |= wanted & set(buffer.tensors)
    return found
