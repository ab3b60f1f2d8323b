"""zig's object cache once gave a build the objects of another one, whose folder still stood."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulation import toy
from tests.support.paths import EXAMPLES
from tinygen import compile_model, load_board, read_model
from tinygen.errors import ToolError
from tinygen.toolchain import Build, build_firmware, find_toolchain


def test_two_builds_by_zig_share_no_object(tmp_path: Path) -> None:
    board = load_board("nano33")
    try:
        zig = find_toolchain(board.target, prefer="zig")
    except ToolError as missing:
        pytest.skip(str(missing))
    compiled = compile_model(read_model(EXAMPLES[0]), board)
    for name, files in ((toy.NAME, toy.FILES), (compiled.program.name, compiled.sources.files)):
        firmware = build_firmware(files, name, board, Build.RELEASE, tmp_path / name, toolchain=zig)
        assert name.encode() + b"_run" in firmware.elf.read_bytes()
