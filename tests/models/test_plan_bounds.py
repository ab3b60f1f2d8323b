"""Packing reaches the largest live set on every real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import compile_model, load_board, read_model

# The largest live sets that were published beside the models, in bytes, without sharing in place.
PLAIN_BYTES = {
    "mlperf_kws": 16_000,
    "mlperf_sww": 6_656,
    "mlperf_vww": 55_296,
    "tflm_person_detect": 55_296,
    "mlperf_ic": 49_152,
    "tflm_micro_speech": 5_960,
    "mlperf_ad": 768,
}


def packed(path: Path) -> tuple[int, int]:
    plan = compile_model(read_model(path), load_board("nucleo-l4r5zi")).program.plan
    return plan.arena_bytes, plan.lower_bound_bytes


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_published_models_reach_the_bound(name: str) -> None:
    arena, bound = packed(shared_model(name))
    assert arena == bound
    assert arena <= PLAIN_BYTES.get(name, arena)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_reach_the_bound(path: Path) -> None:
    arena, bound = packed(path)
    assert arena == bound
