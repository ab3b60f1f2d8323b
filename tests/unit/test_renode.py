"""Renode's files: every board's platform is sound, scripts are as they were, and the Robot test reads as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.test_golden_renode import BOARDS, EXPECTED
from tests.support import repl
from tinygen.boards import Board, RegisterStep, load_board
from tinygen.errors import BoardError
from tinygen.export.renode import STOCK, RenodePlatform, platform_text, register_blocks, renode_files

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
        ("ram: Memory.MappedMemory @ sysbus 0x20000000\n    size: 0x1000\n    colour: 3\n", "unknown properties"),
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


def test_neighbouring_registers_share_a_block() -> None:
    steps = [RegisterStep(address, f"R{address:X}") for address in (0x4000_0010, 0x4000_0004, 0x4000_1000)]
    blocks = register_blocks(steps)
    assert [(b.origin, b.size_bytes) for b in blocks] == [(0x4000_0004, 0x10), (0x4000_1000, 4)]


@pytest.mark.parametrize("name", BOARDS)
def test_the_robot_test_parses_and_calls_known_keywords(name: str, tmp_path: Path) -> None:
    running = pytest.importorskip("robot.running", reason='pip install "tinygen[dev]"')
    for path, text in renode_files(load_board(name), EXPECTED).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    suite = running.TestSuite.from_file_system(str(tmp_path / "renode" / "model.robot"))
    suite.resource.imports.library(str(STUB))  # renode-test imports its keywords likewise
    result = suite.run(dryrun=True, output=None, stdout=None)
    assert result.return_code == 0
    assert len(suite.tests) == 1


def test_a_misspelt_keyword_fails_the_dry_run(tmp_path: Path) -> None:
    running = pytest.importorskip("robot.running", reason='pip install "tinygen[dev]"')
    text = renode_files(load_board("nano33"), EXPECTED)["renode/model.robot"].replace("Start Emulation", "Start It")
    (tmp_path / "model.robot").write_text(text, encoding="utf-8")
    suite = running.TestSuite.from_file_system(str(tmp_path / "model.robot"))
    suite.resource.imports.library(str(STUB))
    assert suite.run(dryrun=True, output=None, stdout=None).return_code == 1


@pytest.mark.parametrize("name", STOCK)
def test_renodes_own_platform_takes_the_place_of_ours(name: str) -> None:
    files = renode_files(load_board(name), EXPECTED, RenodePlatform.STOCK)
    assert set(files) == {"renode/model.resc", "renode/model.robot"}
    assert f"LoadPlatformDescription @{STOCK[name]}" in files["renode/model.resc"]


def test_a_board_that_renode_does_not_have_is_refused_with_what_to_do() -> None:
    with pytest.raises(BoardError, match="pico: Renode has no platform file of its own"):
        renode_files(load_board("pico"), EXPECTED, RenodePlatform.STOCK)


def test_a_board_without_renodes_ids_is_refused_by_key(tmp_path: Path) -> None:
    board: Board = load_board("pico")
    text = (Path(__file__).parents[2] / "boards" / "pico.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('renode_cpu = "cortex-m0+"\n', ""), encoding="utf-8")
    assert board.emulation.renode_cpu
    with pytest.raises(BoardError, match=r"mine: .*renode_cpu"):
        platform_text(load_board(str(path)))
