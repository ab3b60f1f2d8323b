"""A pointwise and a depthwise convolution as one operator give, in C, what both give: every tail, stride and call."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.ops.cases.draw import CLAMPS, Rng, between, chance, int8, one_of, output_scale, zero_point
from tests.ops.harness import NAME, cut_steps, generate_planned, inputs_of, roomy, run_c
from tests.ops.limits import arranged, finest, wrong_layers
from tests.ops.test_c_on_host import CPP17
from tests.support.models import ModelBuilder, Operand
from tinygen.boards import Board, load_board
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.ir import Graph, Kernel, Reference
from tinygen.kernels import Schedule, kernels_for
from tinygen.ops.expand_depthwise import ExpandDepthwise
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan.check import check
from tinygen.plan.place import place
from tinygen.tflite import read
from tinygen.toolchain import Platform, board_platform, find_toolchain
from tinygen.validate.evaluate import evaluate

DSP = load_board("nano33")
PAIRS, NINE_TAPS = 51, 34
SUMS = 2.0**-11
"""The scale of a filter's sums."""


def pairs(count: int) -> Graph:
    """Pairs with inputs of their own: 1 to 17 channels between them, 3 x 3 taps in two thirds, which DSP is for."""
    builder, rng = ModelBuilder("pairs"), np.random.default_rng(5)
    for number in range(count):
        add_pair(builder, rng, number % 17 + 1, has_nine_taps=number < NINE_TAPS)
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


def in_turn(graph: Graph, board: Board) -> Schedule:
    """Each node with one of the kernels that need the most features, so that all come about equally often."""
    chosen: dict[int, Kernel | None] = {}
    for layer, node in enumerate(graph.nodes):
        kernels = kernels_for(node, board.target.features)
        best = [k for k in kernels if len(k.features) == len(kernels[0].features)]
        chosen[layer] = best[layer % len(best)]
    return Schedule(chosen)


def test_each_kernel_has_its_pairs_and_each_number_of_channels_a_fast_one() -> None:
    whole = pairs(PAIRS)
    fused = fuse_expansions(whole, expansions(whole))
    used = [(k.name, fused.nodes[i].output.shape[3]) for i, k in in_turn(fused, DSP).kernels.items() if k]
    assert {channels for name, channels in used if name != "expand_depthwise_s8__c"} == set(range(1, 18))
    assert {name for name, _ in used} == {kernel.name for kernel in ExpandDepthwise.kernels}


def test_every_pair_becomes_one_operator_and_its_tensor_is_listed() -> None:
    whole = pairs(PAIRS)
    fused = fuse_expansions(whole, expansions(whole))
    assert len(fused.nodes) == len(fused.fusions) == PAIRS
    assert [f.tensor.index for f in fused.fusions] == [node.output.index for node in whole.nodes[::2]]
    assert {(f.op, f.into - f.operator) for f in fused.fusions} == {("CONV_2D", 1)}
    for reference in Reference:
        (values, *_) = inputs_of(whole)
        wanted, found = evaluate(whole, values, reference), evaluate(fused, values, reference)
        assert all(wanted[t.index].tobytes() == found[t.index].tobytes() for t in fused.outputs)
        assert fused.macs == whole.macs


RUNS = {
    "portable": (load_board("microbit"), Platform.HOST, PAIRS),
    "what defines the DSP form": (DSP, Platform.HOST, 6),
    "DSP": (DSP, board_platform(DSP), PAIRS),
}
"""Board, where it runs, and how many pairs; compilers with sanitizers are slow."""


@pytest.mark.parametrize(("board", "platform", "count"), RUNS.values(), ids=RUNS.keys())
def test_c_of_both_in_one_equals_numpy_of_each(board: Board, platform: Platform, count: int, tmp_path: Path) -> None:
    try:
        emulator = find_emulator(roomy(board), "host" if platform is Platform.HOST else "unicorn")
        if platform is not Platform.HOST:
            find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    whole = pairs(count)
    fused = fuse_expansions(whole, expansions(whole))
    schedule = in_turn(fused, board)
    planned = place(fused, schedule, cut_steps(fused, schedule))
    check(fused, schedule, planned)
    inputs = inputs_of(whole)
    sources = generate_planned(fused, schedule, planned, board, Reference.LITERT)
    found = run_c(sources, fused, inputs, roomy(board), emulator, platform, tmp_path)
    for values, got in zip(inputs, found, strict=True):
        wanted = evaluate(whole, values, Reference.LITERT)
        for node in fused.nodes:
            assert wanted[node.output.index].tobytes() == got[node.output.index].tobytes(), node.describe()


@pytest.mark.parametrize("board", (load_board("microbit"), DSP), ids=lambda board: board.name)
def test_an_output_reaches_as_far_into_its_dying_input_as_the_planner_lets_it(board: Board, tmp_path: Path) -> None:
    whole = pairs(5)
    fused = fuse_expansions(whole, expansions(whole))
    schedule = in_turn(fused, board)
    steps = cut_steps(fused, schedule)
    planned = arranged(fused, schedule, steps, finest(fused, schedule, steps))
    check(fused, schedule, planned)
    assert not wrong_layers(fused, schedule, planned, board, tmp_path)


@pytest.mark.parametrize("compiler", ("g++", "clang++"))
def test_c_of_both_in_one_is_valid_cpp(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed: apt install g++ clang")
    whole = pairs(20)
    fused = fuse_expansions(whole, expansions(whole))
    schedule = in_turn(fused, DSP)
    planned = place(fused, schedule, cut_steps(fused, schedule))
    for name, text in generate_planned(fused, schedule, planned, DSP, Reference.LITERT).files.items():
        (tmp_path / name).write_text(text)
    units = [path.name for path in tmp_path.glob("*.c")]
    done = subprocess.run(
        [compiler, *CPP17, "-x", "c++", *units], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
