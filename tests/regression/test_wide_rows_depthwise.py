"""Four rows of more than 4095 bytes, or of a number that is no modified immediate, once stopped an assembler."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.ops.cases import Case
from tests.ops.harness import NAME, assert_equal, generate, inputs_of, model_of, roomy, run_c
from tests.support.models import ModelBuilder
from tinygen.boards import load_board
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.targets import Family
from tinygen.toolchain import board_platform, find_toolchain
from tinygen.validate.evaluate import evaluate

LAYERS = {
    "output": (1, (5, 73, 15)),  # rows of 1,095 bytes
    "output of stride 2": (2, (9, 146, 15)),
    "plane": (1, (5, 1101, 1)),  # rows of 1,104 bytes
    "plane of stride 2": (2, (9, 601, 1)),  # rows of 302 blocks of 4 bytes
    "no modified immediate": (1, (5, 343, 1)),  # 4 * 343: GCC's assembler takes an ADDW for it, others do not
}
"""Stride and shape of the input."""


def depthwise(stride: int, shape: tuple[int, int, int]) -> Case:
    height, width, channels = shape

    def add(b: ModelBuilder, rng: np.random.Generator) -> None:
        x = b.input((1, height, width, channels), scale=0.1, zero_point=-3)
        weights = b.constant(rng.integers(-127, 128, (1, 3, 3, channels)).astype(np.int8), scales=0.02)
        out = (1, -(-height // stride), -(-width // stride), channels)
        y = b.tensor(out, scale=0.5, zero_point=4)
        b.node(
            "DEPTHWISE_CONV_2D",
            [x, weights, b.constant(rng.integers(-999, 999, channels).astype(np.int32), scales=0.002)],
            [y],
            version=3,
            padding="SAME",
            stride_h=stride,
            stride_w=stride,
            depth_multiplier=1,
            dilation_h_factor=1,
            dilation_w_factor=1,
        )
        b.output(y)

    return Case("wide_rows", add)


@pytest.mark.parametrize("family", [Family.ARM_GCC, Family.ZIG], ids=lambda family: family.value)
@pytest.mark.parametrize(("stride", "shape"), LAYERS.values(), ids=LAYERS)
def test_wide_rows_assemble_and_are_equal(
    stride: int, shape: tuple[int, int, int], family: Family, tmp_path: Path
) -> None:
    board = roomy(load_board("nano33"))
    board = dataclasses.replace(board, target=dataclasses.replace(board.target, families=(family,)))
    try:
        emulator = find_emulator(board, "unicorn")
        find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    case = depthwise(stride, shape)
    graph = model_of(case, 4).graph
    inputs, reference = inputs_of(graph), case.references[0]
    sources = generate(graph, board, reference)
    assert "__dsp_3x3" in sources.files[f"{NAME}.c"]
    found = run_c(sources, graph, inputs, board, emulator, board_platform(board), tmp_path)
    assert_equal(case, graph, [evaluate(graph, values, reference) for values in inputs], found)
