"""The self-test in QEMU's own machines: reads the board's UART on QEMU's standard output."""

from __future__ import annotations

import queue
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from tinygen.boards import Board, UartFamily
from tinygen.emulate import faults
from tinygen.emulate.lines import SelfTest, Transcript
from tinygen.emulate.qemu import kill, last_line, machine_command
from tinygen.errors import EmulatorError
from tinygen.targets import Architecture
from tinygen.toolchain import Firmware, Platform

# Machines with several UARTs: their bases in the order of QEMU's -serial options. Elsewhere the console is the first.
_SERIALS = {
    "netduinoplus2": (0x4001_1000, 0x4000_4400, 0x4000_4800, 0x4000_4C00, 0x4000_5000, 0x4001_1400),
}


def run_in_qemu(firmware: Firmware, timeout_s: float) -> SelfTest:
    """From reset to the last line; then QEMU, which does not end by itself, is killed."""
    if firmware.board.target.architecture is Architecture.XTENSA and firmware.platform is Platform.SELF_TEST:
        raise EmulatorError(
            f"{faults.place(firmware, 'qemu')}: QEMU has not this chip's memory map; "
            f"build the self-test for {Platform.SELF_TEST_SIM.value}."
        )
    transcript = Transcript(firmware.name)
    with tempfile.TemporaryDirectory(prefix="tinygen-qemu-") as folder:
        directory = Path(folder)
        shutil.copyfile(firmware.elf, directory / "firmware.elf")  # QEMU splits options at commas in paths
        with (directory / "stderr.txt").open("w+b") as errors:
            child = subprocess.Popen(
                command(firmware.board, firmware.platform),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            try:
                ended = _read(child, transcript, timeout_s)
            finally:
                kill(child)
            errors.seek(0)
            message = errors.read(1 << 20).decode("utf-8", "replace")
    if transcript.finished:
        return transcript.result()
    place = faults.place(firmware, "qemu")
    shown = f"It had printed: {transcript.lines[-1]}" if transcript.lines else "It had printed nothing."
    if ended:
        raise EmulatorError(f"{place}: QEMU ended before the self-test's last line; {last_line(message)}. {shown}")
    raise EmulatorError(f"{place}: the self-test's last line did not come in {timeout_s:g} s. {shown}")


def command(board: Board, platform: Platform = Platform.SELF_TEST) -> tuple[str, ...]:
    """QEMU with the board's console on standard output."""
    serial: tuple[str, ...] = ("-serial", "null")
    if board.console.uart is not UartFamily.SEMIHOSTING:
        bases = _SERIALS.get(board.emulation.qemu_machine, ())
        before = bases.index(board.console.base) if board.console.base in bases else 0
        serial = ("-serial", "null") * before + ("-serial", "stdio")
    # RISC-V's mcycle is the host's clock unless QEMU counts instructions.
    counting = ("-icount", "shift=0") if board.target.architecture is Architecture.RISCV32 else ()
    return (*machine_command(board, platform), *serial, *counting)


def _read(child: subprocess.Popen[bytes], transcript: Transcript, timeout_s: float) -> bool:
    """Feeds the transcript until its last line or the time is over; True when QEMU ended by itself."""
    assert child.stdout is not None
    pieces: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_pump, args=(child.stdout, pieces), daemon=True).start()
    deadline = time.monotonic() + timeout_s
    while not transcript.finished:
        try:
            piece = pieces.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return False
        if not piece:
            return True
        transcript.feed(piece)
    return False


def _pump(stream: IO[bytes], pieces: queue.Queue[bytes]) -> None:
    """An empty piece is the end; threads rather than select, which knows no pipes on Windows."""
    while piece := stream.readline():
        pieces.put(piece)
    pieces.put(b"")
