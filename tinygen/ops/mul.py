"""MUL: the product of two tensors, broadcast against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Activation,
    Array,
    Cost,
    FusedActivation,
    Int32,
    Kernel,
    Node,
    Op,
    Params,
    Reference,
    Rounding,
    Shape,
    Unit,
)
from tinygen.ir.kernel import every_operand
from tinygen.ops import rules
from tinygen.ops.broadcast import broadcast_shape, leading_broadcast, operand_rows, walk, whole_runs
from tinygen.ops.constants import clamp_bounds, multiplier_and_shift
from tinygen.ops.dsp import DSP
from tinygen.ops.lut import SCALAR_LUT


def real_factor(node: Node, reference: Reference) -> float:
    """Input scale × input scale ÷ output scale: litert computes it in float32, tflm in float64."""
    scales = [node.input(0).scale, node.input(1).scale, node.output.scale]
    if reference is Reference.LITERT:
        first, second, output = (np.float32(scale) for scale in scales)
        return float(first * second / output)
    return scales[0] * scales[1] / scales[2]


def product_fits(node: Node) -> str | None:
    """The product of the input scales must be above 2^-100 and below 2^15 times the output scale."""
    scales = f"input scales {node.input(0).scale} and {node.input(1).scale}, output scale {node.output.scale}"
    if node.input(0).scale * node.input(1).scale < 2.0**-100:  # far above where float32 loses bits
        return scales
    factors = [real_factor(node, reference) for reference in Reference]
    if not all(math.isfinite(factor) for factor in factors):
        return scales
    return None if max(multiplier_and_shift(factor)[1] for factor in factors) <= 15 else scales


@dataclass(frozen=True, slots=True)
class MulParams(Params):
    height: Int32
    columns: Int32
    channels: Int32
    input1_batch_rows: Int32
    input1_row_step: Int32
    input1_column_step: Int32
    input1_channel_step: Int32
    input2_batch_rows: Int32
    input2_row_step: Int32
    input2_column_step: Int32
    input2_channel_step: Int32
    input1_offset: Int32
    input2_offset: Int32
    output_multiplier: Int32
    output_shift: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32


def params(node: Node, reference: Reference) -> MulParams:
    """What mul_s8__c is given."""
    assert isinstance(node.op, Mul)
    geometry = walk(node)
    first, second = geometry.operands
    multiplier, shift = multiplier_and_shift(real_factor(node, reference))
    clamp_min, clamp_max = clamp_bounds(node.op.fused_activation_function, node.output)
    return MulParams(
        height=geometry.height,
        columns=geometry.columns,
        channels=geometry.channels,
        input1_batch_rows=first.batch_rows,
        input1_row_step=first.row,
        input1_column_step=first.column,
        input1_channel_step=first.channel,
        input2_batch_rows=second.batch_rows,
        input2_row_step=second.row,
        input2_column_step=second.column,
        input2_channel_step=second.channel,
        input1_offset=-node.input(0).zero_point,
        input2_offset=-node.input(1).zero_point,
        output_multiplier=multiplier,
        output_shift=shift,
        output_zero_point=node.output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


@dataclass(frozen=True, slots=True)
class MulDspParams(Params):
    height: Int32
    columns: Int32
    channels: Int32
    input1_batch_rows: Int32
    input1_row_step: Int32
    input1_column_step: Int32
    input2_batch_rows: Int32
    input2_row_step: Int32
    input2_column_step: Int32
    input1_offset: Int32
    input2_offset: Int32
    multiplier: Int32
    addend: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32


def dsp_params(node: Node, reference: Reference) -> MulDspParams:
    """What mul_s8__dsp is given. The addend is the zero point and the half of the second rounding, before its shift."""
    plain = params(node, reference)
    return MulDspParams(
        height=plain.height,
        columns=plain.columns,
        channels=plain.channels,
        input1_batch_rows=plain.input1_batch_rows,
        input1_row_step=plain.input1_row_step,
        input1_column_step=plain.input1_column_step,
        input2_batch_rows=plain.input2_batch_rows,
        input2_row_step=plain.input2_row_step,
        input2_column_step=plain.input2_column_step,
        input1_offset=plain.input1_offset,
        input2_offset=plain.input2_offset,
        multiplier=plain.output_multiplier,
        addend=(2 * plain.output_zero_point + 1) << -plain.output_shift >> 1,
        output_zero_point=plain.output_zero_point,
        clamp_min=plain.clamp_min,
        clamp_max=plain.clamp_max,
    )


def product_shrinks(node: Node) -> str | None:
    """The product of the input scales must be below half the output scale, and at least 2^-23 times as large."""
    shifts = [multiplier_and_shift(real_factor(node, reference))[1] for reference in Reference]
    if all(-22 <= shift <= -1 for shift in shifts):
        return None
    return f"input scales {node.input(0).scale} and {node.input(1).scale}, output scale {node.output.scale}"


def dsp_switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """How far mul_s8__dsp shifts to the right."""
    return {"shift": str(-multiplier_and_shift(real_factor(node, reference))[1])}


def cost(node: Node, reference: Reference) -> Cost:
    """What mul_s8__c costs: one requantisation an element, measured on Cortex-M4."""
    return Cost(50 + 42 * node.output.elements, constant_bytes=0, code_bytes=320)


def dsp_cost(node: Node, reference: Reference) -> Cost:
    """What mul_s8__dsp costs: 31 instructions for four elements."""
    runs = node.output.rows * walk(node).columns
    instructions = 60 + 35 * node.output.rows + 40 * runs + 8 * node.output.elements
    return Cost(instructions, constant_bytes=0, code_bytes=420)


@dataclass(frozen=True, slots=True)
class Mul(Op):
    fused_activation_function: FusedActivation = Activation.NONE

    name: ClassVar[str] = "MUL"
    version: ClassVar[int] = 7
    options: ClassVar[str | None] = "MulOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (*rules.INT8_BINARY, leading_broadcast, product_fits)
    kernels = (
        SCALAR_LUT,
        Kernel(
            "mul_s8__dsp",
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=dsp_params,
            switches=dsp_switches,
            features=DSP,
            constraints=(whole_runs, product_shrinks),
            operands=every_operand,
            cost=dsp_cost,
        ),
        Kernel(
            "mul_s8__c",
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=params,
            operands=every_operand,
            cost=cost,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (broadcast_shape(node),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        first, second = values
        assert first is not None and second is not None
        output = node.output
        product = (first.astype(np.int64) - node.input(0).zero_point) * (
            second.astype(np.int64) - node.input(1).zero_point
        )
        bounds = fixedpoint.activation_range(
            self.fused_activation_function, output.scale, output.zero_point, output.dtype
        )
        factor = real_factor(node, reference)
        result = fixedpoint.requantize(product, [factor], Rounding.DOUBLE, output.zero_point, bounds, output.dtype)
        return (result.reshape(product.shape),)
