"""LEAKY_RELU: positive values as they are, negative ones times alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import Array, Node, Op, Reference, Rounding, Shape
from tinygen.ops import rules
from tinygen.ops.lut import LUT


def slopes(node: Node) -> tuple[float, float]:
    """Factors of positive and of negative values, in float32 as both references divide scales."""
    op = node.op
    assert isinstance(op, LeakyRelu)
    source, output = np.float32(node.input(0).scale), np.float32(node.output.scale)
    return float(source / output), float(source * np.float32(op.alpha) / output)


def slopes_fit(node: Node) -> str | None:
    """Alpha must not be negative, and it times the input scale must be below 2^23 times the output scale."""
    op = node.op
    assert isinstance(op, LeakyRelu)
    if op.alpha < 0:
        return f"alpha {op.alpha}"
    shifts = [fixedpoint.quantize_multiplier(slope)[1] for slope in slopes(node)]
    return None if max(shifts) <= rules.LARGEST_SHIFT else f"scales {node.input(0).scale} and {node.output.scale}"


@dataclass(frozen=True, slots=True)
class LeakyRelu(Op):
    alpha: float = 0.0

    name: ClassVar[str] = "LEAKY_RELU"
    version: ClassVar[int] = 2
    options: ClassVar[str | None] = "LeakyReluOptions"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    constraints = (*rules.INT8_UNARY, rules.scale_ratio, slopes_fit)
    kernels = (LUT,)

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (node.input(0).shape,)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        (data,) = values
        assert data is not None
        centred = data.astype(np.int64) - node.input(0).zero_point
        positive, negative = (
            fixedpoint.multiply_by_quantized_multiplier(
                centred, *fixedpoint.quantize_multiplier(slope), rounding=Rounding.DOUBLE
            )
            for slope in slopes(node)
        )
        result = np.where(centred >= 0, positive, negative) + node.output.zero_point
        return (np.clip(result, -128, 127).astype(np.int8),)
