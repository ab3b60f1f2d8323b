"""What an emulator is given and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tinygen.boards import Board
from tinygen.toolchain import Firmware

Progress = Callable[[int, int], None]  # inferences done, inferences in all


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: per inference the bytes of every model input, and how long every output is."""

    inputs: tuple[tuple[bytes, ...], ...]
    output_bytes: tuple[int, ...]
    timeout_s: float


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


def with_counts(inference: Inference, counts: tuple[int, list[int] | None]) -> Inference:
    """Adds the instructions of the inference, and of each step what came since the step before."""
    total, marks = counts
    if marks is None or len(marks) != len(inference.steps):
        return replace(inference, instructions=total)
    steps: list[Step] = []
    last = 0
    for step, mark in zip(inference.steps, marks, strict=True):
        steps.append(replace(step, instructions=mark - last))
        last = mark
    return replace(inference, instructions=total, steps=tuple(steps))


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
