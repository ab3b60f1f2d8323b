"""Runs firmware in QEMU's own machines, with semihosting or simcall files in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tinygen.boards import Board
from tinygen.emulate import faults
from tinygen.emulate.base import Job, Progress, Run, with_counts
from tinygen.emulate.counter_qemu import NOTE, plugin_options, read_counts
from tinygen.emulate.stream import EXIT_DONE, Output, decode_output, encode_input
from tinygen.emulate.symbols import read_image
from tinygen.errors import EmulatorError, ToolError
from tinygen.targets import Architecture
from tinygen.toolchain import Firmware, Platform
from tinygen.toolchain.linker import layout

SYSTEMS: dict[Architecture, str] = {
    Architecture.ARM_M: "qemu-system-arm",
    Architecture.RISCV32: "qemu-system-riscv32",
    Architecture.XTENSA: "qemu-system-xtensa",
}
INSTALL: dict[Architecture, str] = {
    Architecture.ARM_M: "apt install qemu-system-arm",
    Architecture.RISCV32: "apt install qemu-system-misc",
    Architecture.XTENSA: "apt install qemu-system-misc",
}
# For firmware in the call0 ABI. The other, de233_fpu, has what the ESP32 has but MULSH and MULUH.
SMALL_XTENSA = "lx106"
_QUIET = ("-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot")


class Qemu:
    """MPS2, MPS3, micro:bit, STM32F4, RISC-V virt and, for the ESP32 family, Xtensa's sim machine."""

    name = "qemu"

    def unsupported(self, board: Board) -> str | None:
        """Why QEMU cannot run the board here and now."""
        if not board.emulation.qemu_machine:
            return f"QEMU has no machine for board {board.name}."
        program = SYSTEMS[board.target.architecture]
        if qemu_path(program) is None:
            return f"{program} is not installed: {INSTALL[board.target.architecture]}."
        return None

    def run(self, firmware: Firmware, job: Job, on_progress: Progress | None = None) -> Run:
        """Runs the job in a process of its own."""
        board = firmware.board
        reason = self.unsupported(board)
        if reason:
            raise ToolError(f"emulator qemu: {reason}")
        if firmware.platform in (Platform.HOST, Platform.SELF_TEST, Platform.SELF_TEST_SIM):
            raise EmulatorError(f"emulator qemu: this firmware is linked for {firmware.platform.value}.")
        with tempfile.TemporaryDirectory(prefix="tinygen-qemu-") as folder:
            directory = Path(folder)
            shutil.copyfile(firmware.elf, directory / "firmware.elf")  # QEMU splits options at commas in paths
            (directory / "input.bin").write_bytes(encode_input(job))
            (directory / "output.bin").touch()  # simcall firmware opens it, but cannot create it everywhere
            command = (*machine_command(board, firmware.platform), "-serial", "null")
            counting = plugin_options(firmware, qemu_version(command[0]))
            ended, message = run_process((*command, *(counting or ())), directory, job.timeout_s)
            if counting and "plugin" in message:  # this QEMU takes none
                counting = None
                ended, message = run_process(command, directory, job.timeout_s)
            path = directory / "output.bin"
            output = decode_output(path.read_bytes() if path.is_file() else b"", job)
            counts = read_counts(directory)
        if ended == EXIT_DONE and output.complete:
            if on_progress:
                on_progress(len(job.inputs), len(job.inputs))
            if len(counts) != len(output.inferences):
                return Run(self.name, output.inferences, (*_notes(firmware), NOTE))
            return Run(self.name, tuple(map(with_counts, output.inferences, counts)), _notes(firmware))
        raise _error(firmware, output, ended, message, job.timeout_s)


def machine_command(board: Board, platform: Platform) -> tuple[str, ...]:
    """QEMU as the board's machine with firmware.elf of the working folder; no option names a serial port."""
    program = qemu_path(SYSTEMS[board.target.architecture])
    assert program is not None
    command = [program, "-M", board.emulation.qemu_machine, *_QUIET, "-kernel", "firmware.elf"]
    if cpu := SMALL_XTENSA if platform is Platform.XTENSA_SIM else board.target.qemu_cpu:
        command += ["-cpu", cpu]
    if board.target.architecture is Architecture.RISCV32:
        command += ["-bios", "none"]
    if board.target.architecture is Architecture.XTENSA:
        return (*command, "-semihosting")
    return (*command, "-semihosting-config", "enable=on,target=native")


def _notes(firmware: Firmware) -> tuple[str, ...]:
    name = firmware.board.name
    if firmware.platform is Platform.XTENSA_SIM:
        return (f"the code of {name} ran on QEMU's LX106 core (call0 ABI, no MAC16, no vectors)",)
    if firmware.platform is Platform.XTENSA_WINDOWED_SIM:
        cpu = firmware.board.target.qemu_cpu
        return (f"the objects of {name} ran on QEMU's {cpu} core (windowed ABI), linked for its memory map",)
    return ()


def _error(firmware: Firmware, output: Output, ended: int | None, message: str, timeout_s: float) -> EmulatorError:
    ram = layout(firmware.board, firmware.platform).ram
    if output.damage:
        return faults.guard_error(firmware, "qemu", output, output.damage)
    if output.fault:
        return faults.fault_error(firmware, "qemu", output, output.fault, read_image(firmware.elf), ram)
    if ended is None:
        return faults.timeout_error(firmware, "qemu", output, f"{timeout_s:g} s")
    lockup = re.search(r"Lockup.*", message)
    if lockup:
        pc = re.search(r"R15=([0-9a-f]{8})", message)
        sp = re.search(r"R13=([0-9a-f]{8})", message)
        where = faults.code_place(read_image(firmware.elf), int(pc[1], 16) if pc else None)
        if sp and faults.below_stack(int(sp[1], 16), ram):
            return faults.stack_error(firmware, "qemu", where, faults.during(output, firmware))
        return faults.unfinished_error(firmware, "qemu", output, f"{lockup[0]} {where}")
    return faults.unfinished_error(firmware, "qemu", output, f"QEMU's exit code {ended}; {last_line(message)}")


def last_line(message: str) -> str:
    """What a program said last, as the end of a sentence."""
    lines = message.strip().splitlines()
    return f"it said: {lines[-1]}" if lines else "it said nothing"


def run_process(
    command: Sequence[str], directory: Path, timeout_s: float, environment: dict[str, str] | None = None
) -> tuple[int | None, str]:
    """Runs a child in its own process group; exit code (None: killed after the timeout) and its stderr."""
    with (directory / "stderr.txt").open("w+b") as errors:
        child = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env=environment,
        )
        ended: int | None = None
        try:
            ended = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when the user interrupts: nothing of the child may stay behind.
            if ended is None:
                kill(child)
        errors.seek(0)
        return ended, errors.read(1 << 20).decode("utf-8", "replace")


def kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that leads its own process group, and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)  # its own group: start_new_session
        else:
            child.kill()
    child.wait()


def qemu_path(program: str) -> str | None:
    """Where a QEMU program is, if it is on PATH."""
    return shutil.which(program)


@cache
def qemu_version(path: str) -> str | None:
    """The version that QEMU tells."""
    try:
        done = subprocess.run((path, "--version"), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"version (\S+)", done.stdout)
    return found[1] if found else None
