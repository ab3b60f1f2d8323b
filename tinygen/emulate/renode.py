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
from tinygen.emulate.lines import SelfTest, Transcript
from tinygen.emulate.qemu import kill
from tinygen.emulate.symbols import read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.export.renode import VIRTUAL_SECONDS
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
LINK_REGISTER = {Architecture.ARM_M: "LR", Architecture.RISCV32: "RA"}
"""Where a call leaves its return address. Xtensa has it in a window, and Renode's count there goes on in the halt."""

STRAY = "non existing peripheral"
SHOWN_LINES = 8
POLL_S = 0.1
SETTLE_S = 1.0
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

    A run that passes is followed by a second one, which counts the instructions of the run function's last call: its
    return address is known only then. Raises ToolError when Renode is too old, EmulatorError when the firmware printed
    no last line in time, or touched addresses that nothing answers.
    """
    version = _version(renode)
    _check_version(firmware.board, version)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    shutil.copyfile(firmware.elf, directory / "selftest.elf")
    test, logged = _run(firmware, renode, directory, None, timeout_s)
    returns = re.findall(rf"{BEGIN} \d+, called from (\d+)", logged)
    instructions = None
    passed = test.passed and not test.differences
    if returns and passed:
        _, logged = _run(firmware, renode, directory, int(returns[-1]) & ~1, timeout_s)
        instructions = _counted(logged)
    return RenodeRun(test.lines, passed, instructions, ".".join(map(str, version)))


def _run(
    firmware: Firmware, renode: Path, directory: Path, return_address: int | None, timeout_s: float
) -> tuple[SelfTest, str]:
    """One run from reset: what the self-test printed, and Renode's log."""
    (directory / SCRIPT).write_text(batch_script(firmware, return_address), encoding="utf-8", newline="\n")
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
        finally:
            kill(process)
    return _result(firmware, console, log, timeout_s)


def batch_script(firmware: Firmware, return_address: int | None) -> str:
    """The Monitor's commands for one run that ends by itself; hooks log the count at the run function's borders."""
    board = firmware.board
    entry = read_image(firmware.elf).symbol(f"{firmware.name}_run")
    register = LINK_REGISTER.get(board.target.architecture)
    hooks = []
    if register:
        hooks.append(
            (entry, f"'{BEGIN} ' + str(self.ExecutedInstructions) + ', called from ' + str(self.{register}.RawValue)")
        )
    if return_address is not None:
        hooks.append((return_address, f"'{END} ' + str(self.ExecutedInstructions)"))
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
            *(f'cpu AddHook 0x{address:X} "self.Log(LogLevel.Info, {text})"' for address, text in hooks),
            f'emulation RunFor "{VIRTUAL_SECONDS}"',
            "quit",
            "",
        ]
    )


def _wait(process: subprocess.Popen[bytes], firmware: Firmware, console: Path, deadline: float) -> None:
    """Until some moments after the console's last line, the end of Renode, or the deadline."""
    while process.poll() is None and time.monotonic() < deadline:
        if _transcript(firmware, console).finished:
            settled = time.monotonic() + SETTLE_S  # for what the firmware does, and Renode logs, after its last line
            while process.poll() is None and time.monotonic() < settled:
                time.sleep(POLL_S)
            return
        time.sleep(POLL_S)


def _result(firmware: Firmware, console: Path, log: Path, timeout_s: float) -> tuple[SelfTest, str]:
    transcript, logged = _transcript(firmware, console), _text(log)
    stray = [line for line in logged.splitlines() if STRAY in line]
    if stray:
        raise EmulatorError(
            f"renode: the firmware touched an address that nothing answers on board {firmware.board.name}: {stray[0]}"
        )
    if not transcript.finished:
        tail = "\n".join(f"  {line}" for line in logged.splitlines()[-SHOWN_LINES:])
        raise EmulatorError(
            f"renode: the self-test printed no result within {VIRTUAL_SECONDS} virtual and {timeout_s:g} real seconds. "
            f"Console: {_text(console).strip()[-200:] or 'nothing'!r}. The end of Renode's log:\n{tail}"
        )
    return transcript.result(), logged


def _transcript(firmware: Firmware, console: Path) -> Transcript:
    """The console's whole lines about this firmware's model."""
    transcript = Transcript(firmware.name)
    transcript.feed(console.read_bytes() if console.exists() else b"")
    return transcript


def _counted(logged: str) -> int | None:
    """Instructions of the run function's last call."""
    begins = re.findall(rf"{BEGIN} (\d+)", logged)
    ends = re.findall(rf"{END} (\d+)", logged)
    return int(ends[-1]) - int(begins[-1]) if begins and ends else None


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
    found = re.search(r"Renode\D{0,20}?(\d+)\.(\d+)(?:\.(\d+))?", done.stdout + done.stderr)
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
