"""The input stream that the self-test reads and the output stream that it writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from tinygen.emulate.base import Inference, Job, Step
from tinygen.errors import EmulatorError

MAGIC = 0x324E4754
UNKNOWN = 0xFFFFFFFF

RECORD_STEP = 1
RECORD_OUTPUT = 2
RECORD_END = 3
RECORD_FAULT = 4
RECORD_GUARD = 5
RECORD_BYE = 6

EXIT_DONE = 0
"""What the firmware ends with when all went well; io.h has the other codes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the firmware's own fault handler reported; None where the core could not say."""

    cause: int
    pc: int | None
    address: int | None
    status: int | None
    stack_pointer: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes beside the arena that were overwritten; the first one counted from the arena's start."""

    first: int
    damaged_bytes: int
    arena_bytes: int


@dataclass(frozen=True, slots=True)
class Output:
    """A decoded output stream, complete or as far as it got."""

    inferences: tuple[Inference, ...]
    open_steps: tuple[Step, ...]  # of the inference that did not end
    fault: Fault | None
    damage: Damage | None
    complete: bool


def encode_input(job: Job) -> bytes:
    """The bytes of input.bin."""
    if not job.inputs:
        raise ValueError("a job needs at least one inference")
    sizes = tuple(len(data) for data in job.inputs[0])
    for index, inputs in enumerate(job.inputs):
        if tuple(map(len, inputs)) != sizes:
            raise ValueError(f"inference {index} has inputs of {tuple(map(len, inputs))} bytes, the first {sizes}")
    words = (MAGIC, len(job.inputs), job.paint, len(sizes), *sizes, len(job.output_bytes), *job.output_bytes)
    return struct.pack(f"<{len(words)}I", *words) + b"".join(b"".join(inputs) for inputs in job.inputs)


class _Reader:
    """Words and bytes from a stream that may end anywhere."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def words(self, count: int) -> tuple[int, ...] | None:
        raw = self.bytes(count * 4)
        return None if raw is None else struct.unpack(f"<{count}I", raw)

    def bytes(self, count: int) -> bytes | None:
        if count > len(self.data) - self.at:
            return None
        raw = self.data[self.at : self.at + count]
        self.at += count
        return raw


def decode_output(data: bytes, job: Job) -> Output:
    """Reads output.bin; a stream that stops early is incomplete, one that makes no sense an `EmulatorError`."""
    reader = _Reader(data)
    inferences: list[Inference] = []
    steps: list[Step] = []
    outputs: list[bytes] = []

    def broken(what: str) -> EmulatorError:
        return EmulatorError(
            f"self-test: the output stream is broken at byte {reader.at} of {len(data)}: {what}. "
            "The firmware's memory was damaged, or its build and tinygen's version differ."
        )

    def result(fault: Fault | None = None, damage: Damage | None = None, *, complete: bool = False) -> Output:
        return Output(tuple(inferences), tuple(steps), fault, damage, complete)

    while True:
        kind = reader.words(1)
        if kind is None:
            return result()
        if kind[0] == RECORD_STEP:
            head = reader.words(5)
            if head is None:
                return result()
            step = _step_head(head)
            if step is None:
                raise broken(f"a step with layer, output, rows {head} makes no sense")
            rows = reader.bytes((step.row_end - step.row_begin) * step.row_bytes)
            if rows is None:
                return result()
            steps.append(replace(step, data=rows))
        elif kind[0] == RECORD_OUTPUT:
            head = reader.words(2)
            if head is None:
                return result()
            index, size = head
            if index != len(outputs) or index >= len(job.output_bytes) or size != job.output_bytes[index]:
                raise broken(f"output {index} of {size} bytes was not expected")
            tensor = reader.bytes(size)
            if tensor is None:
                return result()
            outputs.append(tensor)
        elif kind[0] == RECORD_END:
            head = reader.words(1)
            if head is None:
                return result()
            if len(outputs) != len(job.output_bytes) or len(inferences) == len(job.inputs):
                raise broken(f"inference {len(inferences)} ended with {len(outputs)} outputs")
            stack_bytes = None if head[0] == UNKNOWN else head[0]
            inferences.append(Inference(tuple(steps), tuple(outputs), None, stack_bytes))
            steps, outputs = [], []
        elif kind[0] == RECORD_FAULT:
            head = reader.words(5)
            if head is None:
                return result()
            cause, pc, address, status, stack_pointer = head
            return result(Fault(cause, _known(pc), _known(address), _known(status), stack_pointer))
        elif kind[0] == RECORD_GUARD:
            head = reader.words(3)
            if head is None:
                return result()
            first = head[0] - (1 << 32) if head[0] >> 31 else head[0]
            return result(damage=Damage(first, head[1], head[2]))
        elif kind[0] == RECORD_BYE:
            if len(inferences) != len(job.inputs) or reader.at != len(data):
                raise broken(f"it ended after {len(inferences)} of {len(job.inputs)} inferences")
            return result(complete=True)
        else:
            raise broken(f"record kind {kind[0]} is unknown")


def _step_head(head: tuple[int, ...]) -> Step | None:
    layer, output, row_begin, row_end, row_bytes = head
    if row_end < row_begin or max(head) >> 31:
        return None
    return Step(layer, output, row_begin, row_end, row_bytes, b"")


def _known(word: int) -> int | None:
    return None if word == UNKNOWN else word
