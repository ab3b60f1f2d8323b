"""Requantisation in two instructions is the exact one on every sum that can occur, or is not used."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tinygen import fixedpoint
from tinygen.ir import DType, Graph, Reference, Rounding
from tinygen.ops import conv2d_dsp, requantize
from tinygen.ops.constants import multiplier_and_shift
from tinygen.ops.requantize import Affine, Staircase, agrees, first_sums, fit, fit_all
from tinygen.tflite import read

RNG = np.random.default_rng(7)
FACTORS = [float(2.0 ** -RNG.uniform(4, 14)) for _ in range(24)]


def relu(
    factor: float, reach: int = 40_000, clamps: tuple[int, int] = (-128, 127), zero_point: int = -128
) -> Staircase:
    """A channel that rounds twice, as convolutions do."""
    rounding = requantize.rounded_twice(*multiplier_and_shift(factor))
    return Staircase(rounding, factor, zero_point, *clamps, -reach, reach)


def instructions(found: Affine, sums: np.ndarray, shift: int, scale: int) -> np.ndarray:
    """SMMLA and SSAT, before what a narrower clamp does."""
    return (found.addend + (scale * (sums + found.offset) * found.multiplier >> 32)) >> shift


@pytest.mark.parametrize("scale", [1, 256])
@pytest.mark.parametrize("factor", FACTORS)
def test_a_fit_gives_the_reference_output_of_every_sum(factor: float, scale: int) -> None:
    stairs = relu(factor)
    result = fit_all([stairs], (scale,))
    assert result is not None
    sums = np.arange(stairs.lowest, stairs.highest + 1)
    expected = fixedpoint.requantize(sums[:, None], [factor], Rounding.DOUBLE, -128, (-128, 127), DType.INT8)[:, 0]
    found = np.clip(instructions(result.channels[0], sums, result.shifts[0], scale), -128, 127)
    assert (found == expected).all()


@pytest.mark.parametrize(
    ("clamps", "zero_point"), [((-128, 60), -128), ((-30, 127), -30), ((5, 9), 5), ((-128, 127), -90)]
)
def test_clamps_at_the_zero_point_have_a_fit(clamps: tuple[int, int], zero_point: int) -> None:
    stairs = relu(0.00437, clamps=clamps, zero_point=zero_point, reach=20_000)
    if zero_point == -90:  # the clamp leaves values below zero alone, which are rounded the other way
        assert fit_all([stairs]) is None
        return
    result = fit_all([stairs])
    assert result is not None
    sums = np.arange(-20_000, 20_001)
    expected = fixedpoint.requantize(sums[:, None], [0.00437], Rounding.DOUBLE, zero_point, clamps, DType.INT8)[:, 0]
    assert (np.clip(instructions(result.channels[0], sums, result.shifts[0], 1), *clamps) == expected).all()


def test_float_rounding_has_fits_on_both_sides_of_zero() -> None:
    factor = 0.003517
    stairs = Staircase(requantize.rounded_as_float(factor), factor, 14, -128, 127, -60_000, 60_000)
    result = fit_all([stairs])
    assert result is not None
    sums = np.arange(-60_000, 60_001)
    exact = np.array([int(np.clip(np.floor(abs(s * factor) + 0.5) * np.sign(s) + 14, -128, 127)) for s in sums])
    assert (np.clip(instructions(result.channels[0], sums, result.shifts[0], 1), -128, 127) == exact).all()


def test_first_sums_are_those_of_a_search_through_all() -> None:
    stairs = relu(0.0123, reach=30_000)
    outputs, firsts = first_sums(stairs)
    values = stairs.outputs(np.arange(-30_000, 30_001))
    assert [int(np.argmax(values >= output)) - 30_000 for output in outputs] == firsts.tolist()


def test_the_proof_refuses_what_is_off_by_the_least_that_shows() -> None:
    stairs = relu(0.0123, reach=30_000)
    found = fit(stairs, 4)
    assert found is not None and agrees(found, stairs, 4)
    sums = np.arange(stairs.lowest, stairs.highest + 1)
    for field in ("multiplier", "addend", "offset"):
        for step in (1, -1):
            for size in range(16):
                changed = dataclasses.replace(found, **{field: getattr(found, field) + step * 2**size})
                right = (np.clip(instructions(changed, sums, 4, 1), -128, 127) == stairs.outputs(sums)).all()
                assert agrees(changed, stairs, 4) == right


def test_the_proof_refuses_what_leaves_32_bits() -> None:
    flat = relu(2.0**-20, reach=100)
    assert agrees(Affine(0, -128 << 4, 0), flat, 4)
    assert not agrees(Affine(0, -128 << 25, 0), flat, 25)
    assert not agrees(Affine(0, -128 << 4, 2**31), flat, 4)


def layer(zero_point: int) -> Graph:
    b = ModelBuilder()
    x = b.input((1, 2, 2, 8), scale=0.05, zero_point=3)
    weights = np.random.default_rng(1).integers(-127, 127, (5, 1, 1, 8), np.int8, endpoint=True)
    w = b.constant(weights, scales=[0.01, 0.011, 0.012, 0.013, 0.014], zero_points=[0] * 5, axis=0)
    bias = b.constant(np.zeros(5, np.int32), scales=[0.0005], zero_points=[0])
    y = b.tensor((1, 2, 2, 5), scale=0.1, zero_point=zero_point)
    b.node("CONV_2D", [x, w, bias], [y], version=3, padding="VALID", stride_h=1, stride_w=1)
    b.output(y)
    return read(b.finish(), name="layer").graph


def form(zero_point: int) -> str:
    (node,) = layer(zero_point).nodes
    return conv2d_dsp.switches(node, Reference.LITERT)["requantize"].rstrip("0123456789")


def test_a_layer_whose_outputs_lie_on_one_side_of_zero_takes_two_instructions() -> None:
    assert form(-128) == "affine"


def test_a_layer_with_outputs_on_both_sides_rounds_twice() -> None:
    assert form(0) == "twice"


def test_one_channel_without_a_fit_makes_the_layer_round_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuses_the_fourth(stairs: Staircase, shift: int, scale: int = 1) -> Affine | None:
        tried.append(stairs.factor)
        return None if stairs.factor == max(tried) and len(set(tried)) >= 4 else fit(stairs, shift, scale)

    monkeypatch.setattr(requantize, "fit", refuses_the_fourth)
    assert form(-128) == "twice"
    assert len(set(tried)) == 4
