"""QUANTIZE and DEQUANTIZE between float32, int8 and uint8."""

from __future__ import annotations

import numpy as np

from tests.ops.cases.case import LITERT, Case
from tests.ops.cases.draw import Rng, between, chance, near_power_of_two, one_of, scale, zero_point
from tests.support.models import ModelBuilder, Operand


def quantize_float(b: ModelBuilder, rng: Rng) -> None:
    """float32 to int8; constants hold exact halves, their neighbours, huge and tiny values."""
    _quantize_float(b, rng, "int8")


def quantize_float_uint8(b: ModelBuilder, rng: Rng) -> None:
    """float32 to uint8, which tflm does not have."""
    _quantize_float(b, rng, "uint8")


def _quantize_float(b: ModelBuilder, rng: Rng, to: str) -> None:
    output_scale = _scale(rng)
    if chance(rng, 0.3):
        halves = (rng.integers(-300, 300, 60) + 0.5).astype(np.float32) * np.float32(output_scale)
        near = [halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, np.float32(-np.inf))]
        far = np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38], np.float32)
        x = b.constant(np.concatenate([*near, far]).astype(np.float32).reshape(2, 3, 31))
    else:
        x = b.input(_shape(rng), "float32")
    _node(b, "QUANTIZE", x, to, output_scale, _point(rng, to))


def requantize(b: ModelBuilder, rng: Rng) -> None:
    """int8 to int8 or uint8, uint8 to int8."""
    source, to = one_of(rng, ("int8", "int8"), ("int8", "uint8"), ("uint8", "int8"))  # type: ignore[misc]
    x, input_scale = _bytes(b, rng, str(source))
    kind = rng.random()
    if kind < 0.3:
        ratio = 1.0
    elif kind < 0.5:
        ratio = near_power_of_two(rng)
    else:
        ratio = 10.0 ** rng.uniform(-2, 1)
    point = _point(rng, str(to))
    if chance(rng, 0.2):  # the same real values
        point = b.tensors[x].fields["quantization"].fields["zero_point"][0]
        point += {"int8": 0, "uint8": 128}[str(to)] - {"int8": 0, "uint8": 128}[str(source)]
    _node(b, "QUANTIZE", x, str(to), float(np.float32(input_scale * ratio)), point)


def dequantize(b: ModelBuilder, rng: Rng) -> None:
    """int8 or uint8 to float32."""
    x, _ = _bytes(b, rng, str(one_of(rng, "int8", "uint8")))
    _node(b, "DEQUANTIZE", x, "float32", None, 0)


def _scale(rng: Rng) -> float:
    return float(np.float32(2.0 ** rng.uniform(-30, 20))) if chance(rng, 0.2) else scale(rng)


def _point(rng: Rng, dtype: str) -> int:
    return zero_point(rng) + (128 if dtype == "uint8" else 0)


def _shape(rng: Rng) -> tuple[int, ...]:
    return (*(between(rng, 1, 6) for _ in range(between(rng, 0, 4))), between(rng, 1, 17))


def _bytes(b: ModelBuilder, rng: Rng, dtype: str) -> tuple[Operand, float]:
    drawn, point = _scale(rng), _point(rng, dtype)
    if chance(rng, 0.25):
        every = np.arange(256, dtype=np.uint8).view(dtype).reshape(2, 8, 16)
        return b.constant(every, scales=drawn, zero_points=point), drawn
    return b.input(_shape(rng), dtype, scale=drawn, zero_point=point), drawn


def _node(b: ModelBuilder, operator: str, x: Operand, to: str, output_scale: float | None, point: int) -> None:
    y = b.tensor(b.tensors[x].fields["shape"], to, scale=output_scale, zero_point=point)
    b.node(operator, [x], [y], version=2)
    b.output(y)


CASES: tuple[Case, ...] = (
    Case("quantize_float", quantize_float),
    Case("quantize_float_uint8", quantize_float_uint8, references=(LITERT,)),
    Case("requantize", requantize),
    Case("dequantize", dequantize),
)
