"""Rows → Schedule: one kernel a layer, by what the user weighs most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tinygen.ir import Graph, Kernel, Reference
from tinygen.kernels import price
from tinygen.kernels.rows import Row, Rows, applicable, one_way

CODE_BYTES = 24_000
"""24 KB, of a thousand bytes each: so it holds in either reading."""
LAYER_BYTES = 150
"""What a layer's parameters and its call take besides its kernel, on Cortex-M4 with GCC 12.2: 88 + 60 bytes."""


class Optimize(Enum):
    """What the choice between several kernels of one layer weighs most.

    speed      the fewest instructions
    flash      the fewest bytes of constants and code
    ram        the smallest arena for at most 2.5 × the fastest kernels' instructions, or what balanced may spend where
               that is more, then the fewest of these
    balanced   the fewest instructions for at most 1.1 × (the model's constants + 24 KB of code), and for an arena
               that is worth its bytes (see tinygen/plan/arrange.py)
    """

    BALANCED = "balanced"
    SPEED = "speed"
    RAM = "ram"
    FLASH = "flash"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The chosen kernels by the node's position in the graph; None where the node is a view and needs none."""

    kernels: Mapping[int, Kernel | None]


def select(
    graph: Graph,
    features: frozenset[str],
    reference: Reference = Reference.LITERT,
    optimize: Optimize = Optimize.BALANCED,
    overrides: Mapping[int, str] | None = None,
) -> Schedule:
    """Choose a kernel for every node from what an instruction set offers, as far as that can be told without a plan."""
    rows = one_way(applicable(graph, features, reference, overrides))
    if optimize is Optimize.RAM:
        return schedule_of(leanest(rows))
    return schedule_of(choose(rows, optimize, flash_budget(graph)))


def flash_budget(graph: Graph) -> int:
    """What `balanced` may spend on constants and kernels: 1.1 × (constants of the file + 24 KB) − calls of layers.

    `graph` is the model's own, before passes leave anything out.
    """
    constants = {t.index: t.size_bytes for node in graph.nodes for t in node.inputs if t is not None and t.is_constant}
    return (sum(constants.values()) + CODE_BYTES) * 11 // 10 - LAYER_BYTES * len(graph.nodes)


def named_bytes(offered: Rows, named: Rows) -> int:
    """Flash that kernels named by the user take beyond the lightest of their layers, and their code.

    Their layers' constants and all code count in `flash_budget`; without this the other layers would pay for it.
    """
    taken = {layer: own[0] for layer, own in enumerate(named) if own != offered[layer]}
    lightest = {layer: min(row.cost.constant_bytes for row in offered[layer]) for layer in taken}
    beyond = sum(max(0, row.cost.constant_bytes - lightest[layer]) for layer, row in taken.items())
    return beyond + sum({row.function: row.cost.code_bytes for row in taken.values()}.values())


def choose(rows: Sequence[Sequence[Row]], optimize: Optimize, budget_bytes: int) -> tuple[Row | None, ...]:
    """A row for every layer that has any; what may not be chosen for the arena's sake is not among them.

    `budget_bytes` bounds the flash of `balanced` alone.
    """
    layers = [own for own in rows if own]
    if optimize is Optimize.FLASH:
        chosen = iter(price.cheapest(layers, price.NEARLY_ANYTHING))
    elif optimize is Optimize.BALANCED:
        chosen = iter(price.fastest_within(layers, budget_bytes))
    else:
        chosen = iter(price.cheapest(layers, price.NEXT_TO_NOTHING))
    return tuple(next(chosen) if own else None for own in rows)


def leanest(rows: Sequence[Sequence[Row]]) -> tuple[Row | None, ...]:
    """The rows that put the least into the arena, of equal ones the fastest."""
    return tuple(min(own, key=lambda row: (row.memory, row.cost.instructions), default=None) for own in rows)


def schedule_of(choice: Sequence[Row | None]) -> Schedule:
    """The kernels of the chosen rows."""
    return Schedule({layer: row.kernel if row else None for layer, row in enumerate(choice)})
