"""Requantisation without an addend: what the search finds is exact, and the proof refuses what is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tinygen.ops.gain import Gained, agrees, fit_gain, fit_gains
from tinygen.ops.requantize import Staircase, rounded_twice


def one_sided(factor: float, lowest: int = -150_000, highest: int = 140_000) -> Staircase:
    """Outputs as after a ReLU: the zero point is the lowest value."""
    shift = 0
    while factor < 0.5:
        factor, shift = factor * 2, shift - 1
    multiplier = round(factor * 2**31)
    return Staircase(
        rounded_twice(multiplier, shift), multiplier * 2.0 ** (shift - 31), -128, -128, 127, lowest, highest
    )


def instructions(
    sums: np.ndarray[tuple[int, ...], np.dtype[np.int64]], found: Gained, shift: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """SMMUL, then SSAT of what is shifted."""
    gained = found.gain * sums + found.offset
    assert np.abs(gained).max() < 2**31
    result: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = np.clip(
        (gained * found.multiplier >> 32) >> shift, -128, 127
    )
    return result


@pytest.mark.parametrize("factor", [0.31, 0.0123, 0.00437, 0.0017, 0.0008])
def test_what_is_found_gives_the_output_of_every_sum(factor: float) -> None:
    stairs = one_sided(factor)
    fit = fit_gains([stairs], [127])
    assert fit is not None
    (found,) = fit.channels
    sums = np.arange(stairs.lowest, stairs.highest + 1)
    wanted = stairs.outputs(sums)
    assert len(np.unique(wanted)) > 100
    assert (instructions(sums, found, fit.shift) == wanted).all()
    assert 127 * found.gain < 2**15


def test_the_proof_refuses_an_offset_or_a_gain_that_is_not_exact() -> None:
    stairs = one_sided(0.00437)
    found = fit_gain(stairs, 127, 8)
    assert found is not None and agrees(found, stairs, 8)
    assert not agrees(dataclasses.replace(found, offset=found.offset + found.gain), stairs, 8)
    assert not agrees(dataclasses.replace(found, gain=found.gain + 1), stairs, 8)
    assert not agrees(dataclasses.replace(found, multiplier=found.multiplier + 2**12), stairs, 8)
    assert not agrees(found, stairs, 7)


def test_an_output_that_no_input_changes_needs_no_gain() -> None:
    stairs = one_sided(0.01, lowest=900, highest=930)
    constant = dataclasses.replace(stairs, lowest=910, highest=930)
    assert len(np.unique(constant.outputs(np.arange(910, 931)))) == 1
    found = fit_gain(constant, 127, 8)
    assert found is not None and found.gain == 0
    assert instructions(np.arange(910, 931), found, 8).tolist() == constant.outputs(np.arange(910, 931)).tolist()


def test_outputs_on_both_sides_of_the_zero_point_have_no_fit() -> None:
    stairs = dataclasses.replace(one_sided(0.00437), zero_point=-3)
    assert fit_gains([stairs], [127]) is None, "negative outputs round away from zero, which takes a sign"
