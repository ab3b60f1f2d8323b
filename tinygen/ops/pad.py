"""PAD and PADV2: elements of one value before and after each dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen.ir import Access, Array, DType, Int32, Kernel, Node, Op, Params, Reference, Shape, Unit
from tinygen.ops import rules

MAX_RANK = 5
"""What both references accept."""


def at_most_rank_5(node: Node) -> str | None:
    """The input must have one to five dimensions."""
    return None if 1 <= len(node.input(0).shape) <= MAX_RANK else node.input(0).describe()


def constant_paddings(node: Node) -> str | None:
    """The paddings must be constant and not negative, int32 or int64, two for each dimension."""
    table, rank = node.input(1), len(node.input(0).shape)
    if table.data is None or table.dtype not in (DType.INT32, DType.INT64) or table.shape != (rank, 2):
        return table.describe() + ("" if table.is_constant else " computed at run time")
    return None if table.data.min() >= 0 else f"{table.data.min()}"


def constant_value(node: Node) -> str | None:
    """The value must be one int8 constant with the output's scale and zero point."""
    value = node.input(2)
    if value.data is None or value.elements != 1 or value.dtype is not DType.INT8:
        return value.describe() + ("" if value.is_constant else " computed at run time")
    if value.quant is None or node.output.quant is None:
        return "no quantisation"
    same = value.quant.scales == node.output.quant.scales and value.quant.zero_points == node.output.quant.zero_points
    return None if same else f"scale {value.scale} and zero point {value.zero_point}"


def paddings(node: Node) -> list[tuple[int, int]]:
    """Elements before and after each of five dimensions, leading ones added."""
    table = node.input(1).data
    assert table is not None
    return [(0, 0)] * (MAX_RANK - len(table)) + [(int(before), int(after)) for before, after in table]


def five_dimensions(shape: Shape) -> Shape:
    """The shape with leading ones."""
    return (1,) * (MAX_RANK - len(shape)) + shape


def value_of(node: Node) -> int:
    """What the new elements hold: the value given, else the output's zero point, which stands for 0."""
    given = node.optional(2)
    return node.output.zero_point if given is None or given.data is None else int(given.data.reshape(()))


@dataclass(frozen=True, slots=True)
class PadParams(Params):
    input_batches: Int32
    input_depth: Int32
    input_height: Int32
    output_depth: Int32
    output_height: Int32
    columns: Int32
    pixel_bytes: Int32
    pad_batch: Int32
    pad_depth: Int32
    pad_top: Int32
    left_bytes: Int32
    right_bytes: Int32
    before_pixel_bytes: Int32
    after_pixel_bytes: Int32
    row_bytes: Int32
    value: Int32


def params(node: Node, reference: Reference) -> PadParams:
    """What pad_s8__c is given. Without padding of channels, a row's pixels are one run."""
    batches, depth, height, width, channels = five_dimensions(node.input(0).shape)
    _, output_depth, output_height, _, output_channels = five_dimensions(node.output.shape)
    batch, deep, vertical, horizontal, channel = paddings(node)
    pads_pixels = channel != (0, 0)
    return PadParams(
        input_batches=batches,
        input_depth=depth,
        input_height=height,
        output_depth=output_depth,
        output_height=output_height,
        columns=width if pads_pixels else 1,
        pixel_bytes=channels if pads_pixels else width * channels,
        pad_batch=batch[0],
        pad_depth=deep[0],
        pad_top=vertical[0],
        left_bytes=horizontal[0] * output_channels,
        right_bytes=horizontal[1] * output_channels,
        before_pixel_bytes=channel[0],
        after_pixel_bytes=channel[1],
        row_bytes=node.output.row_bytes,
        value=value_of(node),
    )


def padded_shape(node: Node) -> Shape:
    """The output's shape."""
    shape = node.input(0).shape
    pads = paddings(node)[MAX_RANK - len(shape) :]
    return tuple(before + size + after for size, (before, after) in zip(shape, pads, strict=True))


def padded(node: Node, values: Sequence[Array | None]) -> Array:
    """The output in numpy."""
    data, table = values[0], values[1]
    assert data is not None and table is not None
    result = np.full(node.output.shape, value_of(node), np.int8)
    result[tuple(slice(before, before + size) for size, (before, _) in zip(data.shape, table, strict=True))] = data
    return result


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that lie inside of output rows begin..end-1."""
    _, depth, height, _, _ = five_dimensions(node.input(0).shape)
    _, output_depth, output_height, _, _ = five_dimensions(node.output.shape)
    (pad_batch, _), (pad_depth, _), (pad_top, _), _, _ = paddings(node)
    rows = []
    for row in range(begin, end):
        batch, y = divmod(row, output_depth * output_height)
        y, place = y % output_height - pad_top, y // output_height - pad_depth
        if 0 <= y < height and 0 <= place < depth:
            rows.append(((batch - pad_batch) * depth + place) * height + y)
    inside = [row for row in rows if 0 <= row < node.input(0).rows]
    return (min(inside), max(inside) + 1) if inside else (0, 0)


PAD = Kernel("pad_s8__c", access=Access(Unit.ROW, input_rows), params=params)


@dataclass(frozen=True, slots=True)
class Pad(Op):
    name: ClassVar[str] = "PAD"
    version: ClassVar[int] = 5
    options: ClassVar[str | None] = "PadOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (*rules.INT8_UNARY, at_most_rank_5, constant_paddings)
    kernels = (PAD,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (padded_shape(node),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        return (padded(node, values),)


@dataclass(frozen=True, slots=True)
class PadV2(Op):
    name: ClassVar[str] = "PADV2"
    version: ClassVar[int] = 5
    options: ClassVar[str | None] = "PadV2Options"
    arity: ClassVar[tuple[int, int]] = (3, 3)
    constraints = (*rules.INT8_UNARY, at_most_rank_5, constant_paddings, constant_value)
    kernels = (PAD,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (padded_shape(node),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        return (padded(node, values),)
