"""RESHAPE: the same elements in the same order under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinygen.ir import Array, DType, Node, Op, Reference, Shape
from tinygen.ops.copy import COPY, same_type


def constant_shape(node: Node) -> str | None:
    """The new shape must be a constant int32 vector."""
    shape = node.optional(1)
    if shape is None:
        return None
    fits = shape.is_constant and shape.dtype is DType.INT32 and len(shape.shape) == 1
    return None if fits else shape.describe() + ("" if shape.is_constant else " computed at run time")


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    new_shape: tuple[int, ...] = ()

    name: ClassVar[str] = "RESHAPE"
    version: ClassVar[int] = 1
    options: ClassVar[str | None] = "ReshapeOptions"
    arity: ClassVar[tuple[int, int]] = (1, 2)
    constraints = (same_type, constant_shape)
    kernels = (COPY,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        shape = node.optional(1)
        wanted = self.new_shape if shape is None or shape.data is None else tuple(int(size) for size in shape.data)
        source = node.input(0)
        if wanted == (0,):  # how old converters write a scalar
            wanted = ()
        free = [position for position, size in enumerate(wanted) if size == -1]
        known = math.prod(size for size in wanted if size != -1)
        if len(free) > 1 or known < 1 or source.elements % known or min(wanted, default=1) < -1:
            raise ValueError(f"{source.describe()} cannot take the shape {list(wanted)}.")
        result = tuple(source.elements // known if size == -1 else size for size in wanted)
        if math.prod(result) != source.elements:
            raise ValueError(f"{source.describe()} cannot take the shape {list(wanted)}.")
        return (result,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        assert values[0] is not None
        return (values[0].reshape(node.output.shape),)

    def view_of(self, node: Node) -> int | None:
        return 0
