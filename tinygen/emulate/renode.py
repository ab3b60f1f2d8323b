"""Runs a self-test firmware in Renode, headless: its console's lines, and the exact instructions of one inference.

Renode is in no package registry, so it is found on the PATH or named. Its exit code says nothing (0 whatever happened),
so only what the firmware printed counts. An access outside every memory is only a line in Renode's log: it is an error
here. Virtual time is bounded by the script, real time by us.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygen.boards import Board
from tinygen.emulate.symbols import read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.toolchain import Firmware, Tool

NAME = "renode"
PROGRAMS = ("renode", "renode-test")
INSTALL = (
    "unpack the portable release from github.com/renode/renode/releases and put it on the PATH, or name it: "
    "--renode /path/to/renode"
)
OLDEST = (1, 14)
OLDEST_FOR = {
    "UART.ESP32_UART": (1, 16),
    "cortex-m55": (1, 16, 1),
    "esp32": (1, 16),
    "esp32s3": (1, 16),
}
"""The first release with a core or a UART model."""

VIRTUAL_SECONDS = 120
BEGIN, END = "tinygen_mark_begin", "tinygen_mark_end"
STRAY = "non existing peripheral"
LAST_LINE = re.compile(r"^TINYGEN (PASS|FAIL) ", re.MULTILINE)
SHOWN_LINES = 8
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class RenodeRun:
    """What the console printed, and the instructions of the last inference, None where they were not counted."""

    lines: tuple[str, ...]
    instructions: int | None
    version: str


def find_renode(named: str | None = None) -> Path:
    """Renode's program: the named one, else from the PATH. Raises ToolError that says how to install it."""
    if named:
        path = shutil.which(named)
        if path is None:
            raise ToolError(f"--renode {named}: this is no program that can be run. {INSTALL[0].upper()}{INSTALL[1:]}.")
        return _beside(Path(path))
    for program in PROGRAMS:
        path = shutil.which(program)
        if path:
            return _beside(Path(path))
    raise ToolError(f"Renode is not installed: {INSTALL}.")


def _beside(path: Path) -> Path:
    """`renode` where `renode-test` was found: they lie in one folder."""
    if path.name.startswith("renode-test"):
        sibling = path.with_name("renode")
        return sibling if sibling.exists() else path
    return path


def survey() -> tuple[Tool, ...]:
    """Renode, found or not."""
    try:
        path = find_renode()
        version: str | None = ".".join(map(str, _version(path)))
    except ToolError:
        path, version = Path(), None
    return (Tool(NAME, version, str(path) if version else "", "runs the self-test on whole boards", INSTALL),)


def run_renode(
    firmware: Firmware, files: Mapping[str, str], renode: Path, directory: Path, *, timeout_s: float
) -> RenodeRun:
    """Run a self-test firmware; `files` are the board's platform file and others that the script needs.

    Raises ToolError when Renode is too old, EmulatorError when the firmware printed no last line in time, or touched
    addresses that nothing answers.
    """
    board = firmware.board
    version = _version(renode)
    _check_version(board, version)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    shutil.copyfile(firmware.elf, directory / "selftest.elf")
    (directory / "run.resc").write_text(batch_script(firmware), encoding="utf-8", newline="\n")
    console, log = directory / "console.txt", directory / "renode.log"
    command = [str(renode), "--disable-gui", "--console", "--plain", "run.resc"]
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise ToolError(f"{renode}: cannot be started: {error.strerror}.") from error
        try:
            _wait(process, console, time.monotonic() + timeout_s)
        finally:
            process.kill()
            process.wait()
    return _result(firmware, console, log, ".".join(map(str, version)), timeout_s)


def batch_script(firmware: Firmware) -> str:
    """The Monitor's commands for one run that ends by itself."""
    board = firmware.board
    symbols = read_image(firmware.elf).symbols
    hooks = [
        f"cpu AddHook 0x{symbols[name] & ~1:X} \"self.Log(LogLevel.Info, '{name} ' + str(self.ExecutedInstructions))\""
        for name in (BEGIN, END)
        if name in symbols
    ]
    uart = board.console.name or "uart0"
    return "\n".join(
        [
            "using sysbus",
            f'mach create "{board.name}"',
            f"machine LoadPlatformDescription $ORIGIN/{board.name}.repl",
            *(
                f"sysbus WriteDoubleWord 0x{step.address:08X} 0x{step.wait_set:X}"
                for step in board.console.setup
                if step.wait_set
            ),
            "sysbus LoadELF $ORIGIN/selftest.elf",
            f"{uart} CreateFileBackend $ORIGIN/console.txt true",
            *hooks,
            f'emulation RunFor "{VIRTUAL_SECONDS}"',
            "quit",
            "",
        ]
    )


def _wait(process: subprocess.Popen[bytes], console: Path, deadline: float) -> None:
    """Until the console's last line, the end of Renode, or the deadline."""
    while process.poll() is None and time.monotonic() < deadline:
        if LAST_LINE.search(_text(console)):
            time.sleep(POLL_S)  # what Renode logs about the same moment
            return
        time.sleep(POLL_S)


def _result(firmware: Firmware, console: Path, log: Path, version: str, timeout_s: float) -> RenodeRun:
    printed, logged = _text(console), _text(log)
    stray = [line for line in logged.splitlines() if STRAY in line]
    if stray:
        raise EmulatorError(
            f"renode: the firmware touched an address that nothing answers on board {firmware.board.name}: {stray[0]}"
        )
    if not LAST_LINE.search(printed):
        tail = "\n".join(f"  {line}" for line in logged.splitlines()[-SHOWN_LINES:])
        raise EmulatorError(
            f"renode: the self-test printed no result within {VIRTUAL_SECONDS} virtual and {timeout_s:g} real seconds. "
            f"Console: {printed.strip()[-200:] or 'nothing'!r}. The end of Renode's log:\n{tail}"
        )
    return RenodeRun(tuple(line.strip() for line in printed.splitlines() if line.strip()), _counted(logged), version)


def _counted(logged: str) -> int | None:
    """Instructions between the last pair of marks."""
    counts = {mark: [int(n) for n in re.findall(rf"{mark} (\d+)", logged)] for mark in (BEGIN, END)}
    if not counts[BEGIN] or len(counts[BEGIN]) != len(counts[END]):
        return None
    return counts[END][-1] - counts[BEGIN][-1]


def _version(renode: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [str(renode), "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{renode}: it does not tell its version: {error}.") from error
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout + done.stderr)
    if not found:
        raise ToolError(f"{renode}: it does not tell its version. Is this Renode? {INSTALL[0].upper()}{INSTALL[1:]}.")
    return tuple(int(part) for part in found.groups() if part is not None)


def _check_version(board: Board, version: Sequence[int]) -> None:
    models = (board.emulation.renode_cpu, board.emulation.renode_uart)
    needs = max([OLDEST, *(OLDEST_FOR[model] for model in models if model in OLDEST_FOR)])
    if tuple(version) < needs:
        raise ToolError(
            f"Renode {'.'.join(map(str, version))} is too old for board {board.name}: "
            f"{'.'.join(map(str, needs))} is needed. {INSTALL[0].upper()}{INSTALL[1:]}."
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").replace("\r", "") if path.exists() else ""
