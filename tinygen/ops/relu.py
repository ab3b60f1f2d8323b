"""RELU, RELU6 and RELU_N1_TO_1 as operators of their own: a clamp, and a change of scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import Activation, Array, Node, Op, Reference, Rounding, Shape
from tinygen.ops import rules
from tinygen.ops.lut import LUT


def rescaled(node: Node, data: Array) -> Array:
    """int64 values at the output's scale, zero point added. The factor is a float32 division in both references."""
    source, output = node.input(0), node.output
    factor = float(np.float32(source.scale) / np.float32(output.scale))
    multiplier, shift = fixedpoint.quantize_multiplier(factor)
    centred = data.astype(np.int64) - source.zero_point
    return fixedpoint.multiply_by_quantized_multiplier(centred, multiplier, shift, Rounding.DOUBLE) + output.zero_point


def clamped(node: Node, data: Array, activation: Activation) -> Array:
    """Rescaled values within the activation's bounds."""
    output = node.output
    bounds = fixedpoint.activation_range(activation, output.scale, output.zero_point, output.dtype)
    result: Array = np.clip(rescaled(node, data), *bounds).astype(output.dtype.numpy)
    return result


def bound_fits_int32(node: Node) -> str | None:
    """The input and output scales must be at least 2^-24."""
    scales = [node.input(0).scale, node.output.scale]
    return None if min(scales) >= 2.0**-24 else f"{scales[0]} and {scales[1]}"


@dataclass(frozen=True, slots=True)
class Relu(Op):
    name: ClassVar[str] = "RELU"
    version: ClassVar[int] = 3
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, rules.scale_ratio)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        return (clamped(node, data, Activation.RELU),)


@dataclass(frozen=True, slots=True)
class Relu6(Op):
    name: ClassVar[str] = "RELU6"
    version: ClassVar[int] = 3
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, rules.scale_ratio, bound_fits_int32)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        if reference is Reference.LITERT:
            return (clamped(node, data, Activation.RELU6),)
        # tflm clamps in the input's quantisation and ignores the output's
        source = node.input(0)
        six = fixedpoint.activation_range(Activation.RELU6, source.scale, source.zero_point, source.dtype)[1]
        return (np.minimum(np.maximum(data, np.int8(source.zero_point)), np.int8(six)),)


@dataclass(frozen=True, slots=True)
class ReluN1To1(Op):
    name: ClassVar[str] = "RELU_N1_TO_1"
    version: ClassVar[int] = 1
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, rules.scale_ratio, bound_fits_int32)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        return (clamped(node, data, Activation.RELU_N1_TO_1),)
