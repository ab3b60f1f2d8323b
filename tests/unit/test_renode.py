"""Renode's files: every board's platform is sound, scripts are as they were, and the Robot test reads as one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.golden.test_golden_renode import EXPECTED
from tests.renode.matrix import real_boards
from tests.support import repl
from tinygen.boards import Board, Memory, MemoryKind, RegisterStep, load_board
from tinygen.errors import BoardError
from tinygen.export.renode import (
    UART_BYTES,
    RenodePlatform,
    platform_text,
    register_blocks,
    renode_files,
    start_commands,
)

BOARDS = real_boards()
STOCK = [name for name in BOARDS if load_board(name).emulation.renode_platform]
STUB = Path(__file__).parents[1] / "support" / "renode_keywords.py"


@pytest.mark.parametrize("name", BOARDS)
def test_a_platform_file_has_known_types_and_properties_and_no_overlap(name: str) -> None:
    entries = repl.check(platform_text(load_board(name)))
    assert [entry.name for entry in entries].count("cpu") == 1


@pytest.mark.parametrize("name", BOARDS)
def test_every_memory_and_every_register_of_the_set_up_is_on_the_bus(name: str) -> None:
    board = load_board(name)
    spans = [entry.span() for entry in repl.check(platform_text(board)) if entry.origin is not None]
    wanted = [(m.origin, m.end) for m in board.memories] + [(s.address, s.address + 4) for s in board.console.setup]
    for begin, end in [*wanted, (board.console.base, board.console.base + 4)]:
        assert any(low <= begin and end <= high for low, high in spans), f"0x{begin:08x}"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("ram: Memory.MappedMemory @ sysbus 0x20000000\n", "missing"),
        ("ram: Memory.MappedMemory @ sysbus 0x20000000\n    size: 0x1000\n    colour: 3\n", "unknown property"),
        ("ram: Memory.Mapped @ sysbus 0x20000000\n    size: 0x1000\n", "unknown type"),
        ("ram: Memory.MappedMemory @ 0x20000000\n", "not understood"),
        (
            "a: Memory.MappedMemory @ sysbus 0x20000000\n    size: 0x1000\n"
            "b: Memory.MappedMemory @ sysbus 0x20000800\n    size: 0x1000\n",
            "reaches into",
        ),
    ],
)
def test_the_checker_finds_faults(broken: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        repl.check(broken)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("    nvic: nvic", "    nvic: nvicx", "nvic is nvicx"),
        ("    nvic: nvic", "    nvic: ram", "nvic is ram"),
        ("PerformanceInMips: 64", "PerformanceInMips: banana", "PerformanceInMips is banana"),
        ("easyDMA: true", "easyDMA: yes", "easyDMA is yes"),
        ("size: 0x40000", "size: 0x40000 }", "size is 0x40000 }"),
        ("size: 0x40000", "size: 0x0", "size is 0x0"),
        ("size: 0x40000", "size: 0xFFFFFFFFFF", "size is 0xFFFFFFFFFF"),
        ("size: 0x40000", "size: 0xF0000000", "ram: 0x20000000 to"),
        ("PerformanceInMips: 64", "PerformanceInMips: 0", "PerformanceInMips is 0"),
        ("PerformanceInMips: 64", "PerformanceInMips: 99999999999", "PerformanceInMips is 9"),
        ("priorityMask: 0xF0", "priorityMask: 0xF00", "priorityMask is 0xF00"),
        ("0xE0001000", "0xE0005000", "dwt: at 0xe0005000"),
        ("0xE000E000", "0xE000F000", "nvic: at 0xe000f000"),
        ("0x20000000", "0x20000001", "ram: 0x20000001 to"),
        ("_UART @ sysbus 0x40002000", "_UART @ sysbus", "uart0: at None"),
        ("CPU.CortexM @ sysbus", "CPU.CortexM @ sysbus 0x20000000", "cpu: at"),
        ("IRQ -> cpu@0", "IRQ -> ram@0", r"nvic: leads to \['ram'\]"),
        ("    IRQ -> cpu@0\n", "", r"nvic: leads to \[\]"),
        ('"cortex-m4"', "cortex-m4", "cpuType is cortex-m4"),
        ('"cortex-m4"', '"esp32"', "a CPU.CortexM is no esp32"),
    ],
)
def test_the_checker_finds_one_wrong_word_in_a_sound_platform(right: str, wrong: str, message: str) -> None:
    text = platform_text(load_board("nano33"))
    assert text.count(right)
    with pytest.raises(AssertionError, match=message):
        repl.check(text.replace(right, wrong, 1))


def with_steps(name: str, *steps: RegisterStep) -> Board:
    """A board whose console has this set-up."""
    board = load_board(name)
    return replace(board, console=msgspec.structs.replace(board.console, setup=steps))


def test_exactly_the_registers_of_the_set_up_are_memory() -> None:
    addresses = (0x4000_1010, 0x4000_1004, 0x4000_1008, 0x4000_1004, 0x4000_1100)
    board = with_steps("nano33", *(RegisterStep(address, f"R{address:X}", set=1) for address in addresses))
    blocks = register_blocks(board)
    spans = [(b.span.begin, b.span.size_bytes) for b in blocks]
    assert spans == [(0x4000_1004, 8), (0x4000_1010, 4), (0x4000_1100, 4)]
    assert blocks[0].whys == ("R40001004", "R40001008")


def test_registers_that_uart_and_core_answer_get_no_memory() -> None:
    answered = (0x4000_2508, 0xE000_ED14, 0xE000_EDFC, 0xE000_1000)
    board = with_steps("nano33", *(RegisterStep(a, "R", wait_set=1) for a in (*answered, 0x4000_3000)))
    entries = repl.check(platform_text(board))
    assert [e.origin for e in entries if e.type == "Memory.ArrayMemory"] == [0x4000_3000]
    assert start_commands(board) == ("sysbus WriteDoubleWord 0x40003000 0x1",)


def test_a_block_does_not_reach_over_the_uart_between_two_registers() -> None:
    board = with_steps("nano33", RegisterStep(0x4000_1FFC, "below", set=1), RegisterStep(0x4000_3000, "above", set=1))
    assert [b.span.begin for b in register_blocks(board)] == [0x4000_1FFC, 0x4000_3000]
    repl.check(platform_text(board))


def test_every_bit_that_two_steps_wait_for_in_one_register_is_set() -> None:
    steps = [RegisterStep(0x4000_0100, "R", wait_set=bits) for bits in (1, 4)]
    assert start_commands(with_steps("nano33", *steps)) == ("sysbus WriteDoubleWord 0x40000100 0x5",)


def test_the_vector_table_is_named_where_ram_lies_below_flash() -> None:
    board = load_board("nano33")
    assert not any("VectorTableOffset" in command for command in start_commands(board))
    below = Memory(name="ccm", kind=MemoryKind.RAM, origin=0, size_bytes=0x1000)
    board = replace(board, memories=(*board.memories, below))
    assert "sysbus.cpu VectorTableOffset 0x10000" in start_commands(board)
    assert (
        "    ...                       sysbus.cpu VectorTableOffset 0x10000"
        in renode_files(board, EXPECTED)["renode/model.robot"]
    )


ODD = """\
title = "{title}"
chip = "none"
target = "{target}"
clock_hz = 64_000_000
memories = [
    {{ name = "{memory}", kind = "flash", origin = 0x0, size_bytes = 0x10_0000 }},
    {{ name = "memory_cpu", kind = "ram", origin = 0x2000_0000, size_bytes = 0x1_0000 }},
    {{ name = "_low", kind = "ram", origin = 0x0200_0000, size_bytes = 0x1000 }},
]
[console]
uart = "pl011"
name = "{console}"
base = 0x4003_4000
clock_hz = 12_000_000
setup = [{{ address = 0x4000_0000, set = 1, why = "{why}" }}]
[emulation]
renode_cpu = "{cpu}"
renode_uart = "UART.PL011"
"""
PLAIN = {"title": "T", "target": "cortex-m4f", "memory": "flash", "console": "uart0", "why": "R", "cpu": "cortex-m4"}


@pytest.mark.parametrize("file", ["mine.toml", "my board.toml", "ein {Brett}; #2.toml", "${ELF}.toml"])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"memory": "cpu"},
        {"memory": "nvic", "console": "dwt"},
        {"memory": "uart0"},
        {"memory": "using", "console": "init"},
        {"memory": "registers_40000000"},
        {"console": "registers_40000000"},
        {"console": "sysbus"},
        {"title": "it'''s // {a} \u007e board; */ #1"},
        {"why": "R: '''quoted'''"},
        {"target": "rv32imc", "cpu": "rv32imc_zicsr"},
        {"target": "rv32imc", "cpu": "rv32imc_zicsr", "memory": "clint"},
    ],
    ids=str,
)
def test_odd_names_and_texts_make_sound_files(odd: dict[str, str], file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(ODD.format(**{**PLAIN, **odd}), encoding="utf-8")
    files = renode_files(load_board(str(tmp_path / file)), EXPECTED)
    (platform,) = (path for path in files if path.endswith(".repl"))
    assert re.fullmatch(r"renode/[A-Za-z0-9_.-]+\.repl", platform)
    entries = repl.check(files[platform])
    assert [e.type for e in entries].count("Memory.MappedMemory") == 3
    (uart,) = (e.name for e in entries if e.type.startswith("UART."))
    assert f"sysbus.{uart} " in files["renode/model.robot"] and f"sysbus.{uart}\n" in files["renode/model.resc"]
    assert f"$ORIGIN/{Path(platform).name}\n" in files["renode/model.resc"]
    assert dry_run(files, tmp_path) == 0


def test_a_uart_whose_registers_reach_into_a_memory_is_refused_by_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(ODD.format(**PLAIN).replace("base = 0x4003_4000", "base = 0x1FFF_F800"), encoding="utf-8")
    with pytest.raises(BoardError, match=r"console\.base is 0x1ffff800.* UART\.PL011 takes 0x1000 bytes"):
        platform_text(load_board(str(path)))


def test_sizes_on_the_bus_are_those_that_the_checker_knows() -> None:
    assert {kind: size for kind, (_, size) in repl.KNOWN.items() if kind.startswith("UART.")} == UART_BYTES


def dry_run(files: dict[str, str], folder: Path) -> int:
    """Robot's verdict on the test in these files: 0 when it reads, and calls keywords as they are."""
    running = pytest.importorskip("robot.running", reason='pip install "tinygen[dev]"')
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    suite = running.TestSuite.from_file_system(str(folder / "renode" / "model.robot"))
    suite.resource.imports.library(str(STUB))  # renode-test imports its keywords likewise
    assert len(suite.tests) == 1
    return int(suite.run(dryrun=True, output=None, stdout=None).return_code)


@pytest.mark.parametrize("name", BOARDS)
def test_the_robot_test_parses_and_calls_known_keywords(name: str, tmp_path: Path) -> None:
    assert dry_run(renode_files(load_board(name), EXPECTED), tmp_path) == 0


@pytest.mark.parametrize(
    ("right", "wrong"), [("Start Emulation", "Start It"), ("Create Log Tester         0", "Create Log Tester")]
)
def test_a_misspelt_keyword_or_a_missing_argument_fails_the_dry_run(right: str, wrong: str, tmp_path: Path) -> None:
    files = renode_files(load_board("nano33"), EXPECTED)
    files["renode/model.robot"] = files["renode/model.robot"].replace(right, wrong)
    assert dry_run(files, tmp_path) == 1


@pytest.mark.parametrize("name", STOCK)
def test_renodes_own_platform_takes_the_place_of_ours(name: str, tmp_path: Path) -> None:
    assert len(STOCK) == 3
    files = renode_files(load_board(name), EXPECTED, RenodePlatform.STOCK)
    assert set(files) == {"renode/model.resc", "renode/model.robot"}
    assert f"LoadPlatformDescription @{load_board(name).emulation.renode_platform}" in files["renode/model.resc"]
    assert dry_run(files, tmp_path) == 0


@pytest.mark.parametrize("name", STOCK)
def test_the_cycle_counter_that_renodes_own_platforms_lack_is_added_as_in_ours(name: str) -> None:
    (ours,) = (e for e in repl.check(platform_text(load_board(name))) if e.type == "Miscellaneous.DWT")
    files = renode_files(load_board(name), EXPECTED, RenodePlatform.STOCK)
    mips = int(ours.properties["frequency"]) // 1_000_000
    for text in files.values():
        assert f'"dwt: Miscellaneous.DWT @ sysbus 0xE0001000 {{ frequency: {mips}000000 }}"' in text
        assert f"sysbus.cpu PerformanceInMips {mips}\n" in text


def test_the_script_says_where_its_firmware_comes_from() -> None:
    lines = renode_files(load_board("nano33"), replace(EXPECTED, inputs=3))["renode/model.resc"].splitlines()
    elf = lines.index("$elf?=$ORIGIN/model.elf")
    assert "`tinygen build --self-test 3`" in lines[elf - 2] and lines[elf - 2].startswith("# model.elf ")
    assert lines[elf - 1] == "# renode -e '$elf=@path/to/firmware.elf' -e 'include @model.resc'"


def test_a_board_that_renode_does_not_have_is_refused_with_what_to_do() -> None:
    with pytest.raises(BoardError, match="pico: its description names no platform file of Renode's own"):
        renode_files(load_board("pico"), EXPECTED, RenodePlatform.STOCK)


def test_a_board_without_renodes_ids_is_refused_by_key(tmp_path: Path) -> None:
    board: Board = load_board("pico")
    text = (Path(__file__).parents[2] / "boards" / "pico.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('renode_cpu = "cortex-m0+"\n', ""), encoding="utf-8")
    assert board.emulation.renode_cpu
    with pytest.raises(BoardError, match=r"mine: .*renode_cpu"):
        platform_text(load_board(str(path)))
