"""The two convolutions of which an `ExpandDepthwise` is made, and how many rows of the first the second needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tinygen.ir import Constraint, FusedActivation, Node
from tinygen.ops.window import batch_rows, filter_windows

if TYPE_CHECKING:
    from tinygen.ops.expand_depthwise import ExpandDepthwise


def expand_of(node: Node) -> Node:
    """The pointwise convolution, with the tensor that does not exist as its output."""
    return cast("ExpandDepthwise", node.op).expand


def depthwise_of(node: Node) -> Node:
    """The depthwise convolution, with that tensor as its first input."""
    return cast("ExpandDepthwise", node.op).depthwise


def activation(part: Node) -> FusedActivation:
    """The fused activation of either of them."""
    found: FusedActivation = part.op.fused_activation_function  # type: ignore[attr-defined]
    return found


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that output rows begin..end-1 read: those of the expanded tensor that they would."""
    return batch_rows(filter_windows(depthwise_of(node))[0], node.input(0).shape[1], begin, end)


def needed_rows(node: Node, rows: int) -> int:
    """Rows that a call on so many output rows of one image expands, away from the border."""
    down, _ = filter_windows(depthwise_of(node))
    extent = window_rows(node)
    return min((rows - 1) * min(down.stride, extent) + extent, node.input(0).shape[1])


def window_rows(node: Node) -> int:
    """Rows of the expanded tensor that a window spans."""
    down, _ = filter_windows(depthwise_of(node))
    return (down.taps - 1) * down.dilation + 1


def of_part(part: str, rule: Constraint) -> Constraint:
    """A rule of a convolution as a rule of the operator that it is the `expand` or the `depthwise` of."""

    def of_whole(node: Node) -> str | None:
        return rule(expand_of(node) if part == "expand" else depthwise_of(node))

    of_whole.__doc__ = rule.__doc__
    return of_whole
