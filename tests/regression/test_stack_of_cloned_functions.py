"""GCC clones kernels (f.constprop.0) under names that its stack report spells differently; the bound must stand."""

from __future__ import annotations

import pytest

from tests.support.paths import EXAMPLES
from tinygen import compile_model, load_board, read_model
from tinygen.errors import ToolError
from tinygen.toolchain import find_toolchain, measure


@pytest.mark.parametrize("board_name", ["nano33", "pico", "esp32c3", "esp32"])
def test_the_worst_stack_of_an_example_is_known(board_name: str) -> None:
    target = load_board(board_name).target
    try:
        toolchain = find_toolchain(target)
    except ToolError as missing:
        pytest.skip(str(missing))
    compiled = compile_model(read_model(EXAMPLES[0]), load_board(board_name))
    size = measure(compiled.sources.files, compiled.sources.name, target, toolchain)
    assert size.stack_bytes is not None and 64 < size.stack_bytes < 1024
