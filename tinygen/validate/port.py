"""Reads a self-test's lines from a real board's serial port."""

from __future__ import annotations

import contextlib
import importlib.metadata
import time
from collections.abc import Callable
from typing import Any

from tinygen.emulate.lines import SelfTest, Transcript
from tinygen.errors import ToolError
from tinygen.toolchain import Tool

INSTALL = 'pip install "tinygen[serial]"'
POLL_S = 0.2

Progress = Callable[[str, int, int], None]


def open_port(port: str, baud: int) -> Any:
    """pyserial's connection, a context manager; what comes before it is read waits in the system's buffer.

    Raises ToolError where pyserial or the port is missing.
    """
    try:
        import serial
    except ImportError as error:
        raise ToolError(f"port {port}: pyserial is not installed: {INSTALL}.") from error
    try:
        return serial.Serial(port, baud, timeout=POLL_S)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise ToolError(f"port {port}: it cannot be opened: {_reason(error)}. {_ports()}") from error


def read_port(connection: Any, name: str, *, timeout_s: float, progress: Progress) -> SelfTest:
    """Waits at an open serial port for the last line of the model called `name`.

    Raises ToolError where the port vanishes, and where the last line does not come in time.
    """
    transcript = Transcript(name, from_model=True)
    deadline = time.monotonic() + timeout_s
    while not transcript.finished:
        progress(f"waiting at {connection.port}; press the board's reset button", 0, 1)
        if time.monotonic() > deadline:
            raise ToolError(_silence(connection.port, connection.baudrate, timeout_s, transcript))
        transcript.feed(_read(connection, connection.port, transcript))
    return transcript.result()


def survey() -> tuple[Tool, ...]:
    """pyserial, found or not."""
    try:
        version: str | None = importlib.metadata.version("pyserial")
    except importlib.metadata.PackageNotFoundError:
        version = None
    return (Tool("pyserial", version, "", "reads a self-test from a board's serial port", INSTALL),)


def _read(connection: Any, port: str, transcript: Transcript) -> bytes:
    try:
        data: bytes = connection.read(max(1, connection.in_waiting))
        return data
    except (OSError, TypeError) as error:  # TypeError: pyserial's own, where another thread closed the port
        seen = f" after {transcript.lines[-1]!r}" if transcript.lines else " before it told anything"
        raise ToolError(
            f"port {port}: it vanished{seen} ({_reason(error)}). Is the cable loose, or did the board reset into "
            "another USB device?"
        ) from error


def _reason(error: Exception) -> str:
    """The system's words without pyserial's own around them."""
    text = str(error)
    return error.strerror if isinstance(error, OSError) and error.strerror and not text else text.rstrip(".")


def _ports() -> str:
    """The ports that there are."""
    found: list[str] = []
    with contextlib.suppress(Exception):  # listing is a hint, and must not hide what went wrong
        from serial.tools import list_ports

        found = sorted(info.device for info in list_ports.comports())
    return f"Ports here: {', '.join(found)}." if found else "There is no serial port here."


def _silence(port: str, baud: int, timeout_s: float, transcript: Transcript) -> str:
    start = f"port {port}: the last line of {transcript.name} did not come in {timeout_s:g} s at {baud} baud"
    if transcript.is_of_no_model:
        return (
            f"{start} after one that says of which model file it is, TINYGEN MODEL; without that: "
            f"{transcript.lines[-1]}. Press the board's reset button, or flash the self-test of this tinygen."
        )
    if transcript.lines:
        return f"{start}; the last one was: {transcript.lines[-1]}."
    if transcript.other_models:
        return f"{start}; the board runs the self-test of {', '.join(sorted(transcript.other_models))}."
    return f"{start}, and no other. Flash the self-test firmware and press the board's reset button."
