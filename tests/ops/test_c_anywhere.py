"""Kernels with assembly are right at every level of optimisation: nothing counts on where the compiler puts them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.ops.cases import CASES
from tests.ops.harness import assert_equal, generate, inputs_of, model_of, roomy, run_c
from tinygen.boards import load_board
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.resources import resource_path
from tinygen.targets import Family
from tinygen.toolchain import board_platform, find_toolchain
from tinygen.validate.evaluate import evaluate

LEVELS = ("-Os", "-Og", "-O0")
"""Where functions begin at any multiple of 2; Arduino builds with the first."""
NODES = {
    "conv_2d": 8,
    "conv_2d_pointwise": 12,
    "conv_2d_long_sums": 6,
    "depthwise_conv_2d_3x3": 6,
    "fully_connected": 6,
}
"""Of each case, as many as take all kernels with assembly."""
TEMPLATES = sorted(resource_path("templates").rglob("*.j2"))
ASSEMBLY = [path for path in TEMPLATES if '"adr' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("level", LEVELS)
def test_kernels_for_dsp_equal_numpy_wherever_functions_begin(
    level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = roomy(load_board("nano33"))
    try:
        emulator = find_emulator(board, "unicorn")
        gcc = find_toolchain(board.target).family is Family.ARM_GCC
    except ToolError as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr("tinygen.toolchain.options.KERNELS", (level, *(("-fno-align-functions",) if gcc else ())))
    for case in CASES:
        if case.name in NODES:
            graph = model_of(case, NODES[case.name]).graph
            inputs, reference = inputs_of(graph), case.references[0]
            sources = generate(graph, board, reference)
            found = run_c(sources, graph, inputs, board, emulator, board_platform(board), tmp_path / case.name)
            assert_equal(case, graph, [evaluate(graph, values, reference) for values in inputs], found)


@pytest.mark.parametrize("path", ASSEMBLY, ids=lambda path: path.stem)
def test_every_label_that_adr_names_begins_at_a_multiple_of_4(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    labels = re.findall(r'"adr\S* [^,]+, (\w+)f', text)
    assert len(labels) == text.count('"adr')
    for label in labels:
        assert re.search(rf'"\.balign 4\\n"[^"]*"{label}:', text), label
