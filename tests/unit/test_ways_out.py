"""Ways out of a model that does not fit: really planned, with the numbers that such a model has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinygen
from tests.support.models import ModelBuilder
from tests.support.paths import EXAMPLES
from tests.support.samples import many_operators
from tinygen import Options, load_board
from tinygen.attempts import choose
from tinygen.budgets import NO_BUDGETS, Budget, Budgets
from tinygen.cli import main
from tinygen.compile import InputForm
from tinygen.ir import Graph
from tinygen.kernels import Optimize
from tinygen.validate.evaluate import evaluate
from tinygen.variants import channel_group, resized, without_float_edges
from tinygen.ways_out import Kind, WayOut, find_ways_out

_, GESTURE, _ = EXAMPLES


def network(side: int, channels: int, *, bits: int = 0) -> bytes:
    """A small residual network for pictures of side × side, with a flattened map in front of its dense layer."""
    rng = np.random.default_rng(bits)
    b = ModelBuilder()

    def convolution(x: int, inputs: int, outputs: int, taps: int, size: int, stride: int = 1) -> int:
        w = b.constant(rng.integers(-127, 128, (outputs, taps, taps, inputs)).astype(np.int8), scales=[0.01] * outputs)
        y = b.tensor((1, size, size, outputs), scale=0.05, zero_point=1)
        b.node("CONV_2D", [x, w], [y], version=3, padding="SAME", stride_w=stride, stride_h=stride)
        return y

    half = -(-side // 2)
    x = b.input((1, side, side, 3), scale=0.05, zero_point=1)
    x = convolution(x, 3, channels, 3, side)
    z = convolution(x, channels, channels, 1, side)
    y = b.tensor((1, side, side, channels), scale=0.1, zero_point=0)
    b.node("ADD", [x, z], [y])
    w = b.constant(rng.integers(-127, 128, (1, 3, 3, channels)).astype(np.int8), scales=[0.01] * channels, axis=3)
    x = b.tensor((1, half, half, channels), scale=0.05, zero_point=1)
    b.node("DEPTHWISE_CONV_2D", [y, w], [x], padding="SAME", stride_w=2, stride_h=2, depth_multiplier=1)
    flat = half * half * channels
    y = b.tensor((1, flat), scale=0.05, zero_point=1)
    b.node("RESHAPE", [x, b.constant(np.array([1, flat], np.int32))], [y], new_shape=[1, flat])
    z = b.tensor((1, 5), scale=0.5, zero_point=0)
    b.node("FULLY_CONNECTED", [y, b.constant(rng.integers(-9, 9, (5, flat)).astype(np.int8), scales=0.02)], [z])
    b.output(z)
    return b.finish()


def graph_of(model: bytes) -> Graph:
    return tinygen.read_model(model).graph


def ways(model: bytes | Path, budgets: Budgets) -> list[WayOut]:
    return list(find_ways_out(choose([(tinygen.read_model(model), Options())], load_board("nano33"), budgets), budgets))


def ram(most: int) -> Budgets:
    return Budgets(ram=Budget(most, "--max-ram"))


def shapes(graph: Graph) -> list[list[tuple[int, ...]]]:
    return [[t.shape for t in (*node.inputs, *node.outputs) if t is not None] for node in graph.nodes]


def test_a_smaller_input_has_the_shapes_of_a_model_of_that_size() -> None:
    graph = graph_of(network(16, 8))
    smaller = resized(graph, {graph.inputs[0].index: (1, 12, 12, 3)}, {})
    assert shapes(smaller)[:4] == shapes(graph_of(network(12, 8)))[:4]
    assert smaller.nodes[-1].input(1).shape == (5, 6 * 6 * 8)
    assert smaller.outputs[0].shape == (1, 5)


def test_fewer_channels_go_through_a_residual_and_all_its_readers() -> None:
    graph = graph_of(network(16, 8))
    group = channel_group(graph, graph.nodes[0].output.index)
    assert group == {node.output.index for node in graph.nodes[:4]}
    smaller = resized(graph, {}, dict.fromkeys(group, 4))
    assert shapes(smaller)[:4] == shapes(graph_of(network(16, 4)))[:4]
    assert [len(node.input(1).quant.scales) for node in smaller.nodes[:2] if node.input(1).quant] == [4, 4]


def test_channels_of_inputs_and_outputs_are_not_the_models_to_cut() -> None:
    graph = graph_of(network(16, 8))
    assert channel_group(graph, graph.inputs[0].index) == frozenset()
    assert channel_group(graph, graph.outputs[0].index) == frozenset()


def test_a_variant_is_a_sound_graph_that_computes() -> None:
    graph = graph_of(network(16, 8))
    smaller = resized(
        graph,
        {graph.inputs[0].index: (1, 9, 9, 3)},
        {graph.nodes[0].output.index: 4, **dict.fromkeys(channel_group(graph, graph.nodes[0].output.index), 4)},
    )
    arrays = tuple(np.zeros(t.shape, t.dtype.numpy) for t in smaller.inputs)
    made = evaluate(smaller, arrays, tinygen.Reference.LITERT)
    assert all(made[t.index].shape == t.shape for node in smaller.nodes for t in node.outputs)


def test_what_cannot_be_resized_says_where() -> None:
    graph = graph_of(network(16, 8))
    with pytest.raises(ValueError, match=r"operator 2 \(ADD\)"):
        resized(graph, {}, {graph.nodes[0].output.index: 4})  # the other branch of the residual keeps 8


def test_float_edges_go_and_nothing_else() -> None:
    graph = graph_of(many_operators().finish())
    bare = without_float_edges(graph)
    assert bare is not None
    assert [node.op.name for node in bare.nodes] == [node.op.name for node in graph.nodes[1:-1]]
    assert {t.dtype.value for t in (*bare.inputs, *bare.outputs)} == {"int8"}
    assert without_float_edges(bare) is None


def test_a_way_out_has_the_numbers_of_a_model_that_was_made_so() -> None:
    found = ways(network(32, 16), ram(5_000))
    assert found[0].kind is Kind.NOTHING and not found[0].fits
    inputs = [way for way in found if way.kind is Kind.INPUT]
    assert [way.fits for way in inputs] == [False] * (len(inputs) - 1) + [True]
    side = int(inputs[-1].change.split()[3].split("x")[0])
    options = Options(optimize=inputs[-1].optimize)
    real = tinygen.compile_model(tinygen.read_model(network(side, 16)), load_board("nano33"), options).program
    assert (inputs[-1].arena_bytes, inputs[-1].macs) == (real.plan.arena_bytes, real.graph.macs)
    assert inputs[-1].arena_bytes <= 5_000


def test_the_most_channels_that_fit_are_found() -> None:
    limit = 7_000
    found = ways(network(32, 32), ram(limit))
    (narrow,) = [
        way for way in found if way.kind is Kind.CHANNELS and "layer" in way.change.split("channels in ")[1][:5]
    ]
    assert narrow.fits
    count = int(narrow.change.split()[0])
    assert count % 4 == 0

    def arena(channels: int, optimize: Optimize) -> int:
        model = tinygen.read_model(network(32, channels))
        return tinygen.compile_model(model, load_board("nano33"), Options(optimize=optimize)).program.plan.arena_bytes

    assert arena(count, narrow.optimize) == narrow.arena_bytes <= limit
    assert all(arena(count + 4, optimize) > limit for optimize in (Optimize.BALANCED, Optimize.RAM))


def test_another_model_fits_where_a_build_would_find_an_option_for_it() -> None:
    model = network(28, 16)
    plans = {
        optimize: tinygen.compile_model(
            tinygen.read_model(model), load_board("nano33"), Options(optimize=optimize)
        ).program.plan.arena_bytes
        for optimize in (Optimize.BALANCED, Optimize.RAM)
    }
    assert plans[Optimize.RAM] < plans[Optimize.BALANCED]
    (first, *_) = [way for way in ways(network(32, 16), ram(plans[Optimize.RAM])) if way.kind is Kind.INPUT]
    assert first.fits and first.optimize is Optimize.RAM and first.arena_bytes == plans[Optimize.RAM]


def test_fewer_channels_in_one_of_several_layers_that_set_the_peak_are_no_way_out() -> None:
    b = ModelBuilder()
    at = b.input((1, 16, 16, 16), scale=0.05)
    for _ in range(3):
        w = b.constant(np.ones((16, 1, 1, 16), np.int8), scales=0.01)
        y = b.tensor((1, 16, 16, 16), scale=0.05)
        b.node("CONV_2D", [at, w, None], [y], stride_w=1, stride_h=1, padding="SAME")
        at = y
    b.output(at)
    found = ways(b.finish(), ram(3_000))
    assert not found[0].fits and not any("channels in layer" in way.change for way in found)


def test_channels_are_cut_in_the_layer_that_makes_them() -> None:
    b = ModelBuilder()
    image = b.input((1, 48, 48, 3), scale=0.1)
    at = b.tensor((1, 48, 48, 3), scale=0.05)
    b.node("QUANTIZE", [image], [at])
    for side, inputs, outputs, stride in ((24, 3, 16, 2), (12, 16, 24, 2), (12, 24, 24, 1)):
        w = b.constant(np.ones((outputs, 3, 3, inputs), np.int8), scales=0.01)
        y = b.tensor((1, side, side, outputs), scale=0.05)
        b.node("CONV_2D", [at, w, None], [y], stride_w=stride, stride_h=stride, padding="SAME")
        at = y
    b.output(at)
    (cut,) = [way.change for way in ways(b.finish(), ram(7_500)) if "channels in layer" in way.change]
    assert cut.endswith("channels in layer 1 (int8 1x24x24x16)")


def test_every_other_option_is_planned_and_none_is_in_the_model() -> None:
    found = ways(GESTURE, NO_BUDGETS)
    options = [way.change for way in found if way.kind is Kind.OPTIMIZE]
    assert options == ["--optimize speed", "--optimize ram", "--optimize flash"]
    assert not any(way.in_model for way in found if way.kind in (Kind.NOTHING, Kind.OPTIMIZE))
    assert all(way.in_model for way in found if way.kind in (Kind.INPUT, Kind.CHANNELS))


def test_pushed_rows_are_planned_too_and_leave_the_model_alone() -> None:
    found = [way for way in ways(network(32, 32), NO_BUDGETS) if way.kind is Kind.ROWS]
    assert [way.change for way in found] == ["--input rows --optimize balanced", "--input rows --optimize ram"]
    options = Options(input_form=InputForm.ROWS, optimize=Optimize.RAM)
    compiled = tinygen.compile_model(tinygen.read_model(network(32, 32)), load_board("nano33"), options)
    assert found[1].arena_bytes == compiled.program.plan.arena_bytes
    assert not any(way.in_model for way in found)


def test_where_flash_is_short_the_layer_with_the_most_constants_gets_narrower() -> None:
    board = load_board("nano33")
    budgets = Budgets(flash=Budget(9_000, "--max-flash"))
    choice = choose([(tinygen.read_model(GESTURE), Options())], board, budgets)
    found = find_ways_out(choice, budgets)
    base = found[0]
    assert not base.fits and base.weights_bytes > 9_000
    narrow = [way for way in found if way.kind is Kind.CHANNELS]
    assert any(way.fits and way.weights_bytes < base.weights_bytes for way in narrow)


def test_float_edges_are_a_way_out_with_less_arena(tmp_path: Path) -> None:
    found = ways(many_operators().finish(), NO_BUDGETS)
    (edges,) = [way for way in found if way.kind is Kind.EDGES]
    assert edges.arena_bytes < found[0].arena_bytes


def test_inspect_shows_ways_out_where_it_does_not_fit_or_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.tflite"
    path.write_bytes(network(32, 16))
    arguments = ["inspect", str(path), "--board", "nano33"]
    assert main([*arguments, "--max-ram", "2K"]) == 1
    printed = capsys.readouterr()
    assert "an input of" in printed.out and "--max-ram allows 2,048" in printed.err
    assert main(arguments) == 0
    assert "an input of" not in capsys.readouterr().out
    assert main([*arguments, "--ways-out", "--json"]) == 0
    ways_out = json.loads(capsys.readouterr().out)["ways_out"]
    assert ways_out[0]["kind"] == "as it is" and ways_out[0]["fits"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ways_out"] is None
    assert main(["inspect", str(path), "--ways-out"]) == 2
