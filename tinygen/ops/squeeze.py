"""SQUEEZE: the same elements without dimensions of size one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinygen.ir import Array, Node, Op, Reference, Shape
from tinygen.ops.copy import COPY, same_type


@dataclass(frozen=True, slots=True)
class Squeeze(Op):
    squeeze_dims: tuple[int, ...] = ()

    name: ClassVar[str] = "SQUEEZE"
    version: ClassVar[int] = 2
    options: ClassVar[str | None] = "SqueezeOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (same_type,)
    kernels = (COPY,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        shape = node.input(0).shape
        for axis in self.squeeze_dims:
            if not -len(shape) <= axis < len(shape) or shape[axis] != 1:
                raise ValueError(f"dimension {axis} of {node.input(0).describe()} cannot be squeezed.")
        chosen = {axis % len(shape) for axis in self.squeeze_dims}
        return (tuple(n for axis, n in enumerate(shape) if n != 1 or (chosen and axis not in chosen)),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        assert values[0] is not None
        return (values[0].reshape(node.output.shape),)

    def view_of(self, node: Node) -> int | None:
        return 0
