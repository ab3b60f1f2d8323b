"""The lines that a self-test prints, read from whatever brings the bytes: an emulator or a serial port."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE_BYTES = 1024

# A line may follow noise: what the boot ROM prints, or half a byte from before the reset.
_LINE = re.compile(r"TINYGEN (PASS|FAIL|DIFFER|MODEL|CYCLES) (\S+)(?: .*)?$")
# What passes must say how much it checked. A FAIL counts however little of it arrived.
_PASS = re.compile(r"TINYGEN PASS \S+ inputs=[1-9]\d* layers=[1-9]\d*")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test printed, and the instructions of one inference where something counted them.

    `passed` says that the last line is PASS and that no line tells of a difference. The instructions are those between
    entry and return of the run function in its last call, the one of the CYCLES line; the build's hook after every step
    is among them, a few instructions a step.
    """

    lines: tuple[str, ...]
    passed: bool
    instructions: int | None = None

    @property
    def differences(self) -> tuple[str, ...]:
        """The lines of what differs: arrays of constants, then tensors in the order of inferences and layers."""
        return tuple(line for line in self.lines if line.startswith("TINYGEN DIFFER "))

    @property
    def contradicts_itself(self) -> bool:
        """Whether the last line is PASS although something differed, as when the board restarts in between."""
        return bool(self.differences) and self.lines[-1].startswith("TINYGEN PASS ")

    @property
    def model(self) -> str | None:
        """What the firmware says of its model; see `Compiled.identity`."""
        found = (re.fullmatch(r"TINYGEN MODEL \S+ (.+)", line) for line in reversed(self.lines))
        return next((match[1] for match in found if match), None)

    @property
    def cycles(self) -> int | None:
        """The core's own count of one inference."""
        found = (re.fullmatch(r"TINYGEN CYCLES \S+ (\d+)", line) for line in self.lines)
        return next((int(match[1]) for match in found if match), None)

    @property
    def layers(self) -> int | None:
        """How many layers the firmware's model has, as its last line tells."""
        found = re.search(r" layers=(\d+)", self.lines[-1]) if self.lines else None
        return int(found[1]) if found else None


class Transcript:
    """Collects the lines about one model, up to its PASS or FAIL.

    With `from_model` a PASS counts only behind a line that says of which model it is: who listens to a board may come
    in between, and waits for the next round then.
    """

    def __init__(self, name: str, *, from_model: bool = False) -> None:
        self.name = name
        self.from_model = from_model
        self.lines: list[str] = []
        self.other_models: set[str] = set()
        self.outcome: str | None = None
        self._open = bytearray()

    @property
    def finished(self) -> bool:
        return self.outcome is not None

    @property
    def is_of_no_model(self) -> bool:
        """Whether the last line is a PASS that does not count, for none before it says of which model."""
        if not self.from_model or any(line.startswith("TINYGEN MODEL ") for line in self.lines):
            return False
        return bool(self.lines) and _PASS.fullmatch(self.lines[-1]) is not None

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come, in pieces of any size."""
        self._open += data
        *whole, rest = self._open.split(b"\n")
        self._open = bytearray(rest[-LONGEST_LINE_BYTES:])
        for line in whole:
            self._take(bytes(line[-LONGEST_LINE_BYTES:]).decode("ascii", "replace").rstrip("\r"))

    def result(self, instructions: int | None = None) -> SelfTest:
        """What was collected."""
        lines = tuple(self.lines)
        differs = any(line.startswith("TINYGEN DIFFER ") for line in lines)
        return SelfTest(lines, self.outcome == "PASS" and not differs, instructions)

    def _take(self, text: str) -> None:
        found = _LINE.search(text)
        if found is None or self.finished:
            return
        if found[2] != self.name:
            self.other_models.add(found[2])
            return
        self.lines.append(found[0])
        if found[1] == "FAIL" or (_PASS.fullmatch(found[0]) and not self.is_of_no_model):
            self.outcome = found[1]
