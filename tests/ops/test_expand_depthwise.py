"""A pointwise and a depthwise convolution as one operator give, in C, what both give: every tail, stride and call."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.ops.cases.draw import CLAMPS, Rng, between, chance, int8, one_of, output_scale, zero_point
from tests.ops.harness import NAME, cut_steps, every_kernel, generate_planned, inputs_of, run_c
from tests.support.models import ModelBuilder, Operand
from tinygen.boards import Board, load_board
from tinygen.emit import Sources
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.ir import Graph, Reference
from tinygen.kernels import Schedule, kernels_for
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan.check import check
from tinygen.plan.place import place
from tinygen.tflite import read
from tinygen.toolchain import Platform, board_platform, find_toolchain
from tinygen.validate.evaluate import evaluate

PORTABLE, DSP = load_board("microbit"), load_board("nano33")
PAIRS = 51
SUMS = 2.0**-11
"""The scale of a filter's sums."""


def pairs() -> Graph:
    """Pairs with inputs of their own: 1 to 17 channels between them, 3 x 3 taps in two thirds, which DSP is for."""
    builder, rng = ModelBuilder("pairs"), np.random.default_rng(5)
    for number in range(PAIRS):
        add_pair(builder, rng, number % 17 + 1, has_nine_taps=number < 34)
    return read(builder.finish(), name=NAME).graph


def add_pair(b: ModelBuilder, rng: Rng, channels: int, *, has_nine_taps: bool) -> None:
    depth, stride, padding = between(rng, 1, 17), between(rng, 1, 2), str(one_of(rng, "SAME", "VALID"))
    taps = (3, 3) if has_nine_taps else (between(rng, 1, 4), between(rng, 1, 4))
    dilations = [2 if not has_nine_taps and chance(rng, 0.3) else 1 for _ in range(2)]
    extents = [(t - 1) * d + 1 for t, d in zip(taps, dilations, strict=True)]
    size = [between(rng, low, low + 9) for low in (extents if padding == "VALID" else (1, 1))]
    result = [
        (n - e) // stride + 1 if padding == "VALID" else -(-n // stride) for n, e in zip(size, extents, strict=True)
    ]
    batch = 2 if chance(rng, 0.2) else 1
    x = b.input((batch, *size, depth), scale=0.04, zero_point=zero_point(rng))
    between_them = filtered(
        b, rng, "CONV_2D", x, 0.04, (channels, 1, 1, depth), (batch, *size, channels), stride_h=1, stride_w=1
    )
    window = {"stride_h": stride, "stride_w": stride, "padding": padding, "depth_multiplier": 1}
    window |= {"dilation_h_factor": dilations[0], "dilation_w_factor": dilations[1]}
    shape = (batch, *result, channels)
    b.output(filtered(b, rng, "DEPTHWISE_CONV_2D", between_them, None, (1, *taps, channels), shape, **window))


def filtered(
    b: ModelBuilder,
    rng: Rng,
    op: str,
    x: Operand,
    input_scale: float | None,
    filter_shape: tuple[int, ...],
    shape: tuple[int, ...],
    **window: object,
) -> Operand:
    """A filter with random weights, scales, bias and clamp; without an input's scale that of the tensor before."""
    scale = input_scale or float(b.tensors[x].fields["quantization"].fields["scale"][0])
    axis, channels = (0 if op == "CONV_2D" else 3), shape[3]
    scales = [float(np.float32(SUMS / scale * factor)) for factor in rng.uniform(0.3, 1, channels)]
    weights = b.constant(int8(rng, *filter_shape), scales=scales, axis=axis)
    terms = int(np.prod(filter_shape)) // channels
    values = rng.integers(-2000, 2000, channels).astype(np.int32)
    y = b.tensor(shape, scale=output_scale(rng, SUMS, terms), zero_point=zero_point(rng))
    clamp = str(one_of(rng, *CLAMPS))
    b.node(op, [x, weights, b.constant(values, scales=1.0)], [y], fused_activation_function=clamp, **window)
    return y


def c_of(graph: Graph, schedule: Schedule, board: Board) -> Sources:
    planned = place(graph, schedule, cut_steps(graph))
    check(graph, schedule, planned)
    return generate_planned(graph, schedule, planned, board, Reference.LITERT)


def schedules(graph: Graph, board: Board) -> list[Schedule]:
    """Each node with one of its fastest kind of kernels in turn; as often as there are such."""
    best = []
    for node in graph.nodes:
        kernels = kernels_for(node, board.target.features)
        best.append([k for k in kernels if len(k.features) == max(len(k.features) for k in kernels)])
    return [
        Schedule({layer: own[turn % len(own)] for layer, own in enumerate(best)}) for turn in range(max(map(len, best)))
    ]


def assert_same(whole: Graph, fused: Graph, board: Board, sources: Sources, platform: Platform, folder: Path) -> None:
    """The C of the fused graph gives what numpy gives of the two operators, one after the other."""
    inputs = inputs_of(whole)
    emulator = find_emulator(board, "host" if platform is Platform.HOST else "unicorn")
    found = run_c(sources, fused, inputs, board, emulator, platform, folder)
    for values, got in zip(inputs, found, strict=True):
        wanted = evaluate(whole, values, Reference.LITERT)
        for node in fused.nodes:
            index = node.output.index
            assert wanted[index].tobytes() == got[index].tobytes(), (node.op, node.output.describe())


@pytest.fixture(scope="module")
def whole() -> Graph:
    return pairs()


@pytest.fixture(scope="module")
def fused(whole: Graph) -> Graph:
    return fuse_expansions(whole, expansions(whole))


def test_every_pair_becomes_one_operator_and_its_tensor_is_listed(whole: Graph, fused: Graph) -> None:
    assert len(fused.nodes) == len(fused.fusions) == PAIRS
    assert [f.tensor.index for f in fused.fusions] == [node.output.index for node in whole.nodes[::2]]
    assert {(f.op, f.into - f.operator) for f in fused.fusions} == {("CONV_2D", 1)}


@pytest.mark.parametrize("board", (PORTABLE, DSP), ids=lambda board: board.name)
def test_c_of_both_in_one_equals_numpy_of_each(board: Board, whole: Graph, fused: Graph, tmp_path: Path) -> None:
    used: Counter[str] = Counter()
    for turn, schedule in enumerate(schedules(fused, board)):
        used.update(kernel.name for kernel in schedule.kernels.values() if kernel is not None)
        sources = c_of(fused, schedule, board)
        assert_same(whole, fused, board, sources, Platform.HOST, tmp_path / str(turn))
    assert min(used.values()) > 10 and len(used) == (1 if board is PORTABLE else 4)
