"""Operators that move elements without computing: padding, joining and new shapes."""

from __future__ import annotations

import math

import numpy as np

from tests.ops.cases.case import LITERT, Case
from tests.ops.cases.draw import Rng, between, chance, one_of, scale, zero_point
from tests.support.models import ModelBuilder, Operand

TYPES = ("int8", "int8", "uint8", "int32", "float32")


def pad(b: ModelBuilder, rng: Rng) -> None:
    """Up to five dimensions, each padded or not, with the output's zero point."""
    _pad(b, rng, "PAD", np.int32)


def pad_int64(b: ModelBuilder, rng: Rng) -> None:
    """Paddings of 64 bits, which only litert reads."""
    _pad(b, rng, "PAD", np.int64)


def padv2(b: ModelBuilder, rng: Rng) -> None:
    """The same with a value of the model's."""
    _pad(b, rng, "PADV2", np.int32)


def concatenation(b: ModelBuilder, rng: Rng) -> None:
    """One to ten inputs along any axis, constants among them."""
    rank = between(rng, 1, 5)
    shape = _shape(rng, rank)
    axis = between(rng, 0, rank - 1)
    inputs = between(rng, 1, 10) if chance(rng, 0.2) else between(rng, 2, 4)
    sizes = [between(rng, 1, 5) for _ in range(inputs)]
    quant = {"scale": scale(rng), "zero_point": zero_point(rng)}
    operands = []
    for size in sizes:
        piece = (*shape[:axis], size, *shape[axis + 1 :])
        if chance(rng, 0.15):
            values = rng.integers(-128, 127, piece, np.int8, endpoint=True)
            operands.append(b.constant(values, scales=quant["scale"], zero_points=int(quant["zero_point"])))
        else:
            operands.append(b.input(piece, **quant))  # type: ignore[arg-type]
    y = b.tensor((*shape[:axis], sum(sizes), *shape[axis + 1 :]), **quant)  # type: ignore[arg-type]
    b.node("CONCATENATION", operands, [y], version=2, axis=axis - rank if chance(rng, 0.4) else axis)
    b.output(y)


def reshape(b: ModelBuilder, rng: Rng) -> None:
    """A new shape from the attributes or a constant, sometimes with one size left open."""
    x, shape, quant = _any(b, rng, *TYPES)
    result = _factors(rng, math.prod(shape))
    wanted = list(result)
    if wanted and chance(rng, 0.4):
        wanted[between(rng, 0, len(wanted) - 1)] = -1
    y = b.tensor(result, **quant)  # type: ignore[arg-type]
    inputs = [x, b.constant(np.array(wanted, np.int32))] if wanted and chance(rng, 0.6) else [x]
    b.node("RESHAPE", inputs, [y], new_shape=wanted)
    b.output(y)


def squeeze(b: ModelBuilder, rng: Rng) -> None:
    """All dimensions of size one, or chosen ones."""
    x, shape, quant = _any(b, rng, *TYPES)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    chosen = [axis for axis in ones if chance(rng, 0.6)]
    dropped = chosen or ones
    y = b.tensor([size for axis, size in enumerate(shape) if axis not in dropped], **quant)  # type: ignore[arg-type]
    dims = [axis - len(shape) if chance(rng, 0.3) else axis for axis in chosen]
    b.node("SQUEEZE", [x], [y], squeeze_dims=dims)
    b.output(y)


def expand_dims(b: ModelBuilder, rng: Rng) -> None:
    """A new dimension at any place."""
    x, shape, quant = _any(b, rng, "int8", "float32")
    place = between(rng, 0, len(shape))
    y = b.tensor((*shape[:place], 1, *shape[place:]), **quant)  # type: ignore[arg-type]
    axis = np.array([place - len(shape) - 1 if chance(rng, 0.4) else place], np.int32)
    b.node("EXPAND_DIMS", [x, b.constant(axis if chance(rng, 0.5) else axis.reshape(()))], [y])
    b.output(y)


def _pad(b: ModelBuilder, rng: Rng, operator: str, index: type[np.int32] | type[np.int64]) -> None:
    rank = between(rng, 1, 5)
    shape = _shape(rng, rank)
    table = np.array([[between(rng, 0, 3) if chance(rng, 0.4) else 0 for _ in range(2)] for _ in range(rank)], index)
    drawn, point = scale(rng), zero_point(rng)
    x = b.input(shape, scale=drawn, zero_point=point)
    y = b.tensor([n + int(p.sum()) for n, p in zip(shape, table, strict=True)], scale=drawn, zero_point=point)
    inputs = [x, b.constant(table)]
    if operator == "PADV2":
        value = rng.integers(-128, 127, (1,), np.int8, endpoint=True)
        inputs.append(b.constant(value if chance(rng, 0.5) else value.reshape(()), scales=drawn, zero_points=point))
    b.node(operator, inputs, [y], version=1)
    b.output(y)


def _shape(rng: Rng, rank: int) -> tuple[int, ...]:
    return (*(between(rng, 1, 5) for _ in range(rank - 1)), between(rng, 1, 17))


def _any(b: ModelBuilder, rng: Rng, *types: str) -> tuple[Operand, tuple[int, ...], dict[str, object]]:
    """An input or a constant of any rank and of one of the types. Only int8 ones have a single element."""
    shape = tuple(1 if chance(rng, 0.4) else between(rng, 2, 6) for _ in range(between(rng, 1, 5)))
    dtype = str(one_of(rng, *types)) if max(shape) > 1 else "int8"
    quant: dict[str, object] = {"dtype": dtype}
    if dtype == "int8":
        quant |= {"scale": scale(rng), "zero_point": zero_point(rng)}
    if chance(rng, 0.2):
        values = rng.integers(-128, 127, shape, np.int8, endpoint=True).astype(dtype)
        point = {"scales": quant["scale"], "zero_points": quant["zero_point"]} if dtype == "int8" else {}
        return b.constant(values, **point), shape, quant  # type: ignore[arg-type]
    return b.input(shape, **quant), shape, quant  # type: ignore[arg-type]


def _factors(rng: Rng, elements: int) -> tuple[int, ...]:
    """A random shape of so many elements."""
    sizes = []
    while elements > 1 and len(sizes) < 5:
        divisors = [d for d in range(1, elements + 1) if elements % d == 0]
        sizes.append(int(rng.choice(divisors)))
        elements //= sizes[-1]
    return (*sizes, elements) if elements > 1 or not sizes else tuple(sizes)


CASES: tuple[Case, ...] = (
    Case("pad", pad),
    Case("pad_int64", pad_int64, references=(LITERT,)),
    Case("padv2", padv2),
    Case("concatenation", concatenation),
    Case("reshape", reshape),
    Case("squeeze", squeeze),
    Case("expand_dims", expand_dims),
)
