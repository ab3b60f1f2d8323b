"""What the published models and the examples take of RAM, and how near that is to what no plan can go below."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import compile_model, load_board, read_model

# Bytes of arena, whole layers one after the other: for a core with DSP instructions, and for portable kernels.
ARENA_BYTES = {
    "mlperf_kws": (9_536, 9_792),
    "mlperf_sww": (4_096, 3_840),
    "mlperf_vww": (36_928, 36_872),
    "tflm_person_detect": (36_928, 36_872),
    "mlperf_ic": (34_448, 33_312),
    "tflm_micro_speech": (4_168, 4_168),
    "mlperf_ad": (1_920, 768),
    "tflm_hello_world": (56, 32),
}
BOARDS = ("nucleo-l4r5zi", "pico")


def packed(path: Path, board: str) -> tuple[int, int]:
    """Arena and lower bound in bytes."""
    program = compile_model(read_model(path), load_board(board)).program
    return program.plan.arena_bytes, program.plan.lower_bound_bytes


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", SHARED_NAMES)
def test_published_models_take_no_more_than_they_did(name: str, board: str) -> None:
    arena, bound = packed(shared_model(name), board)
    assert bound <= arena <= ARENA_BYTES[name][BOARDS.index(board)]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_come_near_the_bound(path: Path, board: str) -> None:
    arena, bound = packed(path, board)
    assert bound <= arena <= 1.25 * bound
