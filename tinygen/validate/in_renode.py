"""validate in Renode: the self-test firmware on the whole board, every layer's CRC-32 against the Python reference."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinygen.compile import Compiled
from tinygen.emulate.renode import NAME, find_renode, run_renode
from tinygen.errors import MismatchError
from tinygen.export.renode import REAL_SECONDS
from tinygen.toolchain import build_selftest
from tinygen.validate.compare import Totals
from tinygen.validate.inputs import Inference, load_inputs, random_inputs
from tinygen.validate.run import Comparison, Progress, reference_tensors, silent
from tinygen.validate.vectors import selftest_sources, vectors_of

COMPARED = "compared by the CRC-32 of each layer's tensor"
COUNTED = "instructions include the hook after each step"


def validate_in_renode(
    compiled: Compiled,
    named: str | None,
    files: Mapping[str, str],
    *,
    inputs: int | Path | Sequence[Inference] = 16,
    seed: int = 0,
    timeout_s: float = REAL_SECONDS,
    progress: Progress = silent,
) -> Comparison:
    """Like `validate`, with inputs and the reference's checksums inside the firmware.

    `named` is Renode's program, or None for the one on the PATH; `files` are the board's platform file by name;
    `timeout_s` bounds the run in real time. A checksum does not tell which element differs, so a difference is a
    MismatchError that names the layers.
    """
    program = find_renode(named)
    graph = compiled.program.graph
    if isinstance(inputs, int):
        inferences = random_inputs(graph, inputs, seed)
    elif isinstance(inputs, Path):
        inferences = load_inputs(graph, inputs)
    else:
        inferences = tuple(inputs)
    progress("reference", 0, 1)
    expected = reference_tensors(compiled, inferences)
    sources = {**compiled.sources.files, **selftest_sources(compiled, vectors_of(compiled, inferences, expected))}
    with tempfile.TemporaryDirectory(prefix="tinygen-") as folder:
        progress("compile, self-test", 0, 1)
        firmware = build_selftest(sources, compiled.program.name, compiled.board, Path(folder) / "build")
        progress(NAME, 0, 1)
        result = run_renode(firmware, files, program, Path(folder) / "run", timeout_s=timeout_s)
    wanted = f"TINYGEN PASS {compiled.program.name} inputs={len(inferences)} layers={len(graph.nodes)}"
    shown = "\n".join(f"  {line}" for line in result.lines)
    if result.passed and result.lines[-1] != wanted:
        raise MismatchError(
            f"{compiled.model.label}: the firmware in Renode passed another self-test than the one that was built; the "
            f"last line wanted is: {wanted}. Is the program that was run Renode?\n{shown}"
        )
    if not result.passed:
        raise MismatchError(
            f"{compiled.model.label}: the firmware in Renode differs from {compiled.options.reference.value}. "
            f"--emulator unicorn or qemu shows the element and both values.\n{shown}"
        )
    made = [tensor for node in graph.nodes for tensor in node.outputs]
    totals = Totals(len(made), sum(t.elements for t in made) * len(inferences), 0, 0.0, None)
    return Comparison(
        compiled=compiled,
        emulator=f"{NAME} {result.version}",
        toolchain=firmware.toolchain,
        inputs=inferences,
        expected=expected,
        totals=totals,
        instructions_min=result.instructions,
        instructions_max=result.instructions,
        stack_bytes=None,
        notes=(COMPARED if result.instructions is None else f"{COMPARED}; {COUNTED}",),
    )
