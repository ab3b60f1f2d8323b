"""profile: what one inference costs, layer by layer, counted in emulation on the real firmware."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygen.compile import Compiled
from tinygen.emulate import Job, Step, find_emulator
from tinygen.errors import ToolError
from tinygen.ledger import CodeSize
from tinygen.toolchain import Build, find_toolchain, measure
from tinygen.validate.inputs import as_bytes, random_inputs
from tinygen.validate.run import EMULATION_TIMEOUT_S, Progress, build_and_run, silent

SEED = 0
"""Of the one random inference; instructions of int8 kernels depend on the data by a few in a million."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer; None where the emulator cannot count. A view computes nothing, so it costs nothing."""

    index: int
    instructions: int | None
    cycles_estimate: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One inference. Totals are the firmware's as it ships; layers come from the build that shows every layer.

    Between two layers that build passes eight arguments to a hook. The hook itself is not counted, its call is: a
    layer shows some 10 instructions a step too many, and what follows the last layer (a return) belongs to none. So
    on Cortex-M4 the layers' sum exceeds the total by some 10 instructions a step (kws: 99 of 16.8 million). Where a
    kernel is inlined into its layer, the compiler may choose other registers because of the call behind it: with GCC
    12.2 up to 1 %.
    """

    compiled: Compiled
    emulator: str
    toolchain: str
    size: CodeSize
    instructions: int | None
    cycles_estimate: int | None
    stack_bytes: int | None
    layers: tuple[LayerCost, ...]
    notes: tuple[str, ...]


def profile(compiled: Compiled, *, emulator: str = "auto", progress: Progress = silent) -> Profile:
    """Build, run one seeded random inference, count. The same model, board and tools give the same figures.

    Raises ToolError, EmulatorError and UsageError as `validate` does.
    """
    runner = find_emulator(compiled.board, emulator)
    graph, sources = compiled.program.graph, compiled.sources
    inputs = random_inputs(graph, 1, SEED)[:1]
    job = Job(as_bytes(inputs), tuple(t.size_bytes for t in graph.outputs), EMULATION_TIMEOUT_S)
    with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
        release, toolchain = build_and_run(compiled, runner, Build.RELEASE, Path(folder) / "release", job, progress)
        shown, _ = build_and_run(compiled, runner, Build.VALIDATION, Path(folder) / "validation", job, progress)
    total = release.inferences[0]
    return Profile(
        compiled=compiled,
        emulator=runner.name,
        toolchain=toolchain,
        size=measure(sources.files, sources.name, compiled.board.target, find_toolchain(compiled.board.target)),
        instructions=total.instructions,
        cycles_estimate=total.cycles_estimate,
        stack_bytes=total.stack_bytes,
        layers=_layers(compiled, shown.inferences[0].steps),
        notes=release.notes,
    )


def count_instructions(compiled: Compiled, *, emulator: str = "auto") -> int:
    """The instructions that `profile` shows for the firmware as it ships, without those of the layers.

    Raises ToolError where nothing here can count them.
    """
    runner = find_emulator(compiled.board, emulator)
    graph = compiled.program.graph
    job = Job(
        as_bytes(random_inputs(graph, 1, SEED)[:1]), tuple(t.size_bytes for t in graph.outputs), EMULATION_TIMEOUT_S
    )
    with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
        run, _ = build_and_run(compiled, runner, Build.RELEASE, Path(folder), job, silent)
    count = run.inferences[0].instructions
    if count is None:
        raise ToolError(
            f"a budget of instructions cannot be checked: {runner.name} counts none here. "
            f"{' '.join(run.notes) or 'Choose another --emulator.'}"
        )
    return count


def _layers(compiled: Compiled, steps: Sequence[Step]) -> tuple[LayerCost, ...]:
    """The steps' counts by layer; a layer may come in several steps, and a view in none that cost anything."""
    costs = []
    for layer in compiled.program.layers:
        own = [step for step in steps if step.layer == layer.index]
        instructions, cycles = _sum([s.instructions for s in own]), _sum([s.cycles_estimate for s in own])
        if layer.instance is None:  # what was counted is the call of the hook
            instructions = None if instructions is None else 0
            cycles = None if cycles is None else 0
        costs.append(LayerCost(layer.index, instructions, cycles))
    return tuple(costs)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
