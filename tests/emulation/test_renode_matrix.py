"""`tests/renode/run`, the matrix for a real Renode, with programs in Renode's place that play its parts in Unicorn."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.renode.matrix import MODELS, Case, build_cases, exported_suite, suite_text
from tests.renode.outcomes import Outcome, Seen, judge, read_reports, run_renode_test
from tests.support import fake_renode
from tests.support.paths import ROOT
from tinygen import load_board
from tinygen.errors import ToolError
from tinygen.toolchain import find_toolchain

pytest.importorskip("robot", reason='pip install "tinygen[dev]"')


def run(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of the script."""
    command = [sys.executable, str(ROOT / "tests" / "renode" / "run"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Case, ...]]:
    """The two cases of a small model, and their folder."""
    folder = tmp_path_factory.mktemp("cases")
    try:
        return folder, build_cases("nano33", MODELS[1], folder)
    except ToolError as missing:
        pytest.skip(str(missing))


def outcomes_of(folder: Path, run_cases: list[Case], number: int) -> dict[str, Outcome]:
    """What a suite of these cases comes to."""
    suite = folder / f"suite_{number}.robot"
    suite.write_text(suite_text(run_cases), encoding="utf-8")
    fake_renode.install(folder)
    results = folder / f"results_{number}"
    seen = run_renode_test(folder / "renode-test", [suite], results, lambda name, test: None)
    reports = read_reports(results)
    return {case.name: judge(case, seen.of(case.name, reports)) for case in run_cases}


@pytest.mark.parametrize("board", ["nano33", "esp32c3"])
def test_every_case_of_a_board_has_a_line_and_passes(board: str, tmp_path: Path) -> None:
    try:
        find_toolchain(load_board(board).target)
    except ToolError as missing:
        pytest.skip(str(missing))
    working = tmp_path / "with space"
    working.mkdir()
    code, out, err = run("--renode", str(fake_renode.install(tmp_path)), "--stock", board, cwd=working)
    assert not list(working.iterdir())
    lines = [line.split(maxsplit=2) for line in out.splitlines() if line.startswith(("ok ", "FAIL "))]
    assert code == 0, out + err
    kinds = [name.rpartition("/")[2] for _, name, _ in lines]
    assert kinds.count("right") == kinds.count("flipped") == len(MODELS)
    assert kinds.count("exported") == kinds.count("script") == 1
    assert kinds.count("stock") == bool(load_board(board).emulation.renode_platform)
    for mark, name, text in lines:
        assert mark == "ok"
        if name.endswith(("right", "script")):
            renode, unicorn = (part.split()[-1] for part in text.replace(" instructions", "").split(", ")[1:3])
            assert int(renode) == int(unicorn) > 100_000
        assert ("TINYGEN DIFFER" if name.endswith("flipped") else "TINYGEN PASS") in text


def test_an_unknown_board_is_told_in_a_sentence(tmp_path: Path) -> None:
    code, out, err = run("--renode", str(fake_renode.install(tmp_path)), "nosuch")
    assert (code, out) == (2, "")
    assert err.startswith("error: board 'nosuch' is unknown.") and "Traceback" not in err


def test_without_renode_the_script_says_how_to_install_it() -> None:
    code, _, err = run("--renode", "/no/such", "nano33")
    assert code == 2
    assert "Unpack the portable release" in err and "Traceback" not in err


def test_a_renode_test_that_does_not_start_is_told_and_one_renode_a_case_runs_instead(tmp_path: Path) -> None:
    try:
        find_toolchain(load_board("nano33").target)
    except ToolError as missing:
        pytest.skip(str(missing))
    program = fake_renode.install(tmp_path)
    (tmp_path / "renode-test").write_text("#!/bin/sh\necho Please install required dependencies\nexit 1\n")
    code, out, _ = run("--renode", str(program), "--jobs", "1", "nano33")
    assert code == 1
    assert "it ran nothing" in out and "  Please install required dependencies" in out
    assert out.count("\nok ") == 2 * len(MODELS) + 1 and out.count("FAIL ") == 1


def test_failures_say_what_was_seen_and_what_was_wanted(cases: tuple[Path, tuple[Case, ...]]) -> None:
    folder, (right, flipped) = cases
    run_cases = [
        right,
        flipped,
        replace(right, kind="other-count", unicorn_instructions=5),
        replace(right, kind="other-line", wanted="TINYGEN PASS gesture inputs=9 layers=9"),
        replace(flipped, kind="other-layer", wanted="TINYGEN DIFFER gesture input=0 layer=99 op=ADD"),
        replace(right, kind="no-platform", platform="nosuch.repl"),
        replace(right, kind="no-hooks", commands=()),
    ]
    found = outcomes_of(folder, run_cases, 1)
    kinds = {name.rpartition("/")[2]: outcome for name, outcome in found.items()}
    assert [kind for kind, outcome in kinds.items() if outcome.mark == "ok"] == ["right", "flipped"]
    assert f"{right.unicorn_instructions} instructions, Unicorn 5" in kinds["other-count"].text
    assert "layers=13; wanted TINYGEN PASS gesture inputs=9 layers=9" in kinds["other-line"].text
    assert "TINYGEN DIFFER gesture constants layer=1 " in kinds["other-layer"].text
    assert "layer=99" in kinds["other-layer"].text
    assert "nosuch.repl" in kinds["no-platform"].text
    assert 'Expected pattern "tinygen run ends at" did not appear in the log' in kinds["no-hooks"].text


def test_the_command_that_the_exported_file_tells_runs_it_in_a_path_with_spaces(
    cases: tuple[Path, tuple[Case, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (right, _) = cases
    path, _ = exported_suite(right, tmp_path / "my projects")
    (command,) = re.findall(r"^renode-test .*", path.read_text(encoding="utf-8"), re.MULTILINE)
    words = shlex.split(command.replace("path/to", str(path.parent)))
    monkeypatch.setenv("PATH", f"{fake_renode.install(tmp_path).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(words, cwd=path.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unrecognized arguments" in done.stderr, "a packaged Renode in such a folder"


def test_a_weight_that_is_right_is_no_difference(cases: tuple[Path, tuple[Case, ...]]) -> None:
    folder, (right, flipped) = cases
    found = outcomes_of(folder, [replace(flipped, firmware=right.firmware)], 2)
    assert found[flipped.name].mark == "FAIL" and "TINYGEN PASS" in found[flipped.name].text


def test_a_case_that_was_not_seen_is_no_pass(cases: tuple[Path, tuple[Case, ...]]) -> None:
    _, (right, _) = cases
    assert judge(right, Seen()).mark == "FAIL"


@pytest.mark.parametrize(
    ("ends", "status", "message"),
    [
        ("", "FAIL", "the test did not run; "),
        ("echo \"+++++ Starting test 'suite.a/b/right'\"", "FAIL", "the test did not end; "),
        ("echo \"+++++ Finished test 'suite.a/b/right' in 1.00 seconds with status failed\"", "FAIL", "no report"),
        ("echo \"+++++ Finished test 'suite.a/b/right' in 1.00 seconds with status OK\"", "PASS", "no report"),
    ],
)
def test_a_test_without_report_is_judged_by_what_was_seen(ends: str, status: str, message: str, tmp_path: Path) -> None:
    program = tmp_path / "renode-test"
    program.write_text(f"#!/bin/sh\n{ends}\n")
    program.chmod(0o755)
    observed = run_renode_test(program, [], tmp_path / "results", lambda name, test: None)
    seen = observed.of("a/b/right", read_reports(tmp_path / "results"))
    assert seen.status == status and message in seen.message
