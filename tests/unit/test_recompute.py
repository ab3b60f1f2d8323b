"""Recomputation: it is `ram`'s alone, only what fills the arena is joined, and every tensor left is the reference's."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.support.mobilenet import Network
from tests.unit.test_fusions import Model
from tinygen import Options, compile_model, load_board, validate
from tinygen.cli import main
from tinygen.compile import Compiled
from tinygen.errors import ToolError
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, Schedule, applicable
from tinygen.kernels.choose import flash_budget
from tinygen.kernels.rows import Rows, one_way
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan import Plan, arrange
from tinygen.plan.arrange import arrange_within, most_instructions
from tinygen.plan.recompute import living_where_fullest
from tinygen.tflite import ModelFile, read, read_model

JOINED = "EXPAND_DEPTHWISE"


def blocks_bytes() -> bytes:
    """A stem and three inverted residuals, one of them with an ADD: six times wider inside than outside."""
    net = Network(24)
    net.convolution(8, 3, 1, "RELU6")
    for channels, stride in ((8, 1), (12, 2), (16, 2)):
        block_input, input_channels = net.at, net.channels
        net.convolution(6 * input_channels, 1, 1, "RELU6")
        net.depthwise(stride)
        net.convolution(channels, 1, 1, "NONE")
        if stride == 1 and channels == input_channels:
            net.add(block_input)
    net.builder.output(net.at)
    return net.builder.finish()


def blocks() -> ModelFile:
    return read(blocks_bytes(), name="blocks")


@cache
def compiled_for(optimize: Optimize, board: str = "nano33", reference: Reference = Reference.LITERT) -> Compiled:
    return compile_model(blocks(), load_board(board), Options(reference, optimize))


def test_ram_takes_the_plan_of_balanced_where_its_own_turns_out_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(graph: Graph, rows: Rows, optimize: Optimize, budget: int) -> tuple[Graph, Schedule, Plan]:
        schedule, planned = arrange(graph, rows, Optimize.FLASH if optimize is Optimize.RAM else optimize, budget)
        return graph, schedule, planned

    monkeypatch.setattr("tinygen.compile.arrange_in_best_order", found)
    monkeypatch.setattr("tinygen.compile.recompute", lambda graph, schedule, planned, *_: (graph, schedule, planned))
    plans = {
        optimize: compile_model(blocks(), load_board("nano33"), Options(optimize=optimize)).program.plan.arena_bytes
        for optimize in (Optimize.FLASH, Optimize.RAM, Optimize.BALANCED)
    }
    assert plans[Optimize.RAM] == plans[Optimize.BALANCED] < plans[Optimize.FLASH]


def joined(compiled: Compiled) -> list[int]:
    """The model's operators that do the work of two."""
    return [node.index for node in compiled.program.graph.nodes if node.op.name == JOINED]


def test_ram_needs_less_with_it_and_lists_what_no_longer_exists() -> None:
    compiled = compiled_for(Optimize.RAM)
    graph = blocks().graph
    rows = applicable(graph, compiled.board.target.features, Reference.LITERT)
    _, without = arrange(graph, rows, Optimize.RAM, 0)
    assert compiled.program.plan.arena_bytes < 0.9 * without.arena_bytes
    assert joined(compiled) and joined(compiled) == [fusion.into for fusion in compiled.program.graph.fusions]
    made = {t.index for node in compiled.program.graph.nodes for t in node.outputs}
    assert not made & {fusion.tensor.index for fusion in compiled.program.graph.fusions}


@pytest.mark.parametrize("optimize", [o for o in Optimize if o is not Optimize.RAM], ids=lambda o: o.value)
def test_nothing_is_computed_twice_without_ram(optimize: Optimize) -> None:
    compiled = compiled_for(optimize)
    assert not joined(compiled) and not compiled.program.graph.fusions


def test_what_takes_more_instructions_than_ram_allows_is_not_planned() -> None:
    graph = blocks().graph
    features = load_board("nano33").target.features
    rows = applicable(graph, features, Reference.LITERT)
    other = fuse_expansions(graph, expansions(graph))
    other_rows = applicable(other, features, Reference.LITERT)
    most = most_instructions(one_way(rows), Optimize.RAM, flash_budget(graph))
    assert arrange_within(other, other_rows, most) is not None
    assert arrange_within(other, other_rows, most // 4) is None


def test_kernels_are_named_for_the_layers_of_the_joined_graph() -> None:
    board, free = load_board("nano33"), Options(optimize=Optimize.RAM)
    before = compile_model(blocks(), board, free).program
    last = max(layer.index for layer in before.layers if layer.op_name == "CONV_2D")
    named = compile_model(blocks(), board, replace(free, kernels={last: "conv2d_s8__c"}))
    assert joined(named)
    assert [layer.op_name for layer in named.program.layers] == [layer.op_name for layer in before.layers]
    instance = named.program.layers[last].instance
    assert instance is not None and instance.kernel.name == "conv2d_s8__c"


def test_tensors_that_others_need_or_that_windows_make_are_kept() -> None:
    m = Model()
    read_twice = m.convolution(m.x, taps=1)
    by_window = m.convolution(m.x, taps=3)
    shown = m.convolution(m.x, taps=1)
    alone = m.convolution(m.x, taps=1)
    readers = [m.depthwise(x, "SAME") for x in (read_twice, by_window, shown, alone)]
    m.b.output(*readers, m.add("RELU", [read_twice], m.shape(read_twice)), shown)
    assert expansions(read_model(m.b.finish())) == (alone,)


def test_only_tensors_that_live_where_the_arena_is_fullest_are_tried() -> None:
    graph = blocks().graph
    rows = applicable(graph, frozenset({"dsp"}), Reference.LITERT)
    _, planned = arrange(graph, rows, Optimize.RAM, 0)
    found = living_where_fullest(planned) & set(expansions(graph))
    assert found and found < set(expansions(graph))


@pytest.mark.parametrize(("board", "reference"), [("nano33", Reference.LITERT), ("pico", Reference.TFLM)])
def test_every_tensor_that_is_left_is_the_interpreters(board: str, reference: Reference) -> None:
    compiled = compiled_for(Optimize.RAM, board, reference)
    assert joined(compiled)
    try:
        comparison = validate(compiled, inputs=1)
    except ToolError as missing:
        if "is not installed" not in str(missing):
            raise
        pytest.skip(str(missing))
    assert comparison.first_difference is None
    assert comparison.totals.tensors_compared == len(compiled.program.graph.nodes)


def test_inspect_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "blocks.tflite"
    path.write_bytes(blocks_bytes())
    assert main(["inspect", str(path), "--board", "nano33", "--optimize", "ram", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    fused = [f["into"] for f in told["fused_tensors"] if f["op"] == "CONV_2D"]
    assert fused == joined(compiled_for(Optimize.RAM))
    assert [layer["op"] for layer in told["layers"]].count(JOINED) == len(fused) > 0
