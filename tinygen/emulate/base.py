"""What an emulator is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tinygen.boards import Board
from tinygen.toolchain import Firmware

PAINT = 0x5A
OTHER_PAINT = PAINT ^ 0xFF
"""Two paints that differ in every bit: what comes out the same of both depends on no byte that was not written."""

Progress = Callable[[int, int], None]  # inferences done, inferences in all


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: per inference the bytes of every model input, and how long every output is.

    `paint` is what every byte of the arena holds before each inference.
    """

    inputs: tuple[tuple[bytes, ...], ...]
    output_bytes: tuple[int, ...]
    timeout_s: float
    paint: int = PAINT


@dataclass(frozen=True, slots=True)
class Step:
    """Rows that one step of a validation build wrote: row r of output `output` of layer `layer`."""

    layer: int
    output: int
    row_begin: int
    row_end: int
    row_bytes: int
    data: bytes
    instructions: int | None = None  # the model's own since the step before, the hook's not counted
    cycles_estimate: int | None = None  # the same in the cycles of docs/profile.md, where they are defined


@dataclass(frozen=True, slots=True)
class Inference:
    """One inference: its steps in order (validation builds), its outputs, what it cost."""

    steps: tuple[Step, ...]
    outputs: tuple[bytes, ...]
    instructions: int | None  # of the run function and all it calls; None where the emulator cannot count
    stack_bytes: int | None  # deepest use below the caller; a validation build's includes its hook
    cycles_estimate: int | None = None  # of a Cortex-M4 by the rules of docs/profile.md


@dataclass(frozen=True, slots=True)
class Counts:
    """What one inference cost, and how much of it had been spent at every entry of the validation hook."""

    instructions: int
    marks: tuple[int, ...] | None
    cycles: int | None = None
    cycle_marks: tuple[int, ...] | None = None


def with_counts(inference: Inference, counts: Counts) -> Inference:
    """Adds the instructions of the inference, and of each step what came since the step before."""
    steps = inference.steps
    instructions, cycles = _since(counts.marks, len(steps)), _since(counts.cycle_marks, len(steps))
    return replace(
        inference,
        instructions=counts.instructions,
        cycles_estimate=counts.cycles,
        steps=tuple(
            replace(step, instructions=count, cycles_estimate=estimate)
            for step, count, estimate in zip(steps, instructions, cycles, strict=True)
        ),
    )


def _since(marks: Sequence[int] | None, steps: int) -> Sequence[int | None]:
    """The difference of each mark to the one before; nothing known where the marks are not those of the steps."""
    if marks is None or len(marks) != steps:
        return [None] * steps
    return [mark - before for before, mark in zip((0, *marks), marks, strict=False)]


@dataclass(frozen=True, slots=True)
class Run:
    """All inferences of a job, by which emulator, and what it could not check."""

    emulator: str
    inferences: tuple[Inference, ...]
    notes: tuple[str, ...] = ()


class Emulator(Protocol):
    """Something that runs firmware."""

    @property
    def name(self) -> str:
        """The short name: unicorn, qemu, host."""

    def unsupported(self, board: Board) -> str | None:
        """Why this emulator cannot run the board here and now, with what to do; None when it can."""

    def run(self, firmware: Firmware, job: Job, on_progress: Progress | None = None) -> Run:
        """Runs the job; faults, overflows and timeouts are `EmulatorError`s."""
