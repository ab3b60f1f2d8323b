"""What `tinygen validate --emulator renode` makes of what Renode told, without building or running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tinygen.boards import load_board
from tinygen.cli import main
from tinygen.emulate.renode import RenodeRun
from tinygen.toolchain import Build, Firmware, Platform
from tinygen.validate import in_renode

GESTURE = str(ROOT / "examples" / "gesture" / "gesture.tflite")
BOARD = "pico"
PASS = "TINYGEN PASS gesture inputs=3 layers=13"


class Renode:
    """Takes the place of compiler and emulator: gives one result and keeps the time that it was granted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.result = RenodeRun((PASS,), True, 1234, "1.16.1")
        self.timeout_s = 0.0
        firmware = Firmware(
            Path("gesture.elf"), load_board(BOARD), Build.VALIDATION, "gcc", "gesture", Platform.SELF_TEST
        )
        monkeypatch.setattr(in_renode, "find_renode", lambda named: Path("renode"))
        monkeypatch.setattr(in_renode, "build_selftest", lambda *arguments: firmware)
        monkeypatch.setattr(in_renode, "run_renode", self.run)

    def run(self, *arguments: object, timeout_s: float) -> RenodeRun:
        self.timeout_s = timeout_s
        return self.result


@pytest.fixture
def renode(monkeypatch: pytest.MonkeyPatch) -> Renode:
    return Renode(monkeypatch)


def validate(*options: str) -> int:
    return main(["validate", GESTURE, "--board", BOARD, "--emulator", "renode", "--inputs", "0", *options])


@pytest.mark.parametrize(
    ("instructions", "count"), [(1234, "1,234"), (None, "not counted by this emulator")], ids=["counted", "not counted"]
)
def test_the_note_about_instructions_stands_where_they_were_counted(
    instructions: int | None, count: str, renode: Renode, capsys: pytest.CaptureFixture[str]
) -> None:
    renode.result = RenodeRun((PASS,), True, instructions, "1.16.1")
    assert validate() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"instructions {count}" in out and "CRC-32" in out
    assert ("instructions include the hook after each step" in out) == (instructions is not None)


def test_a_pass_of_another_self_test_says_what_was_wanted(renode: Renode, capsys: pytest.CaptureFixture[str]) -> None:
    renode.result = RenodeRun((PASS.replace("inputs=3", "inputs=9"),), True, 1234, "1.16.1")
    assert validate() == 1
    error = " ".join(capsys.readouterr().err.split())
    assert f"another self-test than the one that was built; the last line wanted is: {PASS}." in error
    assert "differs" not in error and error.endswith("TINYGEN PASS gesture inputs=9 layers=13")


def test_a_timeout_is_for_renode_too(renode: Renode, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate() == 0 and renode.timeout_s == 600
    assert validate("--timeout", "1800") == 0 and renode.timeout_s == 1800
    assert validate("--timeout", "1800", "--emulator", "unicorn") == 2
    assert "--port or for --emulator renode" in " ".join(capsys.readouterr().err.split())
