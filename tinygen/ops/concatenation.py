"""CONCATENATION: tensors side by side along one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen.ir import (
    Access,
    Activation,
    Array,
    Int32,
    Int32Array,
    Kernel,
    Node,
    Op,
    Params,
    Reference,
    Shape,
    Unit,
)
from tinygen.ir.kernel import every_operand
from tinygen.ops import rules


def no_activation(node: Node) -> str | None:
    """There must be no fused activation."""
    op = node.op
    assert isinstance(op, Concatenation)
    return None if op.fused_activation_function is Activation.NONE else op.fused_activation_function.name


def same_quantisation(node: Node) -> str | None:
    """All inputs must have the output's scale and zero point."""
    for tensor in node.inputs:
        assert tensor is not None
        if (tensor.scale, tensor.zero_point) != (node.output.scale, node.output.zero_point):
            return (
                f"scale {tensor.scale} and zero point {tensor.zero_point} in tensor {tensor.index}, "
                f"{node.output.scale} and {node.output.zero_point} in the output"
            )
    return None


def axis_of(node: Node) -> int:
    """The axis, not negative."""
    op, rank = node.op, len(node.input(0).shape)
    assert isinstance(op, Concatenation)
    if not -rank <= op.axis < rank:
        raise ValueError(f"axis {op.axis} does not exist in {node.input(0).describe()}.")
    return op.axis % rank


def joined_rows(node: Node) -> list[int]:
    """Rows that each input adds to a block of output rows; empty where the axis lies within a row."""
    axis, rank = axis_of(node), len(node.output.shape)
    if axis >= rank - 2:
        return []
    return [math.prod(node.input(i).shape[axis : rank - 2]) for i in range(len(node.inputs))]


def input_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the operand that output rows begin..end-1 read."""
    sizes = joined_rows(node)
    if not sizes:
        return begin, end
    block, first = sum(sizes), sum(sizes[:operand])

    def rows_before(row: int) -> int:
        return row // block * sizes[operand] + min(max(row % block - first, 0), sizes[operand])

    return rows_before(begin), rows_before(end)


@dataclass(frozen=True, slots=True)
class ConcatenationParams(Params):
    inputs: Int32
    block_rows: Int32
    columns: Int32
    piece_bytes: Int32
    sizes: Int32Array


def params(node: Node, reference: Reference) -> ConcatenationParams:
    """What concatenation_s8__c is given."""
    rows = joined_rows(node)
    if rows:
        return ConcatenationParams(len(rows), sum(rows), 1, node.output.row_bytes, np.array(rows, np.int32))
    is_by_channel = axis_of(node) == len(node.output.shape) - 1
    columns = node.output.nhwc[2] if is_by_channel else 1
    sizes = [node.input(i).row_bytes // columns for i in range(len(node.inputs))]
    return ConcatenationParams(len(sizes), 0, columns, node.output.row_bytes // columns, np.array(sizes, np.int32))


@dataclass(frozen=True, slots=True)
class Concatenation(Op):
    axis: int = 0
    fused_activation_function: Activation = Activation.NONE

    name: ClassVar[str] = "CONCATENATION"
    version: ClassVar[int] = 5
    options: ClassVar[str | None] = "ConcatenationOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1024)
    constraints = (rules.int8_operands, rules.per_tensor_operands, no_activation, same_quantisation)
    kernels = (
        Kernel("concatenation_s8__c", access=Access(Unit.ROW, input_rows), params=params, operands=every_operand),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        axis, first = axis_of(node), node.input(0).shape
        shapes = [node.input(i).shape for i in range(len(node.inputs))]
        for position, shape in enumerate(shapes):
            if len(shape) != len(first) or (*shape[:axis], *shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
                raise ValueError(
                    f"inputs 0 and {position}, {node.input(0).describe()} and {node.input(position).describe()}, "
                    f"differ in more than axis {axis}."
                )
        return ((*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        return (np.concatenate([value for value in values if value is not None], axis=self.axis),)
