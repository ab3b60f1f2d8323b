"""validate: compile, build, emulate, compare with the Python reference on every tensor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tinygen.compile import Compiled
from tinygen.emulate import OTHER_PAINT, Emulator, Job, Run, find_emulator
from tinygen.errors import UsageError
from tinygen.ir import Array, Graph, Tensor
from tinygen.toolchain import Build, Firmware, Platform, board_platform, build_firmware
from tinygen.validate.arena import ArenaProof, check_stack, compare_paints, repainted
from tinygen.validate.compare import Difference, Totals, compare, full_tensor, with_rows
from tinygen.validate.inputs import Inference, as_bytes, load_inputs, random_inputs
from tinygen.validate.interpreters import run_reference

Progress = Callable[[str, int, int], None]
"""Told the stage and how many of its parts are done."""

REFERENCE_TIMEOUT_S = 600.0
EMULATION_TIMEOUT_S = 900.0


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The outcome of a validation. Instructions are of one inference of the firmware as it ships, without hooks."""

    compiled: Compiled
    emulator: str
    toolchain: str
    inputs: tuple[Inference, ...]
    expected: tuple[Mapping[int, Array], ...]
    totals: Totals
    instructions_min: int | None
    instructions_max: int | None
    stack_bytes: int | None
    notes: tuple[str, ...]
    arena: ArenaProof | None = None  # None where the emulator shows no bytes to compare
    stack_bound_bytes: int | None = None  # by the compiler's report; what was measured is never above it

    @property
    def equal(self) -> bool:
        """Whether every value of every layer is the reference's, whatever the arena held before."""
        return self.totals.values_different == 0 and (self.arena is None or self.arena.holds)

    @property
    def first_difference(self) -> Difference | None:
        return self.totals.first_difference


def validate(
    compiled: Compiled,
    *,
    emulator: str = "auto",
    inputs: int | Path | Sequence[Inference] = 16,
    seed: int = 0,
    expected: Sequence[Mapping[int, Array]] | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Run a compiled model in an emulator and compare every layer's tensor with the Python reference.

    `inputs` is a number of random inferences (three corners are added), an .npz file, or arrays: one tuple an
    inference, one array a model input. `expected`, one mapping of tensor index to value an inference, stands for a run
    of the reference interpreter. Raises ToolError, EmulatorError and UsageError; a difference is no exception but
    `Comparison.equal`.
    """
    runner = find_emulator(compiled.board, emulator)
    graph = compiled.program.graph
    if isinstance(inputs, int):
        inferences = random_inputs(graph, inputs, seed)
    elif isinstance(inputs, Path):
        inferences = load_inputs(graph, inputs)
    else:
        inferences = tuple(inputs)
    if expected is None:
        progress("reference", 0, 1)
        expected = reference_tensors(compiled, inferences)
    _check_arrays(graph, inferences, expected)
    job = Job(as_bytes(inferences), tuple(t.size_bytes for t in graph.outputs), EMULATION_TIMEOUT_S)
    with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
        shown = build(compiled, runner, Build.VALIDATION, Path(folder) / "validation", progress)
        validation = run(shown, runner, job, progress)
        again = run(shown, runner, repainted(job), silent)
        shipped = build(compiled, runner, Build.RELEASE, Path(folder) / "release", progress)
        release = run(shipped, runner, replace(job, paint=OTHER_PAINT), progress)
    instructions = [i.instructions for i in release.inferences if i.instructions is not None]
    stacks = [i.stack_bytes for i in release.inferences if i.stack_bytes is not None]
    check_stack(shipped, max(stacks, default=None))
    return Comparison(
        compiled=compiled,
        emulator=runner.name,
        toolchain=shipped.toolchain,
        inputs=inferences,
        expected=tuple(expected),
        totals=compare(graph, list(map(partial(with_rows, graph), inferences, expected)), validation, release),
        instructions_min=min(instructions, default=None),
        instructions_max=max(instructions, default=None),
        stack_bytes=max(stacks, default=None),
        notes=release.notes,
        arena=compare_paints(graph, validation, again),
        stack_bound_bytes=shipped.stack_bound_bytes,
    )


def _check_arrays(graph: Graph, inputs: Sequence[Inference], expected: Sequence[Mapping[int, Array]]) -> None:
    """Raise UsageError when the caller's arrays are not what the model takes and makes."""
    if not inputs:
        raise UsageError("validate: there is no inference to run; give at least one.")
    if len(inputs) != len(expected):
        raise UsageError(f"validate: {len(inputs)} inferences, but {len(expected)} sets of expected tensors.")
    made = {index: full_tensor(graph, t) for index, t in shown_tensors(graph).items()}
    for number, (arrays, tensors) in enumerate(zip(inputs, expected, strict=True)):
        if len(arrays) != len(graph.inputs):
            raise UsageError(f"validate: inference {number} has {len(arrays)} arrays for {len(graph.inputs)} inputs.")
        known = with_rows(graph, arrays, tensors)
        pairs = [*zip(graph.inputs, arrays, strict=True), *((t, known.get(index)) for index, t in made.items())]
        for tensor, array in pairs:
            if array is None or array.shape != tensor.shape or array.dtype != tensor.dtype.numpy:
                found = "missing" if array is None else f"{array.dtype} {array.shape}"
                raise UsageError(
                    f"validate: inference {number}: tensor {tensor.name!r} must be {tensor.describe()}; {found}."
                )


def reference_tensors(compiled: Compiled, inputs: Sequence[Inference]) -> tuple[Mapping[int, Array], ...]:
    """What the Python reference computes for every operator of the model, whatever passes leave of them."""
    results = run_reference(
        compiled.model.data, compiled.options.reference, [list(i) for i in inputs], timeout_s=REFERENCE_TIMEOUT_S
    )
    shown = shown_tensors(compiled.model.graph)
    return tuple({index: tensors[index] for index in shown} for tensors in results)


def build(compiled: Compiled, runner: Emulator, kind: Build, directory: Path, progress: Progress) -> Firmware:
    """One of the two firmwares: with hooks, to compare every layer, or as it ships, for outputs and instructions."""
    progress(f"compile, {kind.value}", 0, 1)
    platform = Platform.HOST if runner.name == "host" else board_platform(compiled.board)
    sources = compiled.sources
    return build_firmware(sources.files, sources.name, compiled.board, kind, directory, platform=platform)


def run(firmware: Firmware, runner: Emulator, job: Job, progress: Progress) -> Run:
    """All inferences of a job."""
    stage = f"{runner.name}, {firmware.build.value}"
    return runner.run(firmware, job, lambda done, total: progress(stage, done, total))


def build_and_run(
    compiled: Compiled, runner: Emulator, kind: Build, directory: Path, job: Job, progress: Progress
) -> tuple[Run, str]:
    """Both in a row; the run, and the name of the compiler."""
    firmware = build(compiled, runner, kind, directory, progress)
    return run(firmware, runner, job, progress), firmware.toolchain


def shown_tensors(graph: Graph) -> dict[int, Tensor]:
    """Every node's outputs and the graph's outputs, by index."""
    return {t.index: t for t in (*(t for node in graph.nodes for t in node.outputs), *graph.outputs)}
