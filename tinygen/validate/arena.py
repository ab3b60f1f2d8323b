"""The proofs about memory: nothing depends on what the arena held before, and the stack stays below its bound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinygen.emulate import OTHER_PAINT, PAINT, Inference, Job, Run
from tinygen.errors import EmulatorError
from tinygen.ir import Graph
from tinygen.toolchain import Firmware

GUARD_BYTES = 64
"""Before and behind the arena, as firmware/main.c has them: looked at after every step and after every inference."""


@dataclass(frozen=True, slots=True)
class PaintDifference:
    """The first row that came out another one when the arena held other bytes before."""

    inference: int
    layer: int
    op: str
    tensor: str
    row: int


@dataclass(frozen=True, slots=True)
class ArenaProof:
    """What two runs of one firmware, in an arena painted anew before every inference, came to.

    `bytes_compared` are of all layers' rows and all outputs. That nothing outside the arena was written needs no field:
    a run whose guards are damaged ends as an EmulatorError.
    """

    bytes_compared: int
    difference: PaintDifference | None
    paints: tuple[int, int] = (PAINT, OTHER_PAINT)
    guard_bytes: int = GUARD_BYTES

    @property
    def holds(self) -> bool:
        """Whether no result depends on what the arena held before."""
        return self.difference is None


def repainted(job: Job) -> Job:
    """The first and the last inference of a job once more, in the other paint."""
    return replace(job, inputs=tuple(job.inputs[number] for number in ends(len(job.inputs))), paint=OTHER_PAINT)


def ends(count: int) -> tuple[int, ...]:
    """The numbers of the first and the last of some inferences."""
    return tuple(dict.fromkeys((0, count - 1)))


def compare_paints(graph: Graph, run: Run, again: Run) -> ArenaProof:
    """Hold the inferences of a `repainted` job against the same ones of the job itself."""
    compared = 0
    first = None
    for number, other in zip(ends(len(run.inferences)), again.inferences, strict=True):
        one = run.inferences[number]
        compared += sum(len(step.data) for step in one.steps) + sum(map(len, one.outputs))
        first = first or _first_difference(graph, number, one, other)
    return ArenaProof(compared, first)


def check_stack(firmware: Firmware, measured_bytes: int | None) -> None:
    """Raise EmulatorError when more stack was used than the compiler's report allows."""
    bound = firmware.stack_bound_bytes
    if measured_bytes is not None and bound is not None and measured_bytes > bound:
        raise EmulatorError(
            f"{firmware.name} on {firmware.board.name}: one inference used {measured_bytes} bytes of stack, but the "
            f"compiler's report allows {bound} at most. This is a bug in how tinygen reckons the stack; please report "
            "it with the model."
        )


def _first_difference(graph: Graph, number: int, one: Inference, other: Inference) -> PaintDifference | None:
    for step, twin in zip(one.steps, other.steps, strict=True):
        if step.data != twin.data:
            node = graph.nodes[step.layer]
            row = step.row_begin + _first_byte(step.data, twin.data) // max(1, step.row_bytes)
            return PaintDifference(number, step.layer, node.op.name, node.outputs[step.output].name, row)
    for tensor, data, twin_data in zip(graph.outputs, one.outputs, other.outputs, strict=True):
        if data != twin_data:
            row = _first_byte(data, twin_data) // max(1, tensor.row_bytes)
            return PaintDifference(number, len(graph.nodes), "model output", tensor.name, row)
    return None


def _first_byte(one: bytes, other: bytes) -> int:
    """The position of the first byte that differs; both have the length that the graph says."""
    return int(np.argmax(np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)))
