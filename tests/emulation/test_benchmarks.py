"""`benchmarks/run.py` prints a row a model, with ratios where another engine's figures are known."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.paths import EXAMPLES, ROOT, shared_model
from tinygen import compile_model, load_board, profile, read_model

SCRIPT = str(ROOT / "benchmarks" / "run.py")
GESTURE = str(EXAMPLES[1])


def run(*arguments: str) -> str:
    """Standard output of the script, which must succeed."""
    done = subprocess.run((sys.executable, SCRIPT, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_mode_has_ours_the_ratio_to_theirs_and_whether_the_bar_is_met() -> None:
    model = shared_model("mlperf_ad")
    (row,) = json.loads(run(str(model), "--json"))
    assert row["problem"] is None and row["macs"] == 264_192
    for mode in ("balanced", "speed"):
        measured = row[mode]
        assert measured["equal"] is True
        for key in ("instructions", "arena_bytes", "flash_bytes"):
            assert measured[f"ratio_{key}"] == pytest.approx(row["anchor"][key] / measured[key], abs=1e-3)
            bar = measured[f"bar_{key}"]
            assert measured[f"met_{key}"] == (None if bar is None else measured[key] <= bar)
    assert (row["balanced"]["bar_instructions"], row["speed"]["bar_instructions"]) == (255_000, 240_000)


def test_the_instructions_are_those_of_profile() -> None:
    (row,) = json.loads(run(GESTURE, "--fast", "--json", "--optimize", "balanced"))
    measured = profile(compile_model(read_model(GESTURE), load_board("nano33")))
    assert row["balanced"]["instructions"] == measured.instructions
    assert row["balanced"]["stack_bytes"] == measured.stack_bytes
    assert "speed" not in row


def test_the_table_has_a_dash_where_nothing_is_known() -> None:
    lines = run(GESTURE, "--fast").splitlines()
    heads, cells = ([cell.strip() for cell in lines[at].strip("|").split("|")] for at in (-3, -1))
    assert len(cells) == len(heads)
    assert cells[:4] == ["gesture", "-", "277,160", "-"]
    assert [cell for head, cell in zip(heads, cells, strict=True) if head in ("bar", "×", "anchor")] == ["-"] * 10


def test_bars_are_of_cortex_m4_alone() -> None:
    (row,) = json.loads(run(str(shared_model("mlperf_ad")), "--fast", "--json", "--board", "nucleo-u575zi"))
    assert row["balanced"]["bar_instructions"] is None and row["balanced"]["instructions"] > 0


def test_a_model_that_does_not_fit_is_no_row_but_a_sentence() -> None:
    assert "does not fit" in run(str(shared_model("mlperf_vww")), "--board", "microbit", "--fast")
