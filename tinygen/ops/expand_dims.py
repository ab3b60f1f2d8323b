"""EXPAND_DIMS: the same elements with one more dimension, of size one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinygen.ir import Array, DType, Node, Op, Reference, Shape
from tinygen.ops.copy import COPY, same_type


def constant_axis(node: Node) -> str | None:
    """The axis must be one constant int32 or int64."""
    axis = node.input(1)
    fits = axis.is_constant and axis.elements == 1 and axis.dtype in (DType.INT32, DType.INT64)
    return None if fits else axis.describe() + ("" if axis.is_constant else " computed at run time")


@dataclass(frozen=True, slots=True)
class ExpandDims(Op):
    name: ClassVar[str] = "EXPAND_DIMS"
    version: ClassVar[int] = 1
    options: ClassVar[str | None] = "ExpandDimsOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (same_type, constant_axis)
    kernels = (COPY,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        shape, axis = node.input(0).shape, node.input(1).data
        assert axis is not None
        position = int(axis.reshape(()))
        if not -len(shape) - 1 <= position <= len(shape):
            raise ValueError(f"{node.input(0).describe()} has no place for a dimension at {position}.")
        position %= len(shape) + 1
        return ((*shape[:position], 1, *shape[position:]),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        assert values[0] is not None
        return (values[0].reshape(node.output.shape),)

    def view_of(self, node: Node) -> int | None:
        return 0
