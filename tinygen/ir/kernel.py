"""What a kernel states of itself: needs, parameters, scratch and the order in which it touches memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt

from tinygen.ir.reference import Reference

if TYPE_CHECKING:
    from tinygen.ir.graph import Node
    from tinygen.ir.op import Constraint

Features = frozenset[str]


@dataclass(frozen=True, slots=True)
class CType:
    """The C type that a field of a parameter struct has."""

    name: str


Int32 = Annotated[int, CType("int32_t")]
Float = Annotated[float, CType("float")]
Int8Array = Annotated[npt.NDArray[np.int8], CType("const int8_t *")]
Int32Array = Annotated[npt.NDArray[np.int32], CType("const int32_t *")]


@dataclass(frozen=True, slots=True)
class Params:
    """Base of parameter structs: one field a C member, in the order shape, window, quantisation, arrays.

    Field types are the annotated ones above; the C struct and its initialiser are both written from them.
    """


class Unit(Enum):
    """The piece of output that a kernel writes only after its last read of the input which that piece needs."""

    ELEMENT = "element"
    PIXEL = "pixel"
    ROW = "row"
    TENSOR = "tensor"


Rows = tuple[int, int]


def same_rows(node: Node, operand: int, begin: int, end: int) -> Rows:
    """Output rows begin..end-1 read the same rows of the operand."""
    return begin, end


def all_rows(node: Node, operand: int, begin: int, end: int) -> Rows:
    """Any output row may read every row of the operand."""
    tensor = node.inputs[operand]
    assert tensor is not None
    return 0, tensor.rows


@dataclass(frozen=True, slots=True)
class Access:
    """The order in which a kernel reads and writes, from which the planner derives what may share memory.

    Units are produced in ascending address order. For each, all reads of the input that only this unit and earlier
    ones need are over before it is written. `input_rows(node, operand, begin, end)` gives the rows of an operand that
    output rows begin..end-1 read. `elementwise` says that output element i reads no other element of an operand with
    the same number of elements than element i.
    """

    unit: Unit
    input_rows: Callable[[Node, int, int, int], Rows] = all_rows
    elementwise: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What one layer pays for a kernel, by which the choice between several weighs them.

    instructions    of one inference, an estimate from the kernel's structure: a wrong choice, never a wrong result
    constant_bytes  flash of the arrays in its parameters
    code_bytes      flash of its function, which layers with equal switches share
    """

    instructions: int
    constant_bytes: int
    code_bytes: int


def no_scratch(node: Node) -> int:
    """No working memory."""
    return 0


def no_switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """One form of the code for every node."""
    return {}


def first_operand(node: Node) -> tuple[int, ...]:
    """Only the first input is read through a view."""
    return (0,)


def every_operand(node: Node) -> tuple[int, ...]:
    """Every input is read through a view, constants too."""
    return tuple(range(len(node.inputs)))


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to compute an operator in C.

    name            `op_dtype__isa[_tile]`; its template is templates/kernels/<name>.c.j2
    access          the order in which it touches memory
    params          the parameter struct of one node
    scratch_bytes   working memory that one call needs
    switches        template variables that change the code, not the data (such as the rounding); their values are
                    appended to the function's name
    features        instruction-set features it needs; empty for portable C
    constraints     when it applies, beyond what the operator already demands
    operands        indices of the node's inputs that it reads through views; the others are constants in `params`
    cost            what a layer pays for it; None: it is taken in the order of the operator's tuple
    """

    name: str
    access: Access
    params: Callable[[Node, Reference], Params]
    scratch_bytes: Callable[[Node], int] = no_scratch
    switches: Callable[[Node, Reference], Mapping[str, str]] = no_switches
    features: Features = field(default=frozenset())
    constraints: tuple[Constraint, ...] = ()
    operands: Callable[[Node], tuple[int, ...]] = first_operand
    cost: Callable[[Node, Reference], Cost] | None = None
