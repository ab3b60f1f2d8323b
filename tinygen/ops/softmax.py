"""SOFTMAX over the last axis, int8 to int8, in gemmlowp's fixed point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint, gemmlowp
from tinygen.ir import Access, Array, Int32, Int32Array, Kernel, Node, Op, Params, Reference, Rounding, Shape, Unit
from tinygen.ir.kernel import same_rows
from tinygen.ops import rules
from tinygen.ops.exponentials import exponentials

DIFFERENCE_BITS = 5
"""Integer bits of a scaled difference: the exponential is computed down to exp(−31)."""

SUM_BITS = 12
"""Integer bits of the sum of exponentials."""

LARGEST_DEPTH = (1 << SUM_BITS) - 1


def probability_output(node: Node) -> str | None:
    """The output must have scale 1/256, within 0.1 %, and zero point -128."""
    output = node.output
    if abs(output.scale * 256 - 1) <= 0.001 and output.zero_point == -128:
        return None
    return f"scale {output.scale}, zero point {output.zero_point}"


def same_shape_with_last_axis(node: Node) -> str | None:
    """The input must have at least one dimension, and the last one at most 4095 elements."""
    shape = node.input(0).shape
    return None if shape and shape[-1] <= LARGEST_DEPTH else node.input(0).describe()


def steep_enough(node: Node) -> str | None:
    """beta times the input scale must be above 2^-26."""
    op = node.op
    assert isinstance(op, Softmax)
    return None if op.beta * node.input(0).scale > 2.0**-26 else f"beta {op.beta}, input scale {node.input(0).scale}"


@dataclass(frozen=True, slots=True)
class SoftmaxParams(Params):
    items_per_row: Int32
    depth: Int32
    largest_difference: Int32
    exponentials: Int32Array


def params(node: Node, reference: Reference) -> SoftmaxParams:
    """What softmax_s8__c is given."""
    op = node.op
    assert isinstance(op, Softmax)
    table = exponentials(op.beta, node.input(0).scale)
    return SoftmaxParams(
        items_per_row=node.output.nhwc[2],
        depth=node.output.nhwc[3],
        largest_difference=len(table) - 1,
        exponentials=np.array(table, np.int32),
    )


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    beta: float = 0.0

    name: ClassVar[str] = "SOFTMAX"
    version: ClassVar[int] = 3
    options: ClassVar[str | None] = "SoftmaxOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (
        rules.int8_data,
        rules.per_tensor_data,
        probability_output,
        same_shape_with_last_axis,
        steep_enough,
    )
    kernels = (Kernel("softmax_s8__c", access=Access(Unit.ELEMENT, same_rows, elementwise=True), params=params),)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        real = min(self.beta * node.input(0).scale * (1 << (31 - DIFFERENCE_BITS)), 2.0**31 - 1)
        multiplier, shift = fixedpoint.quantize_multiplier(real)
        lowest = -math.floor((2**DIFFERENCE_BITS - 1) * 2.0 ** (31 - DIFFERENCE_BITS) / 2.0**shift)

        difference = data.astype(np.int64) - data.max(axis=-1, keepdims=True)
        counts = difference >= lowest
        scaled = fixedpoint.multiply_by_quantized_multiplier(
            np.maximum(difference, lowest), multiplier, shift, Rounding.DOUBLE
        )
        powers = gemmlowp.exp_on_negative_values(scaled, DIFFERENCE_BITS)
        total = (gemmlowp.multiply_by_pot(powers, -SUM_BITS) * counts).sum(axis=-1, keepdims=True)

        bits = np.floor(np.log2(total)).astype(np.int64)  # exact: below 2^31
        over_one = bits - (31 - SUM_BITS)
        reciprocal = gemmlowp.one_over_one_plus_x((total << (31 - bits)) - 2**31)
        product = fixedpoint.saturating_rounding_doubling_high_mul(reciprocal, powers)
        rounded = fixedpoint.rounding_divide_by_pot(product, over_one + 31 - 8)
        return (np.where(counts, np.clip(rounded - 128, -128, 127), -128).astype(np.int8),)
