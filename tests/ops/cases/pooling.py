"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from __future__ import annotations

import numpy as np

from tests.ops.cases.case import Case
from tests.ops.cases.draw import CLAMPS, Rng, between, chance, data, near_power_of_two, one_of, scale, zero_point
from tests.support.models import ModelBuilder


def average_pool_2d(b: ModelBuilder, rng: Rng) -> None:
    """Any window, stride and padding."""
    _pool(b, rng, "AVERAGE_POOL_2D", largest_window=6)


def average_pool_2d_large(b: ModelBuilder, rng: Rng) -> None:
    """Windows at both sides of the largest for which C multiplies by a reciprocal: 360 elements."""
    _pool(b, rng, "AVERAGE_POOL_2D", largest_window=22, smallest_window=17)


def average_pool_2d_rows(b: ModelBuilder, rng: Rng) -> None:
    """One row of output, of several of the input, which kernels may add one by one; all that 16 channels may leave."""
    rows, width, channels = between(rng, 2, 12), between(rng, 1, 9), between(rng, 1, 39)
    padding = str(one_of(rng, "SAME", "VALID"))
    taps = [between(rng, 1, rows + 3 if padding == "SAME" else rows), between(rng, 1, width)]
    strides = [between(rng, rows if padding == "SAME" else rows - taps[0] + 1, rows + 1), between(rng, 1, width)]
    _add_pool(b, rng, "AVERAGE_POOL_2D", (1, rows, width, channels), taps, strides, padding)


def max_pool_2d(b: ModelBuilder, rng: Rng) -> None:
    """Any window, stride and padding."""
    _pool(b, rng, "MAX_POOL_2D", largest_window=6)


def _pool(b: ModelBuilder, rng: Rng, operator: str, largest_window: int, smallest_window: int = 1) -> None:
    taps = [between(rng, smallest_window, largest_window) for _ in range(2)]
    strides = [between(rng, 1, 5) for _ in range(2)]
    padding = str(one_of(rng, "SAME", "VALID"))
    size = [between(rng, t if padding == "VALID" else 1, t + 8) for t in taps]
    batch = between(rng, 2, 3) if chance(rng, 0.2) else 1
    channels = between(rng, 1, 17 if largest_window < 10 else 3)
    _add_pool(b, rng, operator, (batch, *size, channels), taps, strides, padding)


def _add_pool(
    b: ModelBuilder, rng: Rng, operator: str, shape: tuple[int, ...], taps: list[int], strides: list[int], padding: str
) -> None:
    batch, *size, channels = shape
    spans = zip(size, taps, strides, strict=True)
    across = [(n - t) // s + 1 if padding == "VALID" else -(-n // s) for n, t, s in spans]
    quantisation = {"scale": scale(rng), "zero_point": zero_point(rng)}
    x = b.input(shape, **quantisation)  # type: ignore[arg-type]
    y = b.tensor((batch, *across, channels), **quantisation)  # type: ignore[arg-type]
    b.node(
        operator,
        [x],
        [y],
        version=2,
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
        filter_height=taps[0],
        filter_width=taps[1],
        fused_activation_function=str(one_of(rng, *CLAMPS)),
    )
    b.output(y)


def mean(b: ModelBuilder, rng: Rng) -> None:
    """Any axes of up to four dimensions, counted from either end, in any order, twice too."""
    rank = between(rng, 1, 4)
    shape = tuple(between(rng, 1, 9) for _ in range(rank))
    axes = [int(axis) for axis in rng.permutation(rank)[: between(rng, 1, rank)]]
    _mean(b, rng, shape, axes)


def mean_spatial(b: ModelBuilder, rng: Rng) -> None:
    """The average over height and width that ends many networks."""
    shape = (1, between(rng, 1, 12), between(rng, 1, 12), between(rng, 1, 17))
    _mean(b, rng, shape, [1, 2])


def mean_rows(b: ModelBuilder, rng: Rng) -> None:
    """Averages that kernels may make row by row: over the height of one item, over its width or not."""
    shape: tuple[int, ...] = (between(rng, 2, 12), between(rng, 1, 12), between(rng, 1, 39))
    axes = [0, 1] if chance(rng, 0.7) else [0]
    if chance(rng, 0.5):
        shape, axes = (1, *shape), [axis + 1 for axis in axes]
    _mean(b, rng, shape, axes)


def _mean(b: ModelBuilder, rng: Rng, shape: tuple[int, ...], axes: list[int]) -> None:
    keep = chance(rng, 0.5)
    result = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    x, input_scale = data(b, rng, shape)
    if chance(rng, 0.3):
        axes = [axis - len(shape) if chance(rng, 0.5) else axis for axis in axes]
    if chance(rng, 0.1):
        axes = [*axes, axes[0]]
    ratio = near_power_of_two(rng) if chance(rng, 0.2) else 10.0 ** rng.uniform(-2, 1)
    drawn = input_scale if chance(rng, 0.3) else float(np.float32(input_scale * ratio))
    y = b.tensor(result, scale=drawn, zero_point=zero_point(rng))
    b.node("MEAN", [x, b.constant(np.array(axes, np.int32))], [y], version=2, keep_dims=keep)
    b.output(y)


CASES: tuple[Case, ...] = (
    Case("average_pool_2d", average_pool_2d),
    Case("average_pool_2d_large", average_pool_2d_large, count=40),
    Case("average_pool_2d_rows", average_pool_2d_rows, count=40),
    Case("max_pool_2d", max_pool_2d),
    Case("mean", mean),
    Case("mean_spatial", mean_spatial),
    Case("mean_rows", mean_rows, count=40),
)
