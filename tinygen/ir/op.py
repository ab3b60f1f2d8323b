"""The base class of every operator, and the enumerations that operators share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from tinygen.ir.kernel import Kernel
from tinygen.ir.reference import Reference
from tinygen.ir.tensor import Array, Shape

if TYPE_CHECKING:
    from tinygen.ir.graph import Node

Constraint = Callable[["Node"], "str | None"]
"""A rule that a node must meet. Its docstring is the sentence the user reads; it returns None when the rule holds and
the value it found when not."""


class Padding(Enum):
    """Padding of a window; the values are the schema's."""

    SAME = 0
    VALID = 1


class Activation(Enum):
    """Fused activation; the values are the schema's."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


@dataclass(frozen=True, slots=True)
class Clamp:
    """Bounds of quantised values, both included, in a fused activation's place: only passes make them."""

    lower: int
    upper: int

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"CLAMP {self.lower} to {self.upper}"


FusedActivation = Activation | Clamp


@dataclass(frozen=True, slots=True)
class Op(ABC):
    """An operator. A subclass's fields are the typed attributes of the schema's options table.

    Fields stand in the schema's order and under its names in snake case, all of them, used or not: the reader fills
    them by that order, and a set field beyond the last one is an unknown attribute. Types: int, bool, float,
    Enum subclasses, tuple[int, ...] and str.

    name          the schema's BuiltinOperator, such as CONV_2D
    version       the newest operator version whose meaning is known
    options       the schema's options table, such as Conv2DOptions, or None
    arity         fewest and most inputs
    outputs       number of outputs
    constraints   what tinygen demands of a node; each docstring is the user's sentence
    kernels       best first; the last is portable C and always applies
    """

    name: ClassVar[str]
    version: ClassVar[int]
    options: ClassVar[str | None] = None
    arity: ClassVar[tuple[int, int]]
    outputs: ClassVar[int] = 1
    constraints: ClassVar[tuple[Constraint, ...]] = ()
    kernels: ClassVar[tuple[Kernel, ...]]

    @abstractmethod
    def infer(self, node: Node) -> tuple[Shape, ...]:
        """Shapes of the outputs, from the inputs and attributes. Raises ValueError when they cannot be combined."""

    @abstractmethod
    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        """The outputs in numpy: slow, obvious, and sharing no arithmetic with what the C computes.

        `values` are the inputs, constants included, in the node's order and in their tensors' shapes and dtypes; None
        stands for an omitted optional input.
        """

    def macs(self, node: Node) -> int:
        """Multiply-accumulates of one inference."""
        return 0

    def view_of(self, node: Node) -> int | None:
        """The input whose bytes are the output's, unchanged and in order, or None: such a node needs no kernel."""
        return None
