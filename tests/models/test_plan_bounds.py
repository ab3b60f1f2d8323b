"""What the published models and the examples take of RAM, and how near that is to what no plan can go below."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import InputForm, Optimize, Options, compile_model, load_board, read_model

# Bytes of arena on a core with DSP instructions, and with portable kernels.
ARENA_BYTES = {
    Optimize.BALANCED: {
        "mlperf_kws": (8_480, 6_106),
        "mlperf_sww": (3_744, 3_840),
        "mlperf_vww": (27_978, 28_144),
        "tflm_person_detect": (13_088, 13_824),
        "mlperf_ic": (15_555, 13_504),
        "tflm_micro_speech": (2_559, 2_136),
        "mlperf_ad": (768, 768),
        "tflm_hello_world": (28, 28),
    },
    Optimize.RAM: {
        "mlperf_kws": (4_758, 5_162),
        "mlperf_sww": (3_536, 3_277),
        "mlperf_vww": (27_752, 28_144),
        "tflm_person_detect": (11_904, 11_664),
        "mlperf_ic": (12_320, 13_504),
        "tflm_micro_speech": (2_216, 2_136),
        "mlperf_ad": (768, 768),
        "tflm_hello_world": (28, 28),
    },
}
# With rows pushed and optimised for RAM, on a core with DSP instructions.
PUSHED_BYTES = {
    "mlperf_kws": 4_452,
    "mlperf_sww": 3_552,
    "mlperf_vww": 11_184,
    "tflm_person_detect": 10_608,
    "mlperf_ic": 11_288,
    "tflm_micro_speech": 672,
}
BOARDS = ("nucleo-l4r5zi", "pico")


def packed(path: Path, board: str, optimize: Optimize) -> tuple[int, int]:
    """Arena and lower bound in bytes."""
    program = compile_model(read_model(path), load_board(board), Options(optimize=optimize)).program
    return program.plan.arena_bytes, program.plan.lower_bound_bytes


@pytest.mark.parametrize("optimize", ARENA_BYTES)
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", SHARED_NAMES)
def test_published_models_take_no_more_than_they_did(name: str, board: str, optimize: Optimize) -> None:
    arena, bound = packed(shared_model(name), board, optimize)
    assert bound <= arena <= ARENA_BYTES[optimize][name][BOARDS.index(board)]


@pytest.mark.parametrize("name", PUSHED_BYTES)
def test_published_models_take_no_more_than_they_did_with_rows_pushed(name: str) -> None:
    options = Options(optimize=Optimize.RAM, input_form=InputForm.ROWS)
    program = compile_model(read_model(shared_model(name)), load_board(BOARDS[0]), options).program
    assert program.plan.arena_bytes <= PUSHED_BYTES[name]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_come_near_the_bound(path: Path, board: str) -> None:
    arena, bound = packed(path, board, Optimize.BALANCED)
    assert bound <= arena <= 1.25 * bound
