"""Every kernel holds, in C, as far as the planner lets its output reach into its dying input, and no further."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from tests.ops.cases import CASES
from tests.ops.harness import NAME, cut_steps, every_kernel, generate_planned, inputs_of, run_c
from tests.support.models import ModelBuilder
from tinygen.boards import Board, load_board
from tinygen.emulate import find_emulator
from tinygen.errors import EmulatorError
from tinygen.ir import Direction, Graph, Reference, Unit
from tinygen.kernels import Schedule
from tinygen.ops.conv2d import Conv2D
from tinygen.plan import Plan, Step, View
from tinygen.plan.check import PlanError, check
from tinygen.plan.distances import aligned, forbidden
from tinygen.plan.lives import Value, follow
from tinygen.plan.place import whole_steps
from tinygen.plan.units import Layer, layers_of
from tinygen.tflite import read
from tinygen.toolchain import Platform
from tinygen.validate.evaluate import evaluate

NODES = 4
BOARDS = tuple(map(load_board, ("microbit", "nano33")))
VIEWS = frozenset({"reshape", "squeeze", "expand_dims"})
CAUGHT = {"concatenation": "overlap", "pad": "overlap", "softmax": "buffer-overflow"}
"""Cases that the sanitizers stop beyond the limit: memcpy onto itself; a difference that the table does not have."""

MODEST = {"mean_s8__c", "mean_s8__dsp", "depthwise_conv2d_s8__dsp_3x3", "depthwise_conv2d_s8__dsp_3x3l"}
"""Kernels that keep more than they state: a mean over height and width goes channel by channel, and the large planes of
a depthwise convolution hold all rows of a small input."""


PORTABLE = {"conv2d_s8__c", "conv2d_s8__c_backward"}
"""Where there are DSP instructions, these two do not come in turn."""


Steps = Callable[[Graph, Schedule], Sequence[Step]]

STEPS: dict[str, Steps] = {"whole": whole_steps, "cut": cut_steps}


def model(names: Callable[[str], bool]) -> Graph:
    """A few nodes of every case in one model, each with inputs and outputs of its own."""
    builder = ModelBuilder("limits")
    rng = np.random.default_rng(0)
    if names("large"):  # every kernel's turn comes, see every_kernel
        for op in ("DEPTHWISE_CONV_2D",) * 18 + ("CONV_2D",) * 18:
            large_window(builder, rng, op)
        for _ in range(18):
            wider_pixels(builder, rng)
    for case in CASES:
        if Reference.LITERT in case.references and case.name not in VIEWS and names(case.name):
            for number in range(NODES):
                case.add(builder, np.random.default_rng([crc32(case.name.encode()), number]))
    return read(builder.finish(), name=NAME).graph


def large_window(b: ModelBuilder, rng: np.random.Generator, op: str) -> None:
    """A window of 3 x 3 over more rows and columns than a kernel takes at a time."""
    x = b.input((1, 24, 18, 4), scale=0.05)
    shape = (4, 3, 3, 4) if op == "CONV_2D" else (1, 3, 3, 4)
    weights = b.constant(rng.integers(-127, 128, shape).astype(np.int8), scales=0.002)
    y = b.tensor((1, 24, 18, 4), scale=0.05)
    options = {} if op == "CONV_2D" else {"depth_multiplier": 1}
    b.node(op, [x, weights, None], [y], stride_w=1, stride_h=1, padding="SAME", **options)
    b.output(y)


def wider_pixels(b: ModelBuilder, rng: np.random.Generator) -> None:
    """A convolution of 1 x 1 to more channels, which kernels that go backward take too."""
    x = b.input((1, 5, 7, 8), scale=0.05)
    weights = b.constant(rng.integers(-127, 128, (12, 1, 1, 8)).astype(np.int8), scales=0.01)
    y = b.tensor((1, 5, 7, 12), scale=0.05)
    b.node("CONV_2D", [x, weights, None], [y], stride_w=1, stride_h=1, padding="VALID")
    b.output(y)


def limit(layer: Layer, source: Value, sink: Value) -> tuple[int, int] | None:
    """The greatest distance at which an output still lies before what its first operand needs, and one too far.

    The least one behind it, and one too near, where a kernel goes backward.

    None where no distance is forbidden. The second is one element more where a kernel goes element by element, a pixel
    more where whole pixels keep channels apart, else the unit's own bytes more; kernels of whole pixels read up to
    three before they write.
    """
    access = layer.access
    (operand, *_), output = layer.operands, layer.node.output
    pixel = output.nhwc[3] * output.dtype.size_bytes
    if access.reads_first:
        more = max(operand.dtype.size_bytes, output.dtype.size_bytes) if access.elementwise else 3 * pixel
        gaps = forbidden(source.life(), sink.life(), output.dtype.size_bytes)
    elif layer.keeps_channels:
        gaps, more = forbidden(source.life(), sink.life(), pixel), pixel
    else:
        unit = {Unit.ELEMENT: pixel, Unit.ROW: output.row_bytes}.get(access.unit, output.size_bytes)
        gaps, more = forbidden(source.life(), sink.life(), 1), unit
    if gaps is None:
        return None
    if access.direction is Direction.BACKWARD:
        return gaps.ends[-1], gaps.ends[-1] - more
    return gaps.begins[0] - gaps.step, gaps.begins[0] - gaps.step + more


def at_the_limit(graph: Graph, schedule: Schedule, steps: Sequence[Step], too_far: int) -> tuple[Plan, list[int]]:
    """Each node in a part of the arena of its own, its output at the limit or too far.

    Returns the plan, and the layers that have a limit.
    """
    layers = layers_of(graph, schedule)
    timeline = follow(graph, layers, steps)
    views: dict[int, View] = {}
    scratch: dict[int, int] = {}
    base, limited = 0, []
    for index, layer in enumerate(layers):
        assert layer is not None
        sink = layer.node.output
        places = {sink: base}
        if layer.operands:
            source = layer.operands[0]
            found = limit(layer, timeline.values[source.index], timeline.values[sink.index])
            distance = aligned(source.size_bytes) if found is None else found[too_far]
            places = {source: base + aligned(max(0, -distance))}
            places[sink] = places[source] + distance
            if found is not None:
                limited.append(index)
        base = aligned(max(at + tensor.size_bytes for tensor, at in places.items()))
        for tensor in layer.operands[1:]:
            places.setdefault(tensor, base)
            base = aligned(max(base, places[tensor] + tensor.size_bytes))
        views |= {t.index: View(at, t.row_bytes, t.rows, t.row_bytes) for t, at in places.items()}
        if layer.scratch_bytes:
            scratch[index] = base
            base = aligned(base + layer.scratch_bytes)
    for tensor in graph.inputs:
        if tensor.index not in views:  # nobody reads it
            views[tensor.index] = View(base, tensor.row_bytes, tensor.rows, tensor.row_bytes)
            base = aligned(base + tensor.size_bytes)
    return Plan(views, scratch, tuple(steps), (), (), (), (), base, 0), limited


def wrong_layers(graph: Graph, schedule: Schedule, planned: Plan, board: Board, folder: Path) -> set[int]:
    """The layers of which a value differs from numpy's."""
    inputs = inputs_of(graph)
    sources = generate_planned(graph, schedule, planned, board, Reference.LITERT)
    found = run_c(sources, graph, inputs, board, find_emulator(board, "host"), Platform.HOST, folder)
    wrong = set()
    for values, got in zip(inputs, found, strict=True):
        expected = evaluate(graph, values, Reference.LITERT)
        for layer, node in enumerate(graph.nodes):
            index = node.output.index
            if (expected[index].view(np.uint8) != got[index].view(np.uint8)).any():
                wrong.add(layer)
    return wrong


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_kernel_is_right_at_the_limit(board: Board, steps: Steps, tmp_path: Path) -> None:
    graph = model(lambda name: True)
    schedule = every_kernel(graph, board.target.features)
    planned, _ = at_the_limit(graph, schedule, steps(graph, schedule), 0)
    check(graph, schedule, planned)
    assert wrong_layers(graph, schedule, planned, board, tmp_path) == set()


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_kernel_is_wrong_beyond_the_limit(board: Board, steps: Steps, tmp_path: Path) -> None:
    graph = model(lambda name: not any(word in name for word in CAUGHT))
    schedule = every_kernel(graph, board.target.features)
    planned, limited = at_the_limit(graph, schedule, steps(graph, schedule), 1)
    with pytest.raises(PlanError):
        check(graph, schedule, planned)
    wrong = wrong_layers(graph, schedule, planned, board, tmp_path)
    assert wrong <= set(limited)
    kernels = {layer: kernel.name for layer, kernel in schedule.kernels.items() if kernel is not None}
    of_kernel = Counter(kernels[layer] for layer in limited)
    often = {
        name for name, count in of_kernel.items() if count > 2
    }  # on a small node a byte too far may change nothing
    assert often - {kernels[layer] for layer in wrong} <= MODEST
    convolutions = {kernel.name for kernel in Conv2D.kernels if kernel.features <= board.target.features}
    assert len(often) > 10 and often >= (convolutions if not board.target.features else convolutions - PORTABLE)


@pytest.mark.parametrize(("word", "message"), CAUGHT.items())
def test_the_sanitizers_see_a_kernel_beyond_the_limit(word: str, message: str, tmp_path: Path) -> None:
    graph = model(lambda name: word in name)
    board = BOARDS[0]
    schedule = every_kernel(graph, board.target.features)
    planned, limited = at_the_limit(graph, schedule, whole_steps(graph, schedule), 1)
    assert limited
    with pytest.raises(EmulatorError, match=message):
        wrong_layers(graph, schedule, planned, board, tmp_path)
