"""Graph → Graph: named rewrites, applied in this order; each leaves every value as it was."""

from __future__ import annotations

from collections.abc import Callable

from tinygen.ir import Graph, Reference
from tinygen.passes.edges import float_edges_outermost
from tinygen.passes.fold import fold_constants

Pass = Callable[[Graph, Reference], Graph]

PASSES: tuple[Pass, ...] = (fold_constants, float_edges_outermost)


def run_passes(graph: Graph, reference: Reference) -> Graph:
    """Apply every pass in order."""
    for rewrite in PASSES:
        graph = rewrite(graph, reference)
    return graph
