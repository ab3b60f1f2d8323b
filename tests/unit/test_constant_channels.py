"""Dropping constant channels: what goes, what must stay, and that every value that is left is the reference's."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.filters import SCALE, RandomFilters
from tests.support.models import ModelBuilder, Operand
from tinygen import ConstantChannels, Options, compile_model, load_board, validate
from tinygen.cli import main
from tinygen.errors import ToolError
from tinygen.ir import Graph, Reduction, Reference
from tinygen.passes import constant_channels
from tinygen.passes.constant_channels import drop_constant_channels
from tinygen.report.changes import changes_rows
from tinygen.tflite import read, read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import random_inputs
from tinygen.validate.vectors import make_vectors

ZERO_POINT = 7
BELOW, WITHIN, ABOVE = -(10**6), 0, 10**6
"""Biases: every sum lies below the range, within it, above it."""


class Model:
    """x (4×4 pixels of 2 channels) → a 1×1 convolution with these biases → whatever a test adds."""

    def __init__(self, biases: Sequence[int], activation: str = "NONE") -> None:
        self.b = ModelBuilder()
        self.rng = np.random.default_rng(0)
        self.x = self.b.input((1, 4, 4, 2), scale=SCALE)
        self.made = self.convolution(self.x, len(biases), biases=biases, activation=activation)

    def shape(self, x: Operand) -> tuple[int, ...]:
        return tuple(self.b.tensors[x].fields["shape"])

    def filter(self, shape: tuple[int, ...], biases: Sequence[int], axis: int) -> list[Operand | None]:
        weights = self.rng.integers(1, 128, shape).astype(np.int8)
        scales = [0.002] * shape[axis]
        bias = self.b.constant(np.array(biases, np.int32), scales=[SCALE * s for s in scales])
        return [self.b.constant(weights, scales=scales, axis=axis), bias]

    def add(self, op: str, inputs: list[Operand | None], shape: tuple[int, ...], **options: object) -> Operand:
        y = self.b.tensor(shape, scale=SCALE, zero_point=ZERO_POINT)
        self.b.node(op, inputs, [y], **options)
        return y

    def convolution(
        self,
        x: Operand,
        outputs: int,
        *,
        taps: int = 1,
        padding: str = "SAME",
        biases: Sequence[int] | None = None,
        activation: str = "NONE",
    ) -> Operand:
        batch, height, _, channels = self.shape(x)
        side = height if padding == "SAME" else height - taps + 1
        weights = self.filter((outputs, taps, taps, channels), biases or [WITHIN] * outputs, 0)
        options = {"stride_w": 1, "stride_h": 1, "padding": padding, "fused_activation_function": activation}
        return self.add("CONV_2D", [x, *weights], (batch, side, side, outputs), **options)

    def depthwise(self, x: Operand, biases: Sequence[int], multiplier: int = 1) -> Operand:
        shape = (*self.shape(x)[:-1], len(biases))
        weights = self.filter((1, 3, 3, len(biases)), biases, 3)
        options = {"stride_w": 1, "stride_h": 1, "depth_multiplier": multiplier, "padding": "SAME"}
        return self.add("DEPTHWISE_CONV_2D", [x, *weights], shape, **options)

    def reductions(self, *outputs: Operand) -> dict[int, Reduction]:
        """What is left out; the rest is compared with the whole model on the way."""
        self.b.output(*outputs)
        return dict(checked(read_model(self.b.finish()), Reference.LITERT).reductions)


def checked(graph: Graph, reference: Reference, seed: int = 0) -> Graph:
    """The graph without constant channels, compared in numpy with the whole one on every tensor."""
    reduced = drop_constant_channels(graph, reference)
    for node in reduced.nodes:
        assert node.op.infer(node) == tuple(t.shape for t in node.outputs)
        assert [rule(node) for rule in node.op.constraints] == [None] * len(node.op.constraints)
    for arrays in random_inputs(graph, 3, seed):
        whole, found = evaluate(graph, arrays, reference), evaluate(reduced, arrays, reference)
        for tensor in (t for node in reduced.nodes for t in node.outputs):
            reduction = reduced.reductions.get(tensor.index)
            wanted = whole[tensor.index] if reduction is None else reduction.of(whole[tensor.index])
            assert wanted.tobytes() == found[tensor.index].tobytes(), f"tensor {tensor.index}"
        for index, reduction in reduced.reductions.items():
            for channel, value in reduction.constants.items():
                assert (whole[index][..., channel] == value).all()
    return reduced


# --- random graphs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(80))
def test_every_value_that_is_left_is_as_it_was(seed: int) -> None:
    checked(read_model(RandomFilters(seed).b.finish()), [*Reference][seed % 2], seed)


def test_random_graphs_lose_constant_channels_and_unused_ones() -> None:
    graphs = [read_model(RandomFilters(seed).b.finish()) for seed in range(20)]
    lost = [r for g in graphs for r in drop_constant_channels(g, Reference.LITERT).reductions.values()]
    assert sum(len(r.constants) for r in lost) > 300
    assert sum(len(r.unused) for r in lost) > 3


@pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)
@pytest.mark.parametrize("seed", [7, 13])
def test_the_generated_c_is_equal_to_the_interpreter_and_proved_values_are_too(seed: int, reference: Reference) -> None:
    compiled = compile_model(read(RandomFilters(seed).b.finish()), load_board("nano33"), Options(reference))
    assert len(compiled.program.graph.reductions) > 4
    try:
        comparison = validate(compiled, emulator="host", inputs=2)
    except ToolError as missing:
        if "is not installed" not in str(missing):
            raise
        pytest.skip(str(missing))
    assert comparison.first_difference is None


# --- what goes ----------------------------------------------------------------------------------------------------


def test_constants_go_into_the_bias_of_a_pointwise_convolution() -> None:
    m = Model([BELOW, WITHIN, ABOVE, WITHIN, BELOW, WITHIN, BELOW, WITHIN])
    left_out = m.reductions(m.convolution(m.made, 3))
    assert left_out.keys() == {m.made}
    assert left_out[m.made].kept == (1, 3, 5, 7)
    assert left_out[m.made].constants == {0: -128, 2: 127, 4: -128, 6: -128}
    assert left_out[m.made].unused == ()


def test_a_filter_without_bias_gets_one() -> None:
    m = Model([ABOVE] * 4 + [WITHIN] * 4)
    weights = m.b.constant(np.ones((2, 1, 1, 8), np.int8), scales=0.01)
    y = m.add("CONV_2D", [m.made, weights, None], (1, 4, 4, 2), stride_w=1, stride_h=1)
    m.b.output(y)
    (_, node) = checked(read_model(m.b.finish()), Reference.LITERT).nodes
    bias = node.input(2)
    assert bias.data is not None and bias.data.tolist() == [4 * (127 - ZERO_POINT)] * 2


def test_channels_fall_through_operators_that_go_channel_by_channel() -> None:
    m = Model([BELOW, WITHIN] * 4)
    after = [m.made, m.depthwise(m.made, [BELOW, WITHIN] * 4)]
    pool = {"stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2, "padding": "SAME"}
    after.append(m.add("AVERAGE_POOL_2D", [after[-1]], (1, 4, 4, 8), **pool))
    after.append(m.add("RELU", [after[-1]], (1, 4, 4, 8)))
    one_a_channel = m.b.constant(np.arange(8, dtype=np.int8), scales=SCALE)
    after.append(m.add("ADD", [after[-1], one_a_channel], (1, 4, 4, 8)))
    after.append(m.add("RESHAPE", [after[-1]], (1, 128), new_shape=[1, 128]))
    y = m.add("FULLY_CONNECTED", [after[-1], *m.filter((3, 128), [WITHIN] * 3, 0)], (1, 3))
    left_out = m.reductions(y)
    assert [left_out[t].kept for t in after[:-1]] == [(1, 3, 5, 7)] * 5
    assert left_out[after[-1]].kept == tuple(range(1, 128, 2))


def test_what_only_a_constant_reads_is_unused_and_goes_as_well() -> None:
    m = Model([WITHIN] * 8)
    after = m.depthwise(m.made, [ABOVE] * 4 + [WITHIN] * 4)
    left_out = m.reductions(m.convolution(after, 2))
    assert left_out[after].constants == {c: 127 for c in range(4)}
    assert (left_out[m.made].unused, left_out[m.made].constants) == ((0, 1, 2, 3), {})


def test_a_channel_that_no_filter_weighs_is_unused() -> None:
    m = Model([WITHIN] * 8)
    weights = np.zeros((1, 1, 1, 8), np.int8)
    weights[..., 4:] = 1
    y = m.add("CONV_2D", [m.made, m.b.constant(weights, scales=0.01), None], (1, 4, 4, 1), stride_w=1, stride_h=1)
    assert m.reductions(y)[m.made].unused == (0, 1, 2, 3)


def test_a_depthwise_filter_of_one_channel_loses_outputs_one_by_one() -> None:
    b = Model([WITHIN])
    after = b.depthwise(b.made, [ABOVE, WITHIN] * 4, multiplier=8)
    assert b.reductions(b.convolution(after, 2))[after].kept == (1, 3, 5, 7)


@pytest.mark.parametrize(
    ("constants", "kept"),
    [(0, None), (1, None), (3, None), (4, range(4, 8)), (5, (0, *range(5, 8))), (7, (0, 1, 2, 7)), (8, (0,))],
)
def test_whole_words_of_channels_are_kept_and_at_least_one(constants: int, kept: Sequence[int] | None) -> None:
    m = Model([ABOVE] * constants + [WITHIN] * (8 - constants))
    left_out = m.reductions(m.convolution(m.made, 2))
    assert (left_out[m.made].kept if left_out else None) == (None if kept is None else tuple(kept))
    if kept is not None:
        assert left_out[m.made].fillers == tuple(c for c in kept if c < constants)


# --- what must stay -----------------------------------------------------------------------------------------------

BIASES = [BELOW] * 4 + [WITHIN] * 4


@pytest.mark.parametrize(
    ("activation", "padding", "goes"),
    [("RELU", "SAME", True), ("NONE", "SAME", False), ("NONE", "VALID", True)],
)
def test_a_constant_goes_into_a_padded_filter_only_where_it_is_the_zero_point(
    activation: str, padding: str, goes: bool
) -> None:
    m = Model(BIASES, activation)  # RELU's lowest value is the zero point, without it that is −128
    assert (m.made in m.reductions(m.convolution(m.made, 2, taps=3, padding=padding))) is goes


def test_a_padded_filter_whose_outer_taps_do_not_weigh_a_constant_takes_it() -> None:
    m = Model(BIASES)
    weights = np.ones((1, 3, 3, 8), np.int8)
    weights[..., :4] = 0
    weights[:, 1, 1] = 1
    y = m.add("CONV_2D", [m.made, m.b.constant(weights, scales=0.01), None], (1, 4, 4, 1), stride_w=1, stride_h=1)
    assert m.reductions(y)[m.made].kept == (4, 5, 6, 7)


def softmax(m: Model) -> Operand:
    y = m.b.tensor((1, 4, 4, 8), scale=1 / 256, zero_point=-128)
    m.b.node("SOFTMAX", [m.made], [y], beta=1.0)
    return y


READERS: dict[str, Callable[[Model], Operand]] = {
    "the model's caller": lambda m: m.made,
    "an operator over all channels": softmax,
    "a grouped convolution": lambda m: m.add(
        "CONV_2D", [m.made, *m.filter((2, 1, 1, 4), [WITHIN] * 2, 0)], (1, 4, 4, 2), stride_w=1, stride_h=1
    ),
    "a sum with a tensor that needs them": lambda m: m.convolution(
        m.add("ADD", [m.made, m.convolution(m.x, 8)], (1, 4, 4, 8)), 2
    ),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_channels_stay_that_another_reader_needs(reader: Callable[[Model], Operand]) -> None:
    alone, both = Model(BIASES), Model(BIASES)
    assert alone.made in alone.reductions(alone.convolution(alone.made, 2))
    assert both.made not in both.reductions(both.convolution(both.made, 2), reader(both))


def test_a_variable_channel_that_depthwise_makes_constant_stays_where_it_is_read_elsewhere() -> None:
    m = Model([WITHIN] * 8)
    after = m.depthwise(m.made, [ABOVE] * 4 + [WITHIN] * 4)
    assert m.reductions(m.convolution(after, 2), m.convolution(m.made, 2)) == {}


def test_inputs_and_outputs_keep_their_channels() -> None:
    m = Model(BIASES)
    zeros = m.b.constant(np.zeros((8, 1, 1, 2), np.int8), scales=0.01)
    blind = m.add("CONV_2D", [m.x, zeros, None], (1, 4, 4, 8), stride_w=1, stride_h=1)
    assert m.reductions(m.made, blind) == {}


# --- options and bounds -------------------------------------------------------------------------------------------


def test_the_option_keeps_them() -> None:
    m = Model(BIASES)
    m.b.output(m.convolution(m.made, 2))
    model, board = read(m.b.finish()), load_board("nano33")
    dropped, kept = (compile_model(model, board, Options(constant_channels=c)).program for c in ConstantChannels)
    assert [*dropped.graph.reductions] == [m.made] and not kept.graph.reductions
    assert dropped.graph.nodes[0].output.shape == (1, 4, 4, 4)
    assert kept.graph.nodes[0].output.shape == (1, 4, 4, 8)


def a_file(folder: Path) -> tuple[str, Model]:
    m = Model(BIASES)
    m.b.output(m.convolution(m.made, 2))
    path = folder / "m.tflite"
    path.write_bytes(m.b.finish())
    return str(path), m


def test_inspect_lists_every_channel_that_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, m = a_file(tmp_path)
    assert main(["inspect", path, "--board", "nano33", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reduced_tensors"] == [
        {
            "tensor": m.made,
            "name": f"t{m.made}",
            "layer": 0,
            "channels": 8,
            "dropped": 4,
            "kept": [4, 5, 6, 7],
            "fillers": [],
            "constants": {"channels": [0, 1, 2, 3], "values": [-128] * 4},
            "unused": [],
        }
    ]
    assert (told["macs"], told["model_macs"]) == (16 * (2 * 4 + 4 * 2), 16 * (2 * 8 + 8 * 2))
    assert main(["inspect", path, "--board", "nano33"]) == 0
    assert f"    0   t{m.made}              8          4         0          4        0" in capsys.readouterr().out


def test_summaries_count_them_and_name_the_command_that_lists_them(tmp_path: Path) -> None:
    path, _ = a_file(tmp_path)
    rows = dict(changes_rows(compile_model(read(path), load_board("nano33")).program.graph))
    assert rows["channels"] == "4 of 10 are not computed: 4 are constant; `tinygen inspect --board` lists them"


def test_the_command_lines_option_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = a_file(tmp_path)
    assert main(["inspect", path, "--board", "nano33", "--json", "--keep-constant-channels"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reduced_tensors"] == [] and told["macs"] == told["model_macs"]


def test_the_self_test_checks_what_is_computed_against_the_whole_models_values(tmp_path: Path) -> None:
    path, m = a_file(tmp_path)
    compiled = compile_model(read(path), load_board("nano33"))
    (arrays,) = random_inputs(compiled.model.graph, 1, 0)[:1]
    whole = evaluate(compiled.model.graph, arrays, Reference.LITERT)
    first, _ = make_vectors(compiled, 1).expected[0]
    assert first == zlib.crc32(np.ascontiguousarray(whole[m.made][..., 4:]).tobytes())


@pytest.mark.parametrize(("bound", "value"), [("LARGEST_TOTAL", 8), ("LARGEST_WEIGHTS", 16), ("MOST_SWEEPS", 1)])
def test_a_graph_beyond_a_bound_is_left_as_it_is(bound: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    m = Model(BIASES)
    m.b.output(m.convolution(m.made, 2))
    graph = read_model(m.b.finish())
    monkeypatch.setattr(constant_channels, bound, value)
    assert drop_constant_channels(graph, Reference.LITERT) is graph


def test_thousands_of_operators_and_channels_take_seconds() -> None:
    b = ModelBuilder()
    at = b.input((1, 1, 1, 1000), scale=SCALE)
    weights = b.constant(np.ones((1000, 1, 1, 1), np.int8).reshape(1, 1, 1, 1000), scales=0.01)
    for number in range(1000):
        y = b.tensor((1, 1, 1, 1000), scale=SCALE)
        if number % 2:
            b.node("ADD", [at, at], [y])
        else:
            b.node("DEPTHWISE_CONV_2D", [at, weights, None], [y], stride_w=1, stride_h=1, depth_multiplier=1)
        at = y
    b.output(at)
    graph = read_model(b.finish())
    started = time.perf_counter()
    assert drop_constant_channels(graph, Reference.LITERT) is graph
    assert time.perf_counter() - started < 30
