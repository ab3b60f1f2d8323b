"""QUANTIZE: float32 to int8 or uint8, and from one 8-bit quantisation to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Array,
    Cost,
    DType,
    Float,
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
from tinygen.ir.kernel import same_rows
from tinygen.ops import rules
from tinygen.ops.lut import LUT

BYTES = (DType.INT8, DType.UINT8)
INT32_MIN = -(2**31)


def quantizable_types(node: Node) -> str | None:
    """The input must be float32, int8 or uint8, the output int8 or uint8."""
    source, output = node.input(0).dtype, node.output.dtype
    fits = source in (DType.FLOAT32, *BYTES) and output in BYTES
    return None if fits else f"{source.value} to {output.value}"


def per_tensor_ends(node: Node) -> str | None:
    """The output, and an input that is not float32, must have one scale and one zero point."""
    ends = [node.output] if node.input(0).dtype is DType.FLOAT32 else [node.input(0), node.output]
    for tensor in ends:
        if tensor.quant is None or not tensor.quant.is_per_tensor:
            return f"tensor {tensor.index} with {0 if tensor.quant is None else len(tensor.quant.scales)} scales"
    return None


def ratio_fits(node: Node) -> str | None:
    """The input scale must be below 2^23 times the output scale."""
    return None if node.input(0).dtype is DType.FLOAT32 else rules.scale_ratio(node)


def float_input(node: Node) -> str | None:
    """The input must be float32."""
    return None if node.input(0).dtype is DType.FLOAT32 else node.input(0).dtype.value


def byte_input(node: Node) -> str | None:
    """The input must be int8 or uint8."""
    return node.input(0).dtype.value if node.input(0).dtype is DType.FLOAT32 else None


def cost(node: Node, reference: Reference) -> Cost:
    """What quantize_f32_s8__c costs: a division, rounded and clamped; the estimate is for a core with an FPU."""
    return Cost(30 + 30 * node.output.elements, constant_bytes=0, code_bytes=240)


@dataclass(frozen=True, slots=True)
class QuantizeParams(Params):
    row_elements: Int32
    scale: Float
    zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32


def params(node: Node, reference: Reference) -> QuantizeParams:
    """What quantize_f32_s8__c is given."""
    is_signed = node.output.dtype is DType.INT8
    return QuantizeParams(
        row_elements=node.output.row_bytes,
        scale=node.output.scale,
        zero_point=node.output.zero_point,
        clamp_min=-128 if is_signed else 0,
        clamp_max=127 if is_signed else 255,
    )


@dataclass(frozen=True, slots=True)
class Quantize(Op):
    name: ClassVar[str] = "QUANTIZE"
    version: ClassVar[int] = 4
    options: ClassVar[str | None] = "QuantizeOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (quantizable_types, per_tensor_ends, ratio_fits)
    kernels = (
        Kernel(
            "quantize_f32_s8__c",
            access=Access(Unit.ELEMENT, same_rows, elementwise=True),
            params=params,
            constraints=(float_input,),
            cost=cost,
        ),
        replace(LUT, constraints=(byte_input,)),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        return (_from_float(node, data) if data.dtype == np.float32 else _from_bytes(node, data),)

    def view_of(self, node: Node) -> int | None:
        source, output = node.input(0), node.output
        return 0 if source.dtype is output.dtype and source.quant == output.quant else None


def _from_float(node: Node, data: Array) -> Array:
    """Divide in float32, round halves away from zero, add the zero point, clamp.

    The references convert to int32 before they clamp. Where that overflows, x86 gives INT32_MIN, also for NaN, and
    the sum with the zero point wraps.
    """
    output = node.output
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        steps = (data / np.float32(output.scale)).astype(np.float64)
        rounded = np.trunc(steps + np.copysign(0.5, steps))
        fits = np.abs(rounded) < 2.0**31
    whole = np.where(fits, rounded, INT32_MIN).astype(np.int64)
    total = fixedpoint.wrap_int32(whole + output.zero_point)
    info = np.iinfo(output.dtype.numpy)
    clamped: Array = np.clip(total, info.min, info.max).astype(output.dtype.numpy)
    return clamped


def _from_bytes(node: Node, data: Array) -> Array:
    source, output = node.input(0), node.output
    multiplier, shift = fixedpoint.quantize_multiplier(source.scale / output.scale)
    centred = data.astype(np.int64) - source.zero_point
    scaled = fixedpoint.multiply_by_quantized_multiplier(centred, multiplier, shift, Rounding.DOUBLE)
    info = np.iinfo(output.dtype.numpy)
    clamped: Array = np.clip(scaled + output.zero_point, info.min, info.max).astype(output.dtype.numpy)
    return clamped
