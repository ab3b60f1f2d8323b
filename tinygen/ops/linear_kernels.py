"""add_s8__dsp and add_s8__c_linear: ADD and SUB by their linear form, where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir import Access, Cost, FusedActivation, Int32, Kernel, Node, Params, Reference, Unit
from tinygen.ir.kernel import every_operand
from tinygen.ops.broadcast import operand_rows, walk, whole_runs
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.dsp import DSP
from tinygen.ops.linear import LinearForm, linear_form


@dataclass(frozen=True, slots=True)
class LinearParams(Params):
    height: Int32
    columns: Int32
    channels: Int32
    input1_batch_rows: Int32
    input1_row_step: Int32
    input1_column_step: Int32
    input2_batch_rows: Int32
    input2_row_step: Int32
    input2_column_step: Int32
    factor1: Int32
    factor2: Int32
    addend: Int32
    clamp_min: Int32
    clamp_max: Int32


def linear_kernels(signs: tuple[int, int]) -> tuple[Kernel, Kernel]:
    """The kernels for a sum (signs 1, 1) or a difference (1, −1), the faster one first."""

    def clamps(node: Node) -> tuple[int, int]:
        activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
        return clamp_bounds(activation, node.output)

    def form(node: Node) -> LinearForm:
        found = linear_form(node, signs, clamps(node))
        assert found is not None
        return found

    def has_linear_form(node: Node) -> str | None:
        """One linear form must give the results of all pairs of bytes."""
        if linear_form(node, signs, clamps(node)) is not None:
            return None
        return f"input scales {node.input(0).scale} and {node.input(1).scale}, output scale {node.output.scale}"

    def params(node: Node, reference: Reference) -> LinearParams:
        geometry, linear, (clamp_min, clamp_max) = walk(node), form(node), clamps(node)
        first, second = geometry.operands
        return LinearParams(
            height=geometry.height,
            columns=geometry.columns,
            channels=geometry.channels,
            input1_batch_rows=first.batch_rows,
            input1_row_step=first.row,
            input1_column_step=first.column,
            input2_batch_rows=second.batch_rows,
            input2_row_step=second.row,
            input2_column_step=second.column,
            factor1=linear.first,
            factor2=linear.second,
            addend=linear.addend,
            clamp_min=clamp_min,
            clamp_max=clamp_max,
        )

    def switches(node: Node, reference: Reference) -> Mapping[str, str]:
        return {"shift": str(form(node).shift)}

    def kernel(name: str, features: frozenset[str], cycles: float, code_bytes: int) -> Kernel:
        def cost(node: Node, reference: Reference) -> Cost:
            geometry = walk(node)
            runs = node.output.rows * geometry.columns
            clamped = 0 if clamps(node) == (-128, 127) else 6 * node.output.elements
            instructions = round(60 + 35 * node.output.rows + 15 * runs + cycles * node.output.elements) + clamped
            return Cost(instructions, constant_bytes=0, code_bytes=code_bytes)

        return Kernel(
            name,
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=params,
            switches=switches,
            features=features,
            constraints=(whole_runs, has_linear_form),
            operands=every_operand,
            cost=cost,
        )

    return kernel("add_s8__dsp", DSP, 5.85, 420), kernel("add_s8__c_linear", frozenset(), 13, 300)
