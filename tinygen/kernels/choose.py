"""Graph → Schedule: the kernel of each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tinygen.ir import Graph, Kernel, Node


class Optimize(Enum):
    """What the choice between several kernels of one layer weighs most."""

    BALANCED = "balanced"
    SPEED = "speed"
    RAM = "ram"
    FLASH = "flash"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The chosen kernels by the node's position in the graph; None where the node is a view and needs none."""

    kernels: Mapping[int, Kernel | None]


def select(graph: Graph, features: frozenset[str]) -> Schedule:
    """Choose a kernel for every node, from what an instruction set offers."""
    return Schedule({layer: _choose(node, features) for layer, node in enumerate(graph.nodes)})


def _choose(node: Node, features: frozenset[str]) -> Kernel | None:
    source = node.op.view_of(node)
    if source is not None and not node.input(source).is_constant:
        return None
    for kernel in node.op.kernels:
        if kernel.features <= features and all(rule(node) is None for rule in kernel.constraints):
            return kernel
    raise AssertionError(f"{node.describe()}: its last kernel must be portable and apply to every node")
