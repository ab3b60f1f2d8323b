"""INPUT_ROWS: the head of a graph whose input is pushed row by row; no model file has it.

A call takes one row from the caller and writes it into the arena, quantised where a QUANTIZE of the model became part
of it. What the caller holds is no tensor of the arena, so the planner sees a layer without operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tinygen.ir import Access, Array, Cost, DType, Int32, Kernel, Node, Op, Params, Reference, Shape, Unit
from tinygen.ir.kernel import no_operand, same_rows
from tinygen.ops.lut import EVERY_BYTE, LUT, LutParams
from tinygen.ops.quantize import Quantize, float_input

ROW_BY_ROW = Access(Unit.ROW, same_rows)


def same_values(node: Node) -> str | None:
    """Input and output must have the same type and quantisation."""
    return None if _is_copy(node) else f"{node.input(0).describe()} and {node.output.describe()}"


def other_bytes(node: Node) -> str | None:
    """The input must be int8 or uint8, and of another quantisation than the output."""
    if node.input(0).dtype in (DType.INT8, DType.UINT8) and not _is_copy(node):
        return None
    return f"{node.input(0).describe()} and {node.output.describe()}"


def _is_copy(node: Node) -> bool:
    source, output = node.input(0), node.output
    return source.dtype is output.dtype and (source.quant == output.quant or source.dtype is DType.FLOAT32)


@dataclass(frozen=True, slots=True)
class RowsParams(Params):
    row_bytes: Int32


def rows_params(node: Node, reference: Reference) -> RowsParams:
    """What rows_u8__c is given."""
    return RowsParams(node.output.row_bytes)


def rows_cost(node: Node, reference: Reference) -> Cost:
    """What rows_u8__c costs: a call of memcpy a row."""
    return Cost(60 * node.output.rows + node.output.size_bytes // 2, constant_bytes=0, code_bytes=60)


def table_params(node: Node, reference: Reference) -> LutParams:
    """What lut_s8__c is given. The table's index is the input's byte, read without sign."""
    (results,) = Quantize().reference(node, [EVERY_BYTE.view(node.input(0).dtype.numpy)], reference)
    return LutParams(row_elements=node.output.row_bytes, table=results.view("int8"))


@dataclass(frozen=True, slots=True)
class InputRows(Op):
    """Not in `OPS`: `passes/push_rows.py` makes it."""

    name: ClassVar[str] = "INPUT_ROWS"
    version: ClassVar[int] = 1
    arity: ClassVar[tuple[int, int]] = (1, 1)
    kernels = (
        Kernel(
            "rows_u8__c",
            access=ROW_BY_ROW,
            params=rows_params,
            constraints=(same_values,),
            operands=no_operand,
            cost=rows_cost,
            most_rows=1,
        ),
        replace(Quantize.kernels[0], access=ROW_BY_ROW, constraints=(float_input,), operands=no_operand, most_rows=1),
        replace(
            LUT,
            access=ROW_BY_ROW,
            params=table_params,
            constraints=(other_bytes,),
            operands=no_operand,
            most_rows=1,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.output.shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        made = data if _is_copy(node) else Quantize().reference(node, [data], reference)[0]
        return (made.reshape(node.output.shape),)
