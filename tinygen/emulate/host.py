"""Runs the generated C natively, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from tinygen.boards import Board
from tinygen.emulate import faults
from tinygen.emulate.base import Job, Progress, Run
from tinygen.emulate.qemu import run_process
from tinygen.emulate.stream import EXIT_DONE, Output, decode_output, encode_input
from tinygen.errors import EmulatorError, ToolError
from tinygen.toolchain import Firmware, Platform, find_host_compilers


class Host:
    """This machine: finds memory errors and undefined behaviour, runs no board's instructions."""

    name = "host"

    def unsupported(self, board: Board) -> str | None:
        """Any board's C runs here, once there is a compiler."""
        del board
        return None if find_host_compilers() else "no native C compiler: apt install gcc, or pip install ziglang."

    def run(self, firmware: Firmware, job: Job, on_progress: Progress | None = None) -> Run:
        """Runs the job in a process of its own."""
        if firmware.platform is not Platform.HOST:
            raise EmulatorError(f"emulator host: this firmware is linked for {firmware.platform.value}.")
        with tempfile.TemporaryDirectory(prefix="tinygen-host-") as folder:
            directory = Path(folder)
            program = directory / firmware.elf.name
            shutil.copy2(firmware.elf, program)
            (directory / "input.bin").write_bytes(encode_input(job))
            environment = {
                **os.environ,
                # Leaks are the business of programs that allocate; this one does not, and LSan needs ptrace.
                "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0",
                "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
            }
            try:
                ended, message = run_process((str(program),), directory, job.timeout_s, environment)
            except OSError as error:
                raise ToolError(f"emulator host: {program.name} cannot be started: {error.strerror}.") from error
            path = directory / "output.bin"
            output = decode_output(path.read_bytes() if path.is_file() else b"", job)
        if ended == EXIT_DONE and output.complete:
            if on_progress:
                on_progress(len(job.inputs), len(job.inputs))
            return Run(self.name, output.inferences, _notes(firmware))
        raise _error(firmware, output, ended, message, job.timeout_s)


def _notes(firmware: Firmware) -> tuple[str, ...]:
    if "address" in firmware.sanitizers:
        return ()
    return (f"built with {firmware.toolchain}: without AddressSanitizer, undefined behaviour traps without a message",)


def _error(firmware: Firmware, output: Output, ended: int | None, message: str, timeout_s: float) -> EmulatorError:
    if output.damage:
        return faults.guard_error(firmware, "host", output, output.damage)
    if ended is None:
        return faults.timeout_error(firmware, "host", output, f"{timeout_s:g} s")
    place, when = faults.place(firmware, "host"), faults.during(output, firmware)
    sanitizer = re.search(r"ERROR: AddressSanitizer: (.*)", message) or re.search(r"runtime error: (.*)", message)
    if sanitizer:
        frame = re.search(r"#0 0x[0-9a-f]+ in (\w+)(?: .*?([^/\s]+:\d+)(?::\d+)?)?$", message, re.MULTILINE)
        source = re.search(r"([^/\s]+:\d+):\d+: runtime error", message)
        where = f" in function {frame[1]}" if frame else ""
        line = (frame[2] if frame and frame[2] else "") or (source[1] if source else "")
        what = "stack overflow" if "stack-overflow" in sanitizer[1] else sanitizer[1].strip()
        # Addresses change from run to run; the message must not.
        what = re.sub(r" on( unknown)? address 0x[0-9a-f]+.*", "", what)
        return EmulatorError(
            f"{place}: {what}{where}{line and f' ({line})'}, during {when}. "
            "This is a bug in the generated code; please report it with the model."
        )
    detail = f"it was killed by {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
    return faults.unfinished_error(firmware, "host", output, detail)
