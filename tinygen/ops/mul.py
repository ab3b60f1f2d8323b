"""MUL: the product of two tensors, broadcast against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Activation,
    Array,
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
from tinygen.ops.broadcast import broadcast_shape, leading_broadcast, operand_rows, walk
from tinygen.ops.constants import clamp_bounds, multiplier_and_shift


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
class Mul(Op):
    fused_activation_function: Activation = Activation.NONE

    name: ClassVar[str] = "MUL"
    version: ClassVar[int] = 7
    options: ClassVar[str | None] = "MulOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (*rules.INT8_BINARY, leading_broadcast, product_fits)
    kernels = (
        Kernel(
            "mul_s8__c",
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=params,
            operands=every_operand,
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
