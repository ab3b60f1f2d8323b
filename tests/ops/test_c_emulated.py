"""The generated C equals numpy on emulated boards, compiled for their instruction sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.cases import CASES, Case
from tests.ops.harness import assert_equal, generate, inputs_of, model_of, roomy, run_c
from tinygen.boards import load_board
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.ir import Reference
from tinygen.toolchain import board_platform, find_toolchain
from tinygen.validate.evaluate import evaluate

BOARDS = ("nano33", "pico", "esp32c3")
NODES = 16

LEVELS = {Reference.LITERT: ("-O2",), Reference.TFLM: ("-Os", "-fno-align-functions")}
"""The project's own options, and those with which users' builds put functions at any half-word."""


@pytest.mark.parametrize("board_name", BOARDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_c_equals_numpy_when_emulated(
    case: Case, board_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = roomy(load_board(board_name))
    try:
        emulator = find_emulator(board, "unicorn")
        find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    graph = model_of(case, min(NODES, case.count)).graph
    inputs = inputs_of(graph)
    for reference in case.references:
        monkeypatch.setattr("tinygen.toolchain.options.KERNELS", LEVELS[reference])
        sources = generate(graph, board, reference)
        found = run_c(sources, graph, inputs, board, emulator, board_platform(board), tmp_path / reference.value)
        assert_equal(case, graph, [evaluate(graph, values, reference) for values in inputs], found)
