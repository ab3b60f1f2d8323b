"""ADD, SUB and MUL: every way to broadcast."""

from __future__ import annotations

import numpy as np

from tests.ops.cases.case import Case
from tests.ops.cases.draw import CLAMPS, Rng, between, chance, data, near_power_of_two, one_of, scale, zero_point
from tests.support.models import ModelBuilder, Operand


def add(b: ModelBuilder, rng: Rng) -> None:
    """Sums."""
    _binary(b, rng, "ADD", typical=lambda first, second: first + second, version=2)


def sub(b: ModelBuilder, rng: Rng) -> None:
    """Differences."""
    _binary(b, rng, "SUB", typical=lambda first, second: first + second, version=2)


def mul(b: ModelBuilder, rng: Rng) -> None:
    """Products."""
    _binary(b, rng, "MUL", typical=lambda first, second: first * second * 100, version=2)


def _binary(b: ModelBuilder, rng: Rng, operator: str, *, typical, version: int) -> None:  # type: ignore[no-untyped-def]
    shapes = _shapes(rng)
    constant = between(rng, 0, 1) if chance(rng, 0.3) else None
    operands = [_operand(b, rng, shape, position == constant) for position, shape in enumerate(shapes)]
    if constant is None and shapes[0] == shapes[1] and chance(rng, 0.1):
        operands[1] = operands[0]
    factor = near_power_of_two(rng) if chance(rng, 0.2) else 10.0 ** rng.uniform(-1, 0.7)
    y = b.tensor(
        np.broadcast_shapes(*shapes),
        scale=float(np.float32(typical(operands[0][1], operands[1][1]) * factor)),
        zero_point=zero_point(rng),
    )
    activation = str(one_of(rng, *CLAMPS))
    b.node(operator, [o for o, _ in operands], [y], version=version, fused_activation_function=activation)
    b.output(y)


def _shapes(rng: Rng) -> list[tuple[int, ...]]:
    """Two shapes that combine. Beyond three dimensions, the leading ones are broadcast together."""
    rank = between(rng, 0, 5) if chance(rng, 0.3) else between(rng, 1, 4)
    result = tuple(between(rng, 1, 17) if axis == rank - 1 else between(rng, 1, 5) for axis in range(rank))
    if chance(rng, 0.3):
        return [result, result]
    shapes = []
    for _ in range(2):
        lead = tuple(1 for _ in result[:-3]) if chance(rng, 0.3) else result[:-3]
        shape = lead + tuple(1 if chance(rng, 0.35) else size for size in result[-3:])
        while shape and shape[0] == 1 and chance(rng, 0.5):
            shape = shape[1:]
        shapes.append(shape)
    return shapes


def _operand(b: ModelBuilder, rng: Rng, shape: tuple[int, ...], is_constant: bool) -> tuple[Operand, float]:
    if not is_constant:
        return data(b, rng, shape)
    drawn = scale(rng)
    values = rng.integers(-128, 127, shape, np.int8, endpoint=True)
    return b.constant(np.asarray(values, np.int8), scales=drawn, zero_points=zero_point(rng)), drawn


CASES: tuple[Case, ...] = (
    Case("add", add),
    Case("sub", sub),
    Case("mul", mul),
)
