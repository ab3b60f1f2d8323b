"""TANH: the hyperbolic tangent. litert evaluates it in float32, tflm in gemmlowp's fixed point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import gemmlowp
from tinygen.ir import Array, Node, Op, Reference, Shape
from tinygen.ops import rules
from tinygen.ops.logistic import in_fixed_point, in_float, input_scale_in_range
from tinygen.ops.lut import LUT


def symmetric_output(node: Node) -> str | None:
    """The output must have scale 1/128 and zero point 0."""
    output = node.output
    fits = output.scale == 1 / 128 and output.zero_point == 0
    return None if fits else f"scale {output.scale}, zero point {output.zero_point}"


def _tanh(real: Array) -> Array:
    """Rounded correctly to float32."""
    result: Array = np.tanh(real.astype(np.float64)).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True)
class Tanh(Op):
    name: ClassVar[str] = "TANH"
    version: ClassVar[int] = 3
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, input_scale_in_range, symmetric_output)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        if reference is Reference.LITERT:
            return (in_float(node, data, _tanh),)
        return (in_fixed_point(node, data, gemmlowp.tanh, fraction_bits=7, zero_point=0),)
