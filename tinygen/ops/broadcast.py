"""Broadcasting of two operands over rows: how far each one steps while the kernel walks the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygen.ir import Node, Shape, Tensor


@dataclass(frozen=True, slots=True)
class Steps:
    """How one operand follows the output. A step is 0 along a dimension that is broadcast.

    batch_rows     rows from one batch to the next
    row            rows from one row of a batch to the next
    column         elements from one column to the next
    channel        elements from one channel to the next
    """

    batch_rows: int
    row: int
    column: int
    channel: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The output as batches of `height` rows of `columns` runs of `channels` elements, and the operands' steps."""

    height: int
    columns: int
    channels: int
    operands: tuple[Steps, Steps]


def walk(node: Node) -> Walk:
    """The walk of a node with two inputs. A row is one run where no operand is broadcast along one half of it only."""
    _, height, width, channels = node.output.nhwc
    shapes = [node.input(position).nhwc for position in (0, 1)]
    is_one_run = width == 1 or channels == 1 or all((w == 1) == (c == 1) for _, _, w, c in shapes)

    def steps(shape: tuple[int, int, int, int]) -> Steps:
        b, h, w, c = shape
        batch_rows = h if b > 1 else 0
        row = 1 if h > 1 else 0
        if is_one_run:
            return Steps(batch_rows, row, 0, 1 if w * c > 1 else 0)
        return Steps(batch_rows, row, c if w > 1 else 0, 1 if c > 1 else 0)

    run = (1, width * channels) if is_one_run else (width, channels)
    return Walk(height, *run, (steps(shapes[0]), steps(shapes[1])))


def broadcast_shape(node: Node) -> Shape:
    """The shape of two inputs combined. Raises ValueError when they cannot be."""
    first, second = node.input(0), node.input(1)
    try:
        return tuple(np.broadcast_shapes(first.shape, second.shape))
    except ValueError:
        raise ValueError(f"{first.describe()} and {second.describe()} cannot be broadcast") from None


def operand_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the operand that output rows begin..end-1 read."""
    height = node.output.nhwc[1]
    steps = walk(node).operands[operand]
    rows = [row // height * steps.batch_rows + row % height * steps.row for row in range(begin, end)]
    return min(rows), max(rows) + 1


def leading_broadcast(node: Node) -> str | None:
    """Of the dimensions before the last three, an input must be broadcast along all or along none."""
    try:
        output = broadcast_shape(node)
    except ValueError:
        return None  # shapes that do not combine are reported as such
    for tensor in (node.input(0), node.input(1)):
        if _leading(tensor, len(output)) not in (output[:-3], (1,) * len(output[:-3])):
            return f"{node.input(0).describe()} and {node.input(1).describe()}"
    return None


def whole_runs(node: Node) -> str | None:
    """No operand may repeat one element along a run of the output."""
    geometry = walk(node)
    if geometry.channels == 1 or all(steps.channel == 1 for steps in geometry.operands):
        return None
    return f"{node.input(0).describe()} and {node.input(1).describe()}"


def _leading(tensor: Tensor, rank: int) -> Shape:
    """The dimensions before the last three, of the shape padded to `rank` with ones."""
    return ((1,) * (rank - len(tensor.shape)) + tensor.shape)[:-3]
