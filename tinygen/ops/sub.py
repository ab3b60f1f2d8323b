"""SUB: the difference of two tensors, broadcast against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinygen.ir import Access, Activation, Array, FusedActivation, Kernel, Node, Op, Reference, Shape, Unit
from tinygen.ir.kernel import every_operand
from tinygen.ops import rules
from tinygen.ops.add import AddParams, cost, params_with, real_factors, scaled_inputs, shrink, to_output
from tinygen.ops.broadcast import broadcast_shape, leading_broadcast, operand_rows
from tinygen.ops.linear_kernels import linear_kernels
from tinygen.ops.lut import SCALAR_LUT


def difference_can_shrink(node: Node) -> str | None:
    """The larger input scale must be below 2^19 times the output scale."""
    return shrink(node, real_factors(node))


def params(node: Node, reference: Reference) -> AddParams:
    """What add_s8__c is given for a difference."""
    assert isinstance(node.op, Sub)
    return params_with(node, node.op.fused_activation_function, real_factors(node))


@dataclass(frozen=True, slots=True)
class Sub(Op):
    fused_activation_function: FusedActivation = Activation.NONE
    pot_scale_int16: bool = True

    name: ClassVar[str] = "SUB"
    version: ClassVar[int] = 5
    options: ClassVar[str | None] = "SubOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (*rules.INT8_BINARY, leading_broadcast, difference_can_shrink)
    kernels = (
        SCALAR_LUT,
        *linear_kernels((1, -1)),
        Kernel(
            "add_s8__c",
            access=Access(Unit.ELEMENT, operand_rows, elementwise=True),
            params=params,
            switches=lambda node, reference: {"sign": "minus"},
            operands=every_operand,
            cost=cost,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (broadcast_shape(node),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        factors = real_factors(node)
        first, second = scaled_inputs(node, values, factors)
        return (to_output(node, first - second, self.fused_activation_function, factors[2]),)
