"""Every assembler takes the kernels with assembly, and is stopped where a jump counts other bytes than there are."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.ops.cases import CASES
from tests.ops.harness import NAME, generate, model_of
from tests.ops.test_c_anywhere import NODES
from tinygen.boards import load_board
from tinygen.resources import resource_path
from tinygen.targets import Family
from tinygen.toolchain.find import find_family
from tinygen.toolchain.options import STRICT

BOARD = load_board("nano33")
CLANG = ("--target=arm-none-eabi", *BOARD.target.gcc_flags)
CLANGS = {"clang": "apt install clang", "clang-22": "apt install clang-22"}
"""Debian 12's own is release 14, the oldest that is supported."""
MORE_NODES = {
    "conv_2d_3x3": 30,
    "depthwise_conv_2d": 6,
    "depthwise_conv_2d_line": 6,
    "fully_connected_wide": 6,
    "fully_connected_rows": 4,
    "average_pool_2d": 4,
    "max_pool_2d": 4,
    "mul": 4,
}
"""What else has assembly; thirty nodes until one takes Winograd's algorithm."""
COMPILERS = (Family.ARM_GCC.value, Family.ZIG.value, *CLANGS)
COUNT = re.compile(r"(\.org \db \+ )(\d+)")
REFUSED = re.compile(r"^(.+?:\d+):.*rror: (?:attempt to move \.org backwards|invalid \.org offset)", re.MULTILINE)
"""With the line, of which clang may speak more than once."""


def command(compiler: str) -> tuple[str, ...]:
    """A compiler for Cortex-M4; a skip where there is none."""
    if compiler in CLANGS:
        if (path := shutil.which(compiler)) is None:
            pytest.skip(f"{compiler} is not installed: {CLANGS[compiler]}")
        return path, *CLANG, "-ferror-limit=0"
    if (found := find_family(Family(compiler))) is None:
        pytest.skip(f"{compiler} is not installed: tinygen doctor says how to")
    if found.family is Family.ZIG:
        return *found.command, *BOARD.target.zig_flags, "-ferror-limit=0"
    return *found.command, *BOARD.target.gcc_flags


def assemble(compiler: str, level: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / f"{NAME}.c").write_text(text, encoding="utf-8")
    headers = str(resource_path("firmware") / "include")
    options = (*STRICT, level, "-ffreestanding", "-I", ".", "-idirafter", headers, "-c", f"{NAME}.c", "-o", f"{NAME}.o")
    return subprocess.run((*command(compiler), *options), cwd=folder, capture_output=True, text=True, check=False)


@cache
def texts() -> tuple[dict[str, str], ...]:
    """C that takes all kernels with assembly."""
    made = [
        generate(model_of(case, nodes).graph, BOARD, case.references[0])
        for case in CASES
        if (nodes := (NODES | MORE_NODES).get(case.name))
    ]
    return tuple(dict(sources.files) for sources in made)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_assembler_takes_every_kernel(compiler: str, tmp_path: Path) -> None:
    for files in texts():
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        done = assemble(compiler, "-O2", files[f"{NAME}.c"], tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bytes_off", (-2, 2))
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_wrong_count_of_bytes_stops_every_assembler(compiler: str, bytes_off: int, tmp_path: Path) -> None:
    labels = set()
    for files in texts():
        # each by more than the one before, which moves what comes next
        more = itertools.count(bytes_off, bytes_off)
        text, counts = COUNT.subn(
            lambda found, more=more: f"{found[1]}{int(found[2]) + next(more)}", files[f"{NAME}.c"]
        )
        if counts:
            labels.update(found[1] for found in COUNT.finditer(text))
            for name, other in files.items():
                (tmp_path / name).write_text(other, encoding="utf-8")
            # -O0: nothing is inlined twice or proved never to run
            done = assemble(compiler, "-O0", text, tmp_path)
            assert done.returncode != 0
            assert len(set(REFUSED.findall(done.stderr))) == counts, done.stderr
    assert labels == {".org 2b + ", ".org 3b + ", ".org 4b + "}
