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
    """The piece of output in which a kernel proceeds, and what it has read when it begins to write one.

    ELEMENT  a pixel, written while it may still need all that it reads, or `Access.pixels` in a row, wherever the first
             one of them lies
    PIXEL    `Access.pixels` pixels in a row, also across rows: all that they need is read before the first is written
    ROW      `Access.rows` rows of a call, written while what they need is still being read
    CHANNEL  a channel in all rows of a call, `Access.rows` of them at a time: within one channel, rows are written
             after the last read of what they and earlier rows need
    TENSOR   all rows of a call, written while what they need is still being read
    """

    ELEMENT = "element"
    PIXEL = "pixel"
    ROW = "row"
    CHANNEL = "channel"
    TENSOR = "tensor"


class Direction(Enum):
    """Whether units follow one another in ascending or in descending order of address."""

    FORWARD = "forward"
    BACKWARD = "backward"


Rows = tuple[int, int]


def same_rows(node: Node, operand: int, begin: int, end: int) -> Rows:
    """Output rows begin..end-1 read the same rows of the operand."""
    return begin, end


def all_rows(node: Node, operand: int, begin: int, end: int) -> Rows:
    """Any output row may read every row of the operand."""
    tensor = node.inputs[operand]
    assert tensor is not None
    return 0, tensor.rows


def all_columns(node: Node, operand: int, begin: int, end: int) -> Rows:
    """Any output column may read every column of the operand."""
    return 0, node.input(operand).nhwc[2]


def one_unit(node: Node) -> int:
    """One row at a time."""
    return 1


@dataclass(frozen=True, slots=True)
class Access:
    """The order in which a kernel reads and writes, from which the planner derives what may share memory.

    A call computes some rows of the output, unit by unit. A unit reads only what `input_rows` and `input_columns` name
    for its rows and columns, and a byte of input is not read again after the last unit that they name it for.

    unit            the piece of output in which it proceeds
    input_rows      rows of an operand that output rows begin..end-1 read, of (node, operand, begin, end)
    elementwise     once output element i is written, elements 0..i of an operand with as many elements are not read
                    again; other operands are read as the rows and columns say
    in_order        the same of an operand with as many elements or more, of which an output element may read several
    input_columns   columns of an operand that output columns begin..end-1 read, wherever they stand in their row
    pixels          pixels of a unit of PIXEL, pixels that are made together in units of ELEMENT
    rows            rows of a unit of ROW or CHANNEL
    by_channel      within a unit of ELEMENT or ROW, channel c of the output is written after the last read of channel
                    c of an operand with as many channels, and needs no other, as CHANNEL implies: so an output that
                    lies a whole number of pixels from the operand may take the place of what its own unit reads
    reads_once      in a call, a row of input is read for the first output row that needs it, and not again
    accumulates     calls count rows of the first operand instead of the output: each adds its rows, which come in
                    order, to sums in the scratch, which nobody else may write from the first call to the last; the
                    call with the last row writes the whole output, and has then read all that it needs
    direction       the order of units
    """

    unit: Unit
    input_rows: Callable[[Node, int, int, int], Rows] = all_rows
    elementwise: bool = False
    in_order: bool = False
    input_columns: Callable[[Node, int, int, int], Rows] = all_columns
    pixels: int = 1
    rows: Callable[[Node], int] = one_unit
    by_channel: bool = False
    reads_once: bool = False
    accumulates: bool = False
    direction: Direction = Direction.FORWARD

    @property
    def reads_first(self) -> bool:
        """Whether a unit has read all that it needs when it begins to write."""
        return self.by_element or self.accumulates or self.unit is Unit.PIXEL

    @property
    def by_element(self) -> bool:
        """Whether its cells are elements instead of pixels."""
        return self.elementwise or self.in_order

    @property
    def keeps_channels(self) -> bool:
        """Whether each channel of the output takes the place of its own channel of the operand alone."""
        return not self.reads_first and (self.by_channel or self.unit is Unit.CHANNEL)


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


def no_operand(node: Node) -> tuple[int, ...]:
    """No input lies in the arena."""
    return ()


def every_operand(node: Node) -> tuple[int, ...]:
    """Every input is read through a view, constants too."""
    return tuple(range(len(node.inputs)))


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to compute an operator in C.

    name            `op_dtype__isa[_tile]`; its template is templates/kernels/<name>.c.j2
    access          the order in which it touches memory
    params          the parameter struct of one node
    scratch_bytes   working memory that one call needs or, where it accumulates, all calls together
    switches        template variables that change the code, not the data (such as the rounding); their values are
                    appended to the function's name
    features        instruction-set features it needs; empty for portable C
    constraints     when it applies, beyond what the operator already demands
    operands        indices of the node's inputs that it reads through views; the others are constants in `params`
    cost            what a layer pays for it; None: it is taken in the order of the operator's tuple
    call_cost       instructions of one call on so many rows, of (node, rows); None: their share of the cost
    most_rows       output rows of one call at most; None: any number
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
    call_cost: Callable[[Node, int], int] | None = None
    most_rows: int | None = None

    def counted_rows(self, node: Node) -> int:
        """The rows that steps of a node count: those of the output or, where it accumulates, of the first operand."""
        return node.input(self.operands(node)[0]).rows if self.access.accumulates else node.outputs[0].rows
