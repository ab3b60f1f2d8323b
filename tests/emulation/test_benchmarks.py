"""`benchmarks/run.py` prints a row a model, with ratios where another engine's figures are known."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.paths import EXAMPLES, ROOT, shared_model

SCRIPT = str(ROOT / "benchmarks" / "run.py")
GESTURE = str(EXAMPLES[1])


def run(*arguments: str) -> str:
    """Standard output of the script, which must succeed."""
    done = subprocess.run((sys.executable, SCRIPT, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_row_has_ours_theirs_and_the_ratio() -> None:
    model = shared_model("tflm_hello_world")
    (row,) = json.loads(run(str(model), "--json"))
    assert row["equal"] is True and row["problem"] is None
    for key in ("instructions", "arena_bytes", "flash_bytes"):
        assert row[f"ratio_{key}"] == pytest.approx(row[f"anchor_{key}"] / row[key], abs=1e-3)


def test_the_table_has_a_dash_where_nothing_is_known() -> None:
    lines = run(GESTURE, "--fast").splitlines()
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells[:3] == ["gesture", "-", "277,160"] and cells[4:6] == ["-", "-"]
    assert len(cells) == len(lines[-3].strip("|").split("|"))


def test_a_model_that_does_not_fit_is_no_row_but_a_sentence() -> None:
    assert "does not fit" in run(str(EXAMPLES[2]), "--board", "microbit", "--fast")
