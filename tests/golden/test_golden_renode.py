"""Renode's files of every real board are as they were. On purpose? python -m tests.golden.test_golden_renode."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.renode.matrix import real_boards
from tinygen.boards import load_board
from tinygen.export.renode import Expected, renode_files

FOLDER = Path(__file__).parent / "renode"
EXPECTED = Expected("model", inputs=1, layers=14)
RENEW = "on purpose? python -m tests.golden.test_golden_renode writes what is generated now, for a new board too"


def generated(name: str) -> dict[str, str]:
    """The three files of a board, without their folder."""
    return {Path(path).name: text for path, text in renode_files(load_board(name), EXPECTED).items()}


@pytest.mark.parametrize("name", real_boards())
def test_renode_files_are_unchanged(name: str) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / name).glob("*"))}
    assert generated(name) == kept, RENEW


def test_no_files_are_kept_that_nothing_compares() -> None:
    assert {path.name for path in FOLDER.iterdir()} <= set(real_boards()), RENEW


def renew() -> None:
    """Write what is generated now, and nothing else."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in real_boards():
        (FOLDER / name).mkdir(parents=True)
        for file, text in generated(name).items():
            (FOLDER / name / file).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    renew()
