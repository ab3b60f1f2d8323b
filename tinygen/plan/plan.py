"""The planner's one function."""

from __future__ import annotations

from tinygen.ir import Graph
from tinygen.kernels import Schedule
from tinygen.plan.check import check
from tinygen.plan.place import place
from tinygen.plan.values import Plan, Step


def plan(graph: Graph, schedule: Schedule) -> Plan:
    """Place every tensor and all scratch in one arena, whole layers one after the other, and check the result."""
    steps = [Step(layer, 0, node.outputs[0].rows) for layer, node in enumerate(graph.nodes)]
    result = place(graph, schedule, steps)
    check(graph, schedule, result)
    return result
