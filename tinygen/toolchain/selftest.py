"""Builds the self-test with vectors inside: firmware that prints on the board's own console."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tinygen.board_code import FILE_NAME, board_header, console_sources, counter_sources, early_sources
from tinygen.boards import Board
from tinygen.errors import ToolError
from tinygen.targets import WINDOWED, Architecture
from tinygen.toolchain.boot import loader_sources
from tinygen.toolchain.find import Toolchain, chip_families, find_toolchain, install_hint
from tinygen.toolchain.firmware import VALIDATE, Firmware, arena_section, compile_objects, link, write_sources
from tinygen.toolchain.options import Build
from tinygen.toolchain.platforms import Platform, start_sources


def build_selftest(
    files: Mapping[str, str],
    name: str,
    board: Board,
    directory: Path,
    *,
    toolchain: Toolchain | None = None,
    platform: Platform = Platform.SELF_TEST,
) -> Firmware:
    """Compiles the model's three files and its two self-test files in `directory`, and links them for the board.

    With SELF_TEST_SIM the objects of an Xtensa chip are linked for QEMU's windowed sim machine instead.
    """
    toolchain = toolchain or find_toolchain(board.target, advise=chip_families(board.target))
    if board.target.architecture is Architecture.XTENSA and toolchain.family not in WINDOWED:
        raise ToolError(
            f"self-test: {toolchain.name} makes no code that runs on {board.name} itself. {install_hint(board.target)}"
        )
    write_sources(files, name, directory, required=(".h", ".c", "_weights.c", "_selftest.h", "_selftest.c"))
    (directory / FILE_NAME).write_text(board_header(board), encoding="utf-8", newline="\n")
    (directory / "tinygen_selftest.h").write_text(_model_header(name), encoding="utf-8", newline="\n")
    objects = compile_objects(
        board,
        directory,
        toolchain,
        generated=(name, f"{name}_weights", f"{name}_selftest"),
        sources=selftest_sources(board, toolchain, platform),
        define=(VALIDATE,),
    )
    elf = link(objects, board, directory, toolchain, platform)
    return Firmware(elf, board, Build.VALIDATION, toolchain.name, name, platform)


def selftest_sources(board: Board, toolchain: Toolchain, platform: Platform) -> tuple[str, ...]:
    """The files of `firmware/` that make a board's self-test."""
    driver, *others = console_sources(board.console.uart)
    console = ("console_simcall.c" if platform is Platform.SELF_TEST_SIM else driver, *others)
    start = (*start_sources(board, toolchain, platform), *early_sources(board), *loader_sources(board, platform))
    return (*start, "selftest.c", *counter_sources(board), *console)


def _model_header(name: str) -> str:
    """The one file through which the generic self-test knows its model."""
    lines = (
        f'#include "{name}.h"',
        f'#include "{name}_selftest.h"',
        f'#define TINYGEN_NAME "{name}"',
        f"#define TINYGEN_ARENA_BYTES {name.upper()}_ARENA_BYTES",
        f"#define TINYGEN_ARENA_ALIGN {name.upper()}_ARENA_ALIGN",
        *arena_section(name),
        f"#define TINYGEN_SELFTEST {name}_selftest",
        f"#define TINYGEN_SELFTEST_PORT {name}_selftest_port",
    )
    return "\n".join(lines) + "\n"
