"""Runs a self-test firmware in Renode, headless: its console's lines, and the exact instructions of one inference.

Renode is in no package registry, so it is found on the PATH or named. Its exit code says nothing (0 whatever happened),
so only what the firmware printed counts. An access outside every memory is only a line in Renode's log: it is an error
here. Virtual time is bounded by the script, real time by us; who grants more of one gets more of the other.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinygen.boards import Board
from tinygen.emulate.calls import return_addresses, return_instructions
from tinygen.emulate.lines import SelfTest, Transcript
from tinygen.emulate.qemu import kill
from tinygen.emulate.symbols import read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.export.renode import REAL_SECONDS, VIRTUAL_SECONDS, platform_name, start_commands, uart_name
from tinygen.targets import Architecture
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

BEGIN, END = "tinygen run begins at", "tinygen run ends at"
"""What hooks log at the borders of the run function."""

STRAY = "non existing peripheral"
SHOWN_LINES = 8
POLL_S = 0.1
SETTLE_S = 1.0
VERSION_SECONDS = 30
SCRIPT = "run.resc"


@dataclass(frozen=True, slots=True)
class RenodeRun:
    """What the console printed, and the instructions of the last inference, None where they were not counted."""

    lines: tuple[str, ...]
    passed: bool
    instructions: int | None
    version: str


def find_renode(named: str | None = None) -> Path:
    """Renode's program: the named one, else from the PATH. Raises ToolError that says how to install it."""
    if named:
        path = shutil.which(named)
        if path is None:
            raise ToolError(f"--renode {named}: this is no program that can be run. {INSTALL[0].upper()}{INSTALL[1:]}.")
        return _beside(Path(path).resolve())
    for program in PROGRAMS:
        path = shutil.which(program)
        if path:
            return _beside(Path(path).resolve())
    raise ToolError(f"Renode is not installed: {INSTALL}.")


def _beside(path: Path) -> Path:
    """`renode` where `renode-test` was found: they lie in one folder, links followed."""
    if path.name.startswith("renode-test") and path.with_name("renode").exists():
        return path.with_name("renode")
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

    Raises ToolError when Renode is too old, EmulatorError when the firmware printed no last line in time, touched
    addresses that nothing answers, or passed without Renode having counted its instructions.
    """
    version = check_version(firmware.board, renode)
    virtual_s = math.ceil(max(1.0, timeout_s / REAL_SECONDS) * VIRTUAL_SECONDS)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    shutil.copyfile(firmware.elf, directory / "selftest.elf")
    (directory / SCRIPT).write_text(batch_script(firmware, virtual_s), encoding="utf-8", newline="\n")
    console, log = directory / "console.txt", directory / "renode.log"
    console.unlink(missing_ok=True)
    command = [str(renode), "--disable-gui", "--console", "--plain", SCRIPT]
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what is called renode may be a script that starts the real one
            )
        except OSError as error:
            raise ToolError(f"{renode}: cannot be started: {error.strerror}.") from error
        try:
            _wait(process, firmware, console, time.monotonic() + timeout_s)
            ended = process.poll()
        finally:
            kill(process)
    how = f"within {timeout_s:g} s" if ended is None else f"before Renode ended with exit code {ended}"
    how = f"{how} (it was granted {virtual_s} virtual seconds)"
    test = _result(firmware, console, log, how)
    passed = test.passed and not test.differences
    instructions = counted(_text(log)) if passed else None
    if passed and instructions is None and hook_commands(firmware):
        tail = "\n".join(f"  {line}" for line in _text(log).splitlines()[-SHOWN_LINES:])
        raise EmulatorError(
            f"renode: the self-test passed, but Renode's log has no count of instructions: its hooks at "
            f"{firmware.name}_run did not work. Is the program that was run Renode? The end of its log:\n{tail}"
        )
    return RenodeRun(test.lines, passed, instructions, ".".join(map(str, version)))


def batch_script(firmware: Firmware, virtual_s: int = VIRTUAL_SECONDS) -> str:
    """The Monitor's commands for one run that ends by itself, after these virtual seconds."""
    board = firmware.board
    return "\n".join(
        [
            "using sysbus",
            'mach create "board"',
            f"machine LoadPlatformDescription $ORIGIN/{platform_name(board)}",
            "sysbus LoadELF $ORIGIN/selftest.elf",
            *start_commands(board),
            *hook_commands(firmware),
            f"sysbus.{uart_name(board)} CreateFileBackend $ORIGIN/console.txt true",
            f'emulation RunFor "{virtual_s}"',
            "quit",
            "",
        ]
    )


def hook_commands(firmware: Firmware) -> tuple[str, ...]:
    """The Monitor's commands that log the count of instructions where the run function begins and has returned.

    A hook runs before its instruction. On Xtensa, whose calls go through registers, the last ones are at the function's
    returns, and count those. A return that has to refill registers runs twice; `counted` takes its first time.
    """
    image, function = read_image(firmware.elf), f"{firmware.name}_run"
    architecture, count = firmware.board.target.architecture, "self.ExecutedInstructions"
    ends, count_at_end = return_addresses(image, architecture, function), count
    if architecture is Architecture.XTENSA:
        ends, count_at_end = return_instructions(image, function), f"{count} + 1"
    places = [(image.symbol(function), BEGIN, count), *((at, END, count_at_end) for at in ends)] if ends else []
    return tuple(
        f"sysbus.cpu AddHook 0x{at:X} \"self.Log(LogLevel.Info, '{text} ' + str({value}))\""
        for at, text, value in places
    )


def counted(logged: str) -> int | None:
    """Instructions of the run function's last call that ended, from lines of Renode's log."""
    begin: int | None = None
    instructions: int | None = None
    for mark, count in re.findall(rf"({BEGIN}|{END}) (\d+)", logged):
        if mark == BEGIN:
            begin = int(count)
        elif begin is not None:
            instructions = int(count) - begin
            begin = None
    return instructions


def _wait(process: subprocess.Popen[bytes], firmware: Firmware, console: Path, deadline: float) -> None:
    """Until some moments after the console's last line, the end of Renode, or the deadline."""
    while process.poll() is None and time.monotonic() < deadline:
        if _transcript(firmware, console).finished:
            settled = time.monotonic() + SETTLE_S  # for what the firmware does, and Renode logs, after its last line
            while process.poll() is None and time.monotonic() < settled:
                time.sleep(POLL_S)
            return
        time.sleep(POLL_S)


def _result(firmware: Firmware, console: Path, log: Path, how: str) -> SelfTest:
    transcript, logged = _transcript(firmware, console), _text(log)
    stray = [line for line in logged.splitlines() if STRAY in line]
    if stray:
        raise EmulatorError(
            f"renode: the firmware touched an address that nothing answers on board {firmware.board.name}: {stray[0]}"
        )
    if not transcript.finished:
        tail = "\n".join(f"  {line}" for line in logged.splitlines()[-SHOWN_LINES:] or ["nothing"])
        raise EmulatorError(
            f"renode: the self-test printed no result {how}. "
            f"Console: {_text(console).strip()[-200:] or 'nothing'!r}. The end of Renode's log:\n{tail}"
        )
    return transcript.result()


def _transcript(firmware: Firmware, console: Path) -> Transcript:
    """The console's whole lines about this firmware's model."""
    transcript = Transcript(firmware.name)
    transcript.feed(console.read_bytes() if console.exists() else b"")
    return transcript


def check_version(board: Board, renode: Path) -> tuple[int, ...]:
    """Renode's version. Raises ToolError when it does not tell one, or is too old for the board."""
    version = _version(renode)
    models = (board.emulation.renode_cpu, board.emulation.renode_uart)
    needs = max([OLDEST, *(OLDEST_FOR[model] for model in models if model in OLDEST_FOR)])
    if version < needs:
        raise ToolError(
            f"Renode {'.'.join(map(str, version))} is too old for board {board.name}: "
            f"{'.'.join(map(str, needs))} is needed. {INSTALL[0].upper()}{INSTALL[1:]}."
        )
    return version


def _version(renode: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [str(renode), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ToolError(f"{renode}: it cannot be started: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{renode}: it did not tell its version within {VERSION_SECONDS} s. Is this Renode? "
            f"{INSTALL[0].upper()}{INSTALL[1:]}."
        ) from error
    found = re.search(r"Renode\D{0,20}?(\d+)\.(\d+)(?:\.(\d+))?", done.stdout + done.stderr)
    if not found:
        raise ToolError(f"{renode}: it does not tell its version. Is this Renode? {INSTALL[0].upper()}{INSTALL[1:]}.")
    return tuple(int(part) for part in found.groups() if part is not None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").replace("\r", "") if path.exists() else ""
