"""Builds firmware, runs `renode-test`, reads what its suites tell, and says whether each case is as it should be."""

from __future__ import annotations

import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.renode.matrix import EXPORTED, MARK, STOCK, Case, build_cases
from tinygen import TinygenError
from tinygen.emulate.qemu import kill
from tinygen.emulate.renode import counted
from tinygen.errors import DoesNotFitError

TEST_SECONDS = 40
"""Real time for a test: about 2 billion instructions."""
VIRTUAL_SECONDS = 60
SUITE_SECONDS = 600.0
SHOWN_LINES = 12

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TOLD = re.compile(rf"{MARK} (\S+) (line|log) (.*)")
_STARTED = re.compile(r"\+{5} Starting test '[^.']*\.(.*)'")
_FINISHED = re.compile(r"\+{5} Finished test '[^.']*\.(.*)' in ([0-9.]+) seconds with status (\w+)")
_STATUS = {"OK": "PASS", "failed": "FAIL"}
"""Robot's word for renode-test's; what is in neither, such as a skipped test, is no pass."""


@dataclass(frozen=True)
class Outcome:
    """One line of the report: ok, FAIL, or `-` where the model does not fit the board."""

    name: str
    mark: str
    text: str

    def line(self) -> str:
        return f"{self.mark:5} {self.name:40} {self.text}"


@dataclass
class Seen:
    """What a case's test told: the decisive line, the log's two counts, and how Robot judged it."""

    line: str = ""
    log: str = ""
    status: str = ""
    message: str = ""
    seconds: str = ""
    is_started: bool = False


@dataclass
class Observations:
    """All tests of a run, and the end of what renode-test printed."""

    tests: dict[str, Seen] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)

    def ended(self) -> str:
        """What renode-test printed last."""
        return "renode-test ended with:\n" + "\n".join(f"  {line}" for line in self.tail)

    def of(self, name: str, reports: dict[str, Seen]) -> Seen:
        """A test with what Robot's report adds; what has no report was not run, or was seen and is judged by that."""
        seen = self.tests.setdefault(name, Seen())
        report = reports.get(name)
        if report is not None:
            seen.status, seen.message = report.status, report.message
        elif seen.status:
            seen.message = f"Robot left no report that says why; {self.ended()}"
        else:
            seen.status = "FAIL"
            seen.message = f"the test did not {'end' if seen.is_started else 'run'}; {self.ended()}"
        return seen

    def ran_any(self) -> bool:
        """Whether a test was seen to start."""
        return any(seen.is_started for seen in self.tests.values())


def build(pair: tuple[str, Path], folder: Path) -> tuple[Case, ...] | Outcome:
    """The cases of a board and a model, or why there are none."""
    board, model = pair
    name = f"{board}/{model.stem}"
    try:
        return build_cases(board, model, folder)
    except DoesNotFitError as error:
        return Outcome(f"{name}/build", "-", str(error).partition(". ")[0])
    except TinygenError as error:
        return Outcome(f"{name}/build", "FAIL", str(error))


def run_renode_test(
    program: Path, suites: Sequence[Path], results: Path, on_pass: Callable[[str, Seen], None]
) -> Observations:
    """Runs suites in one Renode; `on_pass` is called with every test that Robot passed, as it ends.

    `results` is made, and gets Robot's reports. Its path may hold no space: a packaged renode-test appends
    `-r $(pwd)`, unquoted, to what it is given, so that the working folder is the only one that it ever writes into.
    """
    assert not re.search(r"\s", str(results)), results
    results.mkdir(parents=True)
    command = [str(program.absolute()), "-r", str(results.absolute()), "--test-timeout", str(TEST_SECONDS)]
    # what Renode's own teardown would save of a failed test takes longer than the test
    command += ["--variable", f"TIMEOUT:{VIRTUAL_SECONDS}", "--variable", "CREATE_SNAPSHOT_ON_FAIL:False"]
    command += [str(suite.absolute()) for suite in suites]
    seen = Observations()
    try:
        process = subprocess.Popen(
            command,
            cwd=results,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # it starts Renode
        )
    except OSError as error:
        seen.tail.append(f"{program}: {error.strerror}")
        return seen
    timer = threading.Timer(SUITE_SECONDS, kill, [process])
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            _take(_COLOURS.sub("", line).rstrip(), seen, on_pass)
        process.wait()
    finally:
        timer.cancel()
        kill(process)
    return seen


def _take(line: str, seen: Observations, on_pass: Callable[[str, Seen], None]) -> None:
    """One line of renode-test's output."""
    if line:
        seen.tail = [*seen.tail, line][-SHOWN_LINES:]
    if told := _TOLD.search(line):
        test = seen.tests.setdefault(told[1], Seen())
        if told[2] == "line":
            test.line = told[3]
        else:
            test.log += f"{told[3]}\n"
    elif started := _STARTED.search(line):
        seen.tests.setdefault(started[1], Seen()).is_started = True
    elif finished := _FINISHED.search(line):
        test = seen.tests.setdefault(finished[1], Seen())
        test.seconds, test.status = finished[2], _STATUS.get(finished[3], "FAIL")
        if test.status == "PASS":
            on_pass(finished[1], test)


def read_reports(results: Path) -> dict[str, Seen]:
    """Status and message of each test in Robot's own report."""
    found = {}
    for path in sorted(results.rglob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError:
            continue  # cut short when renode-test was ended
        for test in root.iter("test"):
            status = test.find("status")
            if status is not None:
                found[test.get("name", "")] = Seen(status=status.get("status", ""), message=(status.text or "").strip())
    return found


def judge(case: Case, seen: Seen) -> Outcome:
    """Whether a test of a case saw what it should."""
    after = f", {seen.seconds} s" if seen.seconds else ""
    if seen.status != "PASS":
        told = f"{seen.line}; wanted {case.wanted}; " if seen.line else ""
        return Outcome(case.name, "FAIL", f"{told}{seen.message or 'Robot says nothing more'}")
    if case.kind in (EXPORTED, STOCK):
        return Outcome(case.name, "ok", f"{case.wanted}{after}")
    if not case.is_counted:
        return Outcome(case.name, "ok", f"{seen.line}{after}")
    return count_outcome(case, seen.line, counted(seen.log), after)


def count_outcome(case: Case, line: str, instructions: int | None, after: str) -> Outcome:
    """A right case that passed is ok when Renode counted as many instructions as Unicorn, where that counts any."""
    good = case.unicorn_instructions in (None, instructions)
    unicorn = "" if case.unicorn_instructions is None else f", Unicorn {case.unicorn_instructions}"
    return Outcome(case.name, "ok" if good else "FAIL", f"{line}, {instructions} instructions{unicorn}{after}")
