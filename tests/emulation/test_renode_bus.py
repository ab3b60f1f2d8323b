"""What the self-test touches on its way is on the bus of the board's Renode platform: no access ends nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.models import MODELS
from tests.renode.matrix import real_boards
from tests.support import repl
from tinygen import compile_model, load_board, read_model
from tinygen.emulate import find_emulator
from tinygen.emulate.selftest_unicorn import UnicornSelfTest
from tinygen.errors import ToolError
from tinygen.export.renode import platform_text
from tinygen.targets import Architecture
from tinygen.toolchain import build_selftest
from tinygen.toolchain.elf import ALLOC, open_elf
from tinygen.validate.vectors import make_vectors, selftest_sources


@pytest.mark.parametrize("name", real_boards())
def test_every_section_and_every_register_lies_on_the_bus(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    compiled = compile_model(read_model(MODELS["classifier"](), name="classifier"), board)
    files = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 1))}
    try:
        firmware = build_selftest(files, "classifier", board, tmp_path)
    except ToolError as missing:
        pytest.skip(str(missing))
    spans = [entry.span() for entry in repl.check(platform_text(board)) if entry.origin is not None]

    def on_the_bus(begin: int, end: int) -> bool:
        return any(low <= begin and end <= high for low, high in spans)

    with open_elf(firmware.elf) as elf:
        sections = [s for s in elf.iter_sections() if s["sh_flags"] & ALLOC and s["sh_size"]]
        assert sections
        for section in sections:
            assert on_the_bus(section["sh_addr"], section["sh_addr"] + section["sh_size"]), section.name
    if board.target.architecture is Architecture.XTENSA:
        return  # its registers are the set-up's and the UART's, which test_renode.py looks for
    try:
        find_emulator(board, "unicorn")
    except ToolError as missing:
        pytest.skip(str(missing))
    run = UnicornSelfTest(firmware)
    assert run.run(60.0).passed
    assert run.peripherals.writes
    for write in run.peripherals.writes:
        assert on_the_bus(write.address, write.address + write.size_bytes), f"0x{write.address:08x}"
