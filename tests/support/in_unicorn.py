"""Runs a self-test's ELF file in Unicorn, whose model and board its symbols and the caller tell."""

from __future__ import annotations

from pathlib import Path

from tinygen import load_board
from tinygen.emulate.lines import SelfTest
from tinygen.emulate.selftest import run_selftest
from tinygen.emulate.symbols import read_image
from tinygen.toolchain import Build, Firmware, Platform


def run_elf(elf: Path, board_name: str) -> SelfTest:
    """From reset to the halt."""
    (name,) = (s.removesuffix("_selftest") for s in read_image(elf).symbols if s.endswith("_selftest"))
    firmware = Firmware(elf, load_board(board_name), Build.VALIDATION, "", name, Platform.SELF_TEST)
    return run_selftest(firmware, "unicorn", timeout_s=60.0)
