"""lut_s8__c: any operator on one 8-bit tensor, as a table of its 256 results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygen.ir import Access, Int8Array, Int32, Kernel, Node, Params, Reference, Unit
from tinygen.ir.kernel import same_rows


@dataclass(frozen=True, slots=True)
class LutParams(Params):
    row_elements: Int32
    table: Int8Array


def params(node: Node, reference: Reference) -> LutParams:
    """What lut_s8__c is given. The table's index is the input's byte, read without sign."""
    data = node.input(0)
    every_value = np.arange(256, dtype=np.uint8).view(data.dtype.numpy)
    (results,) = node.op.reference(node, [every_value], reference)
    return LutParams(row_elements=data.row_bytes, table=results.view(np.int8))


LUT = Kernel("lut_s8__c", access=Access(Unit.ELEMENT, same_rows, elementwise=True), params=params)
