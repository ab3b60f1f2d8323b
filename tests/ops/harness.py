"""What the three legs of an operator's proof share: models of many nodes, their inputs, numpy, C."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from zlib import crc32

import msgspec
import numpy as np

from tests.ops.cases import Case
from tests.support.models import ModelBuilder
from tinygen.boards import Board
from tinygen.emit import Sources, emit
from tinygen.emulate import Emulator, Job
from tinygen.ir import Array, Graph, Kernel, Node, Reference
from tinygen.kernels import Schedule, kernels_for
from tinygen.lower import lower
from tinygen.plan import Plan, Step
from tinygen.plan.check import check
from tinygen.plan.place import place, whole_steps
from tinygen.tflite import ModelFile, read
from tinygen.toolchain import Build, Platform, build_firmware
from tinygen.validate.inputs import Inference, as_bytes, random_inputs

NAME = "cases"
RANDOM_INPUTS = 4
TIMEOUT_S = 900.0


def model_of(case: Case, count: int) -> ModelFile:
    """The first `count` nodes of a case in one model; node i is the same whatever the count."""
    builder = ModelBuilder(case.name)
    for number in range(count):
        case.add(builder, np.random.default_rng([crc32(case.name.encode()), number]))
    return read(builder.finish(), name=NAME)


def inputs_of(graph: Graph) -> tuple[Inference, ...]:
    """Random inputs, then all −128, all 127, all zero point."""
    return random_inputs(graph, RANDOM_INPUTS, seed=1)


def generate(graph: Graph, board: Board, reference: Reference) -> Sources:
    """C for a graph of independent nodes, each run in several ranges of rows."""
    schedule = every_kernel(graph, board.target.features)
    planned = place(graph, schedule, cut_steps(graph, schedule))
    check(graph, schedule, planned)
    return generate_planned(graph, schedule, planned, board, reference)


def every_kernel(graph: Graph, features: frozenset[str]) -> Schedule:
    """Each node with one of its kernels in turn."""
    return Schedule({layer: _kernel(node, features) for layer, node in enumerate(graph.nodes)})


def generate_planned(graph: Graph, schedule: Schedule, planned: Plan, board: Board, reference: Reference) -> Sources:
    """C for a plan."""
    program = lower(graph, schedule, planned, NAME, reference)
    return emit(program, model_sha256="0" * 64, target=board.target.name)


def cut_steps(graph: Graph, schedule: Schedule) -> list[Step]:
    """Every node in up to four ranges of rows."""
    rng = np.random.default_rng(2)
    steps = []
    for whole in whole_steps(graph, schedule):
        rows, node = whole.row_end, graph.nodes[whole.layer]
        inner = [] if node.op.view_of(node) is not None else rng.integers(0, rows, 3, endpoint=True).tolist()
        cuts = sorted({0, rows, *inner})
        steps += [Step(whole.layer, begin, end) for begin, end in itertools.pairwise(cuts)]
    return steps


def _kernel(node: Node, features: frozenset[str]) -> Kernel | None:
    """In turn one of the kernels that apply and need the most features: the choice by cost would leave some out.

    Every second node that kernels may accumulate is for them.
    """
    kernels = kernels_for(node, features)
    most = max((len(kernel.features) for kernel in kernels), default=0)
    best = [kernel for kernel in kernels if len(kernel.features) == most]
    sums = [kernel for kernel in best if kernel.access.accumulates]
    if sums and node.index % 2:
        return sums[node.index // 2 % len(sums)]
    return best[node.index % len(best)] if best else None


def roomy(board: Board) -> Board:
    """The board with 8 MiB in each memory, so that a model of many nodes fits."""
    memories = tuple(msgspec.structs.replace(m, size_bytes=max(m.size_bytes, 8 << 20)) for m in board.memories)
    return dataclasses.replace(board, memories=memories)


def run_c(
    sources: Sources,
    graph: Graph,
    inputs: Sequence[Inference],
    board: Board,
    emulator: Emulator,
    platform: Platform,
    directory: Path,
) -> list[dict[int, Array]]:
    """What the C computes for every node's outputs, by inference and tensor index."""
    firmware = build_firmware(sources.files, sources.name, board, Build.VALIDATION, directory, platform=platform)
    run = emulator.run(firmware, Job(as_bytes(inputs), tuple(t.size_bytes for t in graph.outputs), TIMEOUT_S))
    return [
        {
            tensor.index: np.frombuffer(data, tensor.dtype.numpy).reshape(tensor.shape)
            for tensor, data in zip(graph.outputs, inference.outputs, strict=True)
        }
        for inference in run.inferences
    ]


def assert_equal(
    case: Case, graph: Graph, expected: Sequence[Mapping[int, Array]], found: Sequence[Mapping[int, Array]]
) -> None:
    """Every output of every node, byte for byte; the message names the nodes that differ and how to see one again."""
    lines: list[str] = []
    compared = 0
    for node in graph.nodes:
        tensor = node.output
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            compared += tensor.elements
            differs = wanted[tensor.index].view(np.uint8) != got[tensor.index].view(np.uint8)
            if differs.any():
                lines.append(_difference(node, number, wanted[tensor.index], got[tensor.index]))
                break
    assert compared > 0
    if lines:
        raise AssertionError(
            f"{len(lines)} of {len(graph.nodes)} nodes of case {case.name!r} differ; "
            f"model: tests.ops.harness.model_of\n" + "\n".join(lines[:8])
        )


def _difference(node: Node, number: int, wanted: Array, got: Array) -> str:
    where = np.argwhere(wanted != got)
    at = tuple(int(i) for i in where[0])
    operands = ", ".join("none" if t is None else t.describe() for t in node.inputs)
    return (
        f"node {node.index}, input set {number}: {len(where)} of {wanted.size} values differ, first at {at}: "
        f"{wanted[at]} expected, {got[at]} found\n    {node.op} of {operands} to {node.output.describe()}"
    )
