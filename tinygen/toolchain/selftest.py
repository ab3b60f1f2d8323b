"""Builds the self-test with vectors inside: firmware that prints on the board's own console."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tinygen.boards import Board
from tinygen.errors import ToolError
from tinygen.targets import Architecture
from tinygen.toolchain.board_header import FILE_NAME, board_header
from tinygen.toolchain.find import Toolchain, find_toolchain
from tinygen.toolchain.firmware import VALIDATE, Firmware, Platform, compile_objects, link, write_sources
from tinygen.toolchain.options import Build

# Start-up, and what else of `firmware/` only this architecture needs.
_START: dict[Architecture, tuple[str, ...]] = {
    Architecture.ARM_M: ("start_arm_m.c",),
    Architecture.RISCV32: ("start_riscv.S", "cycles_riscv.S"),
}
_COMMON = ("selftest.c", "cycles.c", "console_setup.c", "memory.c")


def build_selftest(
    files: Mapping[str, str],
    name: str,
    board: Board,
    directory: Path,
    *,
    toolchain: Toolchain | None = None,
) -> Firmware:
    """Compiles the model's three files and its two self-test files in `directory`, and links them for the board."""
    if board.target.architecture not in _START:
        raise ToolError(f"self-test: no start-up code for {board.target.architecture.value} (board {board.name}) yet.")
    toolchain = toolchain or find_toolchain(board.target)
    write_sources(files, name, directory, required=(".h", ".c", "_weights.c", "_selftest.h", "_selftest.c"))
    (directory / FILE_NAME).write_text(board_header(board), encoding="utf-8", newline="\n")
    (directory / "tinygen_selftest.h").write_text(_model_header(name), encoding="utf-8", newline="\n")
    objects = compile_objects(
        board,
        directory,
        toolchain,
        generated=(name, f"{name}_weights", f"{name}_selftest"),
        sources=selftest_sources(board),
        define=(VALIDATE,),
    )
    elf = link(objects, board, directory, toolchain)
    return Firmware(elf, board, Build.VALIDATION, toolchain.name, name, Platform.SELF_TEST)


def selftest_sources(board: Board) -> tuple[str, ...]:
    """The files of `firmware/` that make a board's self-test."""
    return (*_START[board.target.architecture], *_COMMON, f"console_{board.console.uart.value}.c")


def _model_header(name: str) -> str:
    """The one file through which the generic self-test knows its model."""
    lines = (
        f'#include "{name}.h"',
        f'#include "{name}_selftest.h"',
        f'#define TINYGEN_NAME "{name}"',
        f"#define TINYGEN_ARENA_BYTES {name.upper()}_ARENA_BYTES",
        f"#define TINYGEN_ARENA_ALIGN {name.upper()}_ARENA_ALIGN",
        f"#define TINYGEN_SELFTEST {name}_selftest",
        f"#define TINYGEN_SELFTEST_PORT {name}_selftest_port",
    )
    return "\n".join(lines) + "\n"
