"""lut_s8__c: any operator on one 8-bit tensor, as a table of its 256 results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygen.ir import Access, Array, Cost, Int8Array, Int32, Kernel, Node, Op, Params, Reference, Tensor, Unit
from tinygen.ir.kernel import same_rows

EVERY_BYTE: Array = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class LutParams(Params):
    row_elements: Int32
    table: Int8Array


def params(node: Node, reference: Reference) -> LutParams:
    """What lut_s8__c is given. The table's index is the input's byte, read without sign."""
    data = node.input(0)
    (results,) = node.op.reference(node, [EVERY_BYTE.view(data.dtype.numpy)], reference)
    return LutParams(row_elements=data.row_bytes, table=results.view(np.int8))


def cost(node: Node, reference: Reference) -> Cost:
    """What lut_s8__c costs: two loads and a store an element."""
    output = node.output
    return Cost(round(30 + 30 * output.rows + 3.5 * output.elements), constant_bytes=256, code_bytes=140)


LUT = Kernel("lut_s8__c", access=Access(Unit.ELEMENT, same_rows, elementwise=True), params=params, cost=cost)


def is_table(op: Op) -> bool:
    """Whether each byte of the operator's output follows from one byte of its input."""
    return any(kernel.params is params for kernel in op.kernels)


def _scalar(node: Node) -> tuple[int, Tensor] | None:
    """The operand that is one constant element, where the other one has the output's shape."""
    for position in (0, 1):
        tensor, other = node.input(position), node.input(1 - position)
        if tensor.is_constant and tensor.elements == 1 and other.nhwc == node.output.nhwc and not other.is_constant:
            return position, tensor
    return None


def one_constant_element(node: Node) -> str | None:
    """One operand must be a single constant."""
    return None if _scalar(node) else f"{node.input(0).describe()} and {node.input(1).describe()}"


def scalar_params(node: Node, reference: Reference) -> LutParams:
    """What lut_s8__c is given for an operator of a tensor and a constant element."""
    scalar = _scalar(node)
    assert scalar is not None
    position, tensor = scalar
    assert tensor.data is not None
    values: list[Array] = [EVERY_BYTE.view(np.int8)] * 2
    values[position] = np.full(256, tensor.data.reshape(-1)[0], np.int8)
    (results,) = node.op.reference(node, values, reference)
    return LutParams(row_elements=node.output.row_bytes, table=results.view(np.int8))


def the_other_operand(node: Node) -> tuple[int, ...]:
    """The operand that is no constant element."""
    scalar = _scalar(node)
    assert scalar is not None
    return (1 - scalar[0],)


SCALAR_LUT = Kernel(
    "lut_s8__c",
    access=Access(Unit.ELEMENT, same_rows, elementwise=True),
    params=scalar_params,
    constraints=(one_constant_element,),
    operands=the_other_operand,
    cost=cost,
)
"""An operator of a tensor and one constant element."""
