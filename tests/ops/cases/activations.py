"""Activations as operators of their own; some nodes read all 256 values from a constant."""

from __future__ import annotations

import numpy as np

from tests.ops.cases.case import LITERT, Case
from tests.ops.cases.draw import Rng, between, chance, near_power_of_two, one_of, scale, zero_point
from tests.support.models import ModelBuilder, Operand


def relu(b: ModelBuilder, rng: Rng) -> None:
    """With and without a change of scale."""
    _unary(b, rng, "RELU")


def relu6(b: ModelBuilder, rng: Rng) -> None:
    """With and without a change of scale."""
    _unary(b, rng, "RELU6")


def relu_n1_to_1(b: ModelBuilder, rng: Rng) -> None:
    """With and without a change of scale."""
    _unary(b, rng, "RELU_N1_TO_1")


def leaky_relu(b: ModelBuilder, rng: Rng) -> None:
    """Slopes from 0 to above 1."""
    alpha = float(np.float32(one_of(rng, 0.0, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0, 1.5, float(rng.uniform(0, 1)))))
    _unary(b, rng, "LEAKY_RELU", version=2, alpha=alpha)


def hard_swish(b: ModelBuilder, rng: Rng) -> None:
    """Input scales on both sides of 3/32768, output scales at both ends of what the references take."""
    x, input_scale = _input(b, rng, 2.0 ** rng.uniform(-20, 4) if chance(rng, 0.4) else scale(rng))
    ratio = 2.0 ** rng.uniform(-5.9, 7.9) if chance(rng, 0.5) else 10.0 ** rng.uniform(-0.3, 0.3)
    _node(b, rng, "HARD_SWISH", x, float(np.float32(input_scale * ratio)), zero_point(rng))


def logistic(b: ModelBuilder, rng: Rng) -> None:
    """Input scales from flat to a step."""
    x, _ = _input(b, rng, 2.0 ** rng.uniform(-26, 12) if chance(rng, 0.3) else scale(rng))
    _node(b, rng, "LOGISTIC", x, 1 / 256, -128)


def tanh(b: ModelBuilder, rng: Rng) -> None:
    """Input scales from flat to a step."""
    x, _ = _input(b, rng, 2.0 ** rng.uniform(-26, 12) if chance(rng, 0.3) else scale(rng))
    _node(b, rng, "TANH", x, 1 / 128, 0)


def softmax(b: ModelBuilder, rng: Rng) -> None:
    """Any rank, beta and slope, from nearly flat to one-hot; few and many classes."""
    shape = [between(rng, 1, 4) for _ in range(between(rng, 0, 3))]
    depth = between(rng, 100, 400) if chance(rng, 0.1) else between(rng, 1, 20)
    drawn = float(np.float32(10.0 ** rng.uniform(-4, 1))) if chance(rng, 0.5) else scale(rng)
    beta = float(np.float32(one_of(rng, 1.0, 1.0, 1.0, 0.5, 2.0, float(rng.uniform(0.1, 3)))))
    x = b.input((*shape, depth), scale=drawn, zero_point=zero_point(rng))
    y = b.tensor((*shape, depth), scale=1 / 256, zero_point=-128)
    b.node("SOFTMAX", [x], [y], version=2, beta=beta)
    b.output(y)


def _unary(b: ModelBuilder, rng: Rng, operator: str, version: int = 1, **options: float) -> None:
    x, input_scale = _input(b, rng, scale(rng))
    kind = rng.random()
    if kind < 0.3:
        ratio = 1.0
    elif kind < 0.5:
        ratio = near_power_of_two(rng)
    else:
        ratio = 10.0 ** rng.uniform(-2, 1)
    point = b.tensors[x].fields["quantization"].fields["zero_point"][0] if chance(rng, 0.3) else zero_point(rng)
    _node(b, rng, operator, x, float(np.float32(input_scale * ratio)), point, version, **options)


def _input(b: ModelBuilder, rng: Rng, wanted: float) -> tuple[Operand, float]:
    drawn = float(np.float32(wanted))
    if chance(rng, 0.25):
        every = rng.permutation(np.arange(-128, 128, dtype=np.int8)).reshape(1, 2, 8, 16)
        return b.constant(every, scales=drawn, zero_points=zero_point(rng)), drawn
    shape = [between(rng, 1, 6) for _ in range(between(rng, 0, 5))]
    return b.input((*shape, between(rng, 1, 17)) if shape else (), scale=drawn, zero_point=zero_point(rng)), drawn


def _node(
    b: ModelBuilder,
    rng: Rng,
    operator: str,
    x: Operand,
    output_scale: float,
    point: int,
    version: int = 1,
    **options: float,
) -> None:
    y = b.tensor(b.tensors[x].fields["shape"], scale=output_scale, zero_point=point)
    b.node(operator, [x], [y], version=version, **options)
    b.output(y)


CASES: tuple[Case, ...] = (
    Case("softmax", softmax),
    Case("relu", relu),
    Case("relu6", relu6),
    Case("relu_n1_to_1", relu_n1_to_1, references=(LITERT,)),
    Case("leaky_relu", leaky_relu),
    Case("hard_swish", hard_swish),
    Case("logistic", logistic),
    Case("tanh", tanh),
)
