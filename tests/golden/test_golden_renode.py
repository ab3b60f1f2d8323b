"""Renode's files of every real board are as they were. On purpose? python -m tests.golden.test_golden_renode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinygen.boards import board_names, load_board
from tinygen.export.renode import Expected, renode_files

FOLDER = Path(__file__).parent / "renode"
EXPECTED = Expected("model", inputs=1, layers=14)
EMULATORS_OWN = ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
BOARDS = tuple(name for name in board_names() if name not in EMULATORS_OWN)


def generated(name: str) -> dict[str, str]:
    """The three files of a board, without their folder."""
    return {Path(path).name: text for path, text in renode_files(load_board(name), EXPECTED).items()}


@pytest.mark.parametrize("name", BOARDS)
def test_renode_files_are_unchanged(name: str) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / name).iterdir())}
    assert generated(name) == kept, "on purpose? python -m tests.golden.test_golden_renode writes the new text"


def renew() -> None:
    """Write what is generated now."""
    for name in BOARDS:
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        for file, text in generated(name).items():
            (FOLDER / name / file).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    renew()
