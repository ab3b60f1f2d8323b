"""ADD: the sum of two tensors, broadcast against each other."""

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
from tinygen.ops.broadcast import broadcast_shape, leading_broadcast, operand_rows, walk
from tinygen.ops.constants import clamp_bounds, multiplier_and_shift
from tinygen.ops.linear_kernels import linear_kernels
from tinygen.ops.lut import SCALAR_LUT

HEADROOM = 20
"""Both references scale the inputs up by 2^20, so that their sum keeps the bits that the output's scale needs."""


def real_factors(node: Node) -> tuple[float, float, float]:
    """Factors of both inputs and of their sum or difference: both references divide scales in float64."""
    twice_largest = 2 * max(node.input(0).scale, node.input(1).scale)
    output = twice_largest / (2**HEADROOM * node.output.scale)
    return node.input(0).scale / twice_largest, node.input(1).scale / twice_largest, output


def shrink(node: Node, factors: tuple[float, float, float]) -> str | None:
    """None where every factor is positive and the last below one, as the references demand; else the scales."""
    if min(factors) > 0 and math.isfinite(max(factors)) and multiplier_and_shift(factors[2])[1] <= 0:
        return None
    return f"input scales {node.input(0).scale} and {node.input(1).scale}, output scale {node.output.scale}"


def sum_can_shrink(node: Node) -> str | None:
    """The larger input scale must be below 2^19 times the output scale."""
    return shrink(node, real_factors(node))


@dataclass(frozen=True, slots=True)
class AddParams(Params):
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
    input1_multiplier: Int32
    input1_shift: Int32
    input2_offset: Int32
    input2_multiplier: Int32
    input2_shift: Int32
    output_multiplier: Int32
    output_shift: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32


def params_with(node: Node, activation: FusedActivation, factors: tuple[float, float, float]) -> AddParams:
    """What add_s8__c is given."""
    geometry = walk(node)
    first, second = geometry.operands
    pairs = [multiplier_and_shift(factor) for factor in factors]
    clamp_min, clamp_max = clamp_bounds(activation, node.output)
    return AddParams(
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
        input1_multiplier=pairs[0][0],
        input1_shift=pairs[0][1],
        input2_offset=-node.input(1).zero_point,
        input2_multiplier=pairs[1][0],
        input2_shift=pairs[1][1],
        output_multiplier=pairs[2][0],
        output_shift=pairs[2][1],
        output_zero_point=node.output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def params(node: Node, reference: Reference) -> AddParams:
    """What add_s8__c is given for a sum."""
    assert isinstance(node.op, Add)
    return params_with(node, node.op.fused_activation_function, real_factors(node))


def cost(node: Node, reference: Reference) -> Cost:
    """What add_s8__c costs: three requantisations an element, measured on Cortex-M4."""
    return Cost(instructions=50 + 103 * node.output.elements, constant_bytes=0, code_bytes=420)


def scaled_inputs(node: Node, values: Sequence[Array | None], factors: tuple[float, float, float]) -> list[Array]:
    """Both inputs brought to one scale, 2^20 times finer than an output step would be."""
    scaled = []
    for position in (0, 1):
        data = values[position]
        assert data is not None
        shifted = (data.astype(np.int64) - node.input(position).zero_point) * 2**HEADROOM
        pair = fixedpoint.quantize_multiplier(factors[position])
        scaled.append(fixedpoint.multiply_by_quantized_multiplier(shifted, *pair, Rounding.DOUBLE))
    return scaled


def to_output(node: Node, total: Array, activation: FusedActivation, factor: float) -> Array:
    """A sum at the output's scale, clamped."""
    output = node.output
    bounds = fixedpoint.activation_range(activation, output.scale, output.zero_point, output.dtype)
    result = fixedpoint.requantize(total, [factor], Rounding.DOUBLE, output.zero_point, bounds, output.dtype)
    return result.reshape(total.shape)


@dataclass(frozen=True, slots=True)
class Add(Op):
    fused_activation_function: FusedActivation = Activation.NONE
    pot_scale_int16: bool = True

    name: ClassVar[str] = "ADD"
    version: ClassVar[int] = 5
    options: ClassVar[str | None] = "AddOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (*rules.INT8_BINARY, leading_broadcast, sum_can_shrink)
    kernels = (
        SCALAR_LUT,
        *linear_kernels((1, 1)),
        Kernel(
            "add_s8__c",
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=params,
            switches=lambda node, reference: {"sign": "plus"},
            operands=every_operand,
            cost=cost,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (broadcast_shape(node),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        factors = real_factors(node)
        first, second = scaled_inputs(node, values, factors)
        return (to_output(node, first + second, self.fused_activation_function, factors[2]),)
