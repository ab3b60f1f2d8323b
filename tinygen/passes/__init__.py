"""Graph → Graph: named rewrites, applied in this order; each leaves every value as it was."""

from __future__ import annotations

from collections.abc import Callable

from tinygen.ir import Graph, Reference
from tinygen.passes.constant_channels import drop_constant_channels
from tinygen.passes.edges import float_edges_outermost
from tinygen.passes.fold import fold_constants
from tinygen.passes.fuse_clamp import fuse_clamp
from tinygen.passes.fuse_padding import fuse_padding
from tinygen.passes.read_unflattened import read_unflattened
from tinygen.passes.single_channel import convolve_single_channels

__all__ = [
    "PASSES",
    "Pass",
    "convolve_single_channels",
    "drop_constant_channels",
    "fold_constants",
    "fuse_clamp",
    "fuse_padding",
    "read_unflattened",
    "run_passes",
]

Pass = Callable[[Graph, Reference], Graph]

PASSES: tuple[Pass, ...] = (
    fold_constants,
    convolve_single_channels,
    fuse_padding,
    fuse_clamp,
    read_unflattened,
    drop_constant_channels,
    float_edges_outermost,
)


def run_passes(graph: Graph, reference: Reference, *, leave_out: tuple[Pass, ...] = ()) -> Graph:
    """Apply every pass in order, but those that are left out."""
    for rewrite in PASSES:
        if rewrite not in leave_out:
            graph = rewrite(graph, reference)
    return graph
