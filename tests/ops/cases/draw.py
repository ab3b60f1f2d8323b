"""Random shapes and quantisation for operator cases, corners included on purpose."""

from __future__ import annotations

import math

import numpy as np

from tests.support.models import ModelBuilder, Operand

Rng = np.random.Generator

CLAMPS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
"""The fused activations that both interpreters apply; they ignore TANH and SIGN_BIT, so tinygen refuses those."""


def between(rng: Rng, low: int, high: int) -> int:
    """An integer of low..high, both included."""
    return int(rng.integers(low, high, endpoint=True))


def chance(rng: Rng, probability: float) -> bool:
    """True that often."""
    return bool(rng.random() < probability)


def one_of(rng: Rng, *choices: object) -> object:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def zero_point(rng: Rng) -> int:
    """A zero point; both ends and zero often."""
    return between(rng, -128, 127) if chance(rng, 0.5) else int(rng.choice([-128, 127, 0, -1]))


def scale(rng: Rng) -> float:
    """A scale as a float32 number, from 1/1000 to 1, sometimes a power of two."""
    value = 2.0 ** -between(rng, 1, 9) if chance(rng, 0.15) else 10.0 ** rng.uniform(-3, 0)
    return float(np.float32(value))


def int8(rng: Rng, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Random weights that never hold −128, as converters write them."""
    return rng.integers(-127, 127, shape, np.int8, endpoint=True)


def near_power_of_two(rng: Rng) -> float:
    """A factor whose fixed-point multiplier lies at an end of its range: near 2³⁰ from above or 2³¹ from below."""
    return float(2.0 ** between(rng, -2, 2) * (1 + rng.choice([-1, 1]) * 2.0 ** -between(rng, 20, 24)))


def output_scale(rng: Rng, accumulator_scale: float, terms: int) -> float:
    """An output scale for a sum of so many products.

    Mostly one that spreads the sum over the whole range; sometimes so small that the requantisation factor is above 1,
    sometimes one that makes the factor a power of two (exact halves) or puts its multiplier at an end of its range.
    """
    typical = accumulator_scale * 75 * math.sqrt(terms)
    kind = rng.random()
    if kind < 0.6:
        value = typical * 10.0 ** rng.uniform(-0.5, 1)
    elif kind < 0.75:
        value = accumulator_scale / rng.uniform(1, 40)
    elif kind < 0.9:
        value = accumulator_scale * 2.0 ** between(rng, 0, 9)
    else:
        value = typical * near_power_of_two(rng)
    return float(np.float32(value))


def data(b: ModelBuilder, rng: Rng, shape: tuple[int, ...]) -> tuple[Operand, float]:
    """An int8 input of the model, and its scale."""
    drawn = scale(rng)
    return b.input(shape, scale=drawn, zero_point=zero_point(rng)), drawn
