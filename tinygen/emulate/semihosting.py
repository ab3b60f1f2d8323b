"""Serves semihosting calls from memory: input.bin is bytes, output.bin and the terminal are buffers."""

from __future__ import annotations

import struct
from collections.abc import Callable

SYS_OPEN = 0x01
SYS_CLOSE = 0x02
SYS_WRITE = 0x05
SYS_READ = 0x06
SYS_EXIT_EXTENDED = 0x20

INPUT_HANDLE = 1
OUTPUT_HANDLE = 2
TERMINAL_HANDLE = 3
_HANDLES = {b"input.bin": INPUT_HANDLE, b"output.bin": OUTPUT_HANDLE, b":tt": TERMINAL_HANDLE}
FAILED = 0xFFFFFFFF


class SemihostingError(Exception):
    """The firmware made a call that the self-test never makes."""


class Semihosting:
    """The host's side of the calls, over functions that read and write the emulated memory."""

    def __init__(self, stream: bytes, read: Callable[[int, int], bytes], write: Callable[[int, bytes], None]) -> None:
        self._stream = memoryview(stream)
        self._at = 0
        self._read = read
        self._write = write
        self.output = bytearray()
        self.terminal = bytearray()
        self.exit_code: int | None = None

    def call(self, operation: int, arguments: int) -> int:
        """Carries out one call; its result for the firmware. `exit_code` is set when it was the last."""
        if operation == SYS_OPEN:
            name, _mode, length = self._words(arguments, 3)
            return _HANDLES.get(self._read(name, length), FAILED)
        if operation == SYS_READ:
            handle, to, count = self._words(arguments, 3)
            if handle != INPUT_HANDLE:
                return count
            part = self._stream[self._at : self._at + count]
            self._write(to, bytes(part))
            self._at += len(part)
            return count - len(part)
        if operation == SYS_WRITE:
            handle, start, count = self._words(arguments, 3)
            if handle not in (OUTPUT_HANDLE, TERMINAL_HANDLE):
                return count
            buffer = self.output if handle == OUTPUT_HANDLE else self.terminal
            buffer += self._read(start, count)
            return 0
        if operation == SYS_CLOSE:
            return 0
        if operation == SYS_EXIT_EXTENDED:
            _reason, self.exit_code = self._words(arguments, 2)
            return 0
        raise SemihostingError(f"semihosting operation {operation:#x}")

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._read(address, count * 4))
