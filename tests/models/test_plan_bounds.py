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


# Portable kernels need no scratch; those for DSP keep at most four pixels' or one item's 16-bit values beside tensors.
BOARDS = ("nucleo-l4r5zi", "pico")


def packed(path: Path, board: str) -> tuple[int, int, int]:
    """Arena and lower bound, and the most scratch that a layer has, in bytes."""
    program = compile_model(read_model(path), load_board(board)).program
    kernels = program.schedule.kernels.items()
    scratch = max(kernel.scratch_bytes(program.graph.nodes[i]) for i, kernel in kernels if kernel is not None)
    return program.plan.arena_bytes, program.plan.lower_bound_bytes, scratch


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", SHARED_NAMES)
def test_published_models_reach_the_bound(name: str, board: str) -> None:
    arena, bound, scratch = packed(shared_model(name), board)
    assert arena == bound
    assert scratch == 0 or board != "pico"
    assert arena <= PLAIN_BYTES.get(name, arena) + scratch


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_reach_the_bound(path: Path, board: str) -> None:
    arena, bound, _ = packed(path, board)
    assert arena == bound
