"""DEQUANTIZE: int8 or uint8 to float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen.ir import Access, Array, DType, Float, Int32, Kernel, Node, Op, Params, Reference, Shape, Unit
from tinygen.ir.kernel import same_rows


def dequantizable_types(node: Node) -> str | None:
    """The input must be int8 or uint8, the output float32."""
    source, output = node.input(0).dtype, node.output.dtype
    fits = source in (DType.INT8, DType.UINT8) and output is DType.FLOAT32
    return None if fits else f"{source.value} to {output.value}"


def per_tensor_input(node: Node) -> str | None:
    """The input must have one scale and one zero point."""
    quant = node.input(0).quant
    return None if quant is not None and quant.is_per_tensor else f"{0 if quant is None else len(quant.scales)} scales"


@dataclass(frozen=True, slots=True)
class DequantizeParams(Params):
    row_elements: Int32
    zero_point: Int32
    scale: Float


def params(node: Node, reference: Reference) -> DequantizeParams:
    """What the kernels are given."""
    return DequantizeParams(node.input(0).row_bytes, node.input(0).zero_point, node.input(0).scale)


def signed_input(node: Node) -> str | None:
    """The input must be int8."""
    return None if node.input(0).dtype is DType.INT8 else node.input(0).dtype.value


def unsigned_input(node: Node) -> str | None:
    """The input must be uint8."""
    return None if node.input(0).dtype is DType.UINT8 else node.input(0).dtype.value


@dataclass(frozen=True, slots=True)
class Dequantize(Op):
    name: ClassVar[str] = "DEQUANTIZE"
    version: ClassVar[int] = 6
    options: ClassVar[str | None] = "DequantizeOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (dequantizable_types, per_tensor_input)
    kernels = (
        Kernel(
            "dequantize_s8_f32__c",
            Access(Unit.ELEMENT, same_rows, elementwise=True),
            params,
            constraints=(signed_input,),
        ),
        Kernel(
            "dequantize_u8_f32__c",
            Access(Unit.ELEMENT, same_rows, elementwise=True),
            params,
            constraints=(unsigned_input,),
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        centred = data.astype(np.float64) - node.input(0).zero_point
        with np.errstate(over="ignore"):
            return ((node.input(0).scale * centred).astype(np.float32),)
