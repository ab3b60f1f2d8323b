"""The choice between kernels by their stated costs: what each --optimize weighs, and what --kernel may say."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Sequence

import numpy as np
import pytest

from tests.golden.models import MODELS
from tests.support.graphs import chain
from tests.support.models import ModelBuilder
from tests.support.paths import EXAMPLES
from tinygen import Optimize, Options, Reference, UsageError, compile_model, load_board, read_model
from tinygen.cli import main
from tinygen.ir import Cost, Graph, Kernel, Node
from tinygen.kernels import price
from tinygen.kernels.choose import choose, flash_budget
from tinygen.kernels.rows import Row, Rows, applicable, kernels_for, row_of
from tinygen.ops.add import Add
from tinygen.ops.conv2d import Conv2D
from tinygen.passes import run_passes
from tinygen.plan import arrange
from tinygen.tflite import read_model as read_graph

KERNEL = Conv2D.kernels[-1]
NONE: frozenset[str] = frozenset()
GESTURE = str(EXAMPLES[1])


def row(function: str, instructions: int, constants: int, code: int, added: int = 0) -> Row:
    return Row(KERNEL, function, Cost(instructions, constants, code), added)


def random_layers(seed: int, layers: int, rows: int, functions: int) -> list[list[Row]]:
    """Layers with up to `rows` rows each, whose functions are shared; a function has one size of code everywhere."""
    rng = np.random.default_rng(seed)
    code = rng.integers(100, 2000, functions).tolist()
    return [
        [
            row(f"f{f}", int(rng.integers(1000, 100_000)), int(rng.integers(10, 3000)), code[f])
            for f in rng.permutation(functions)[: rng.integers(1, rows + 1)].tolist()
        ]
        for _ in range(layers)
    ]


def all_choices(layers: Sequence[Sequence[Row]]) -> list[tuple[Row, ...]]:
    return list(itertools.product(*layers))


# --- by price -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_speed_takes_the_fewest_instructions_there_are(seed: int) -> None:
    layers = random_layers(seed, 6, 3, 8)
    chosen = price.cheapest(layers, price.NEXT_TO_NOTHING)
    assert price.instructions(chosen) == min(map(price.instructions, all_choices(layers)))


@pytest.mark.parametrize("seed", range(20))
def test_flash_is_within_a_few_percent_of_the_least_there_is(seed: int) -> None:
    layers = random_layers(seed, 6, 3, 8)
    least = min(map(price.flash_bytes, all_choices(layers)))
    assert least <= price.flash_bytes(price.cheapest(layers, price.NEARLY_ANYTHING)) <= 1.1 * least


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_budget_is_kept_and_the_choice_is_nearly_the_fastest_within_it(seed: int, share: float) -> None:
    layers = random_layers(seed, 6, 3, 8)
    choices = all_choices(layers)
    # from what the search itself finds as the least, so that there always is a choice
    least = price.flash_bytes(price.cheapest(layers, price.NEARLY_ANYTHING))
    budget = least + share * (price.flash_bytes(price.cheapest(layers, price.NEXT_TO_NOTHING)) - least)
    chosen = price.fastest_within(layers, budget)
    assert price.flash_bytes(chosen) <= budget
    fastest = min(price.instructions(c) for c in choices if price.flash_bytes(c) <= budget)
    assert fastest <= price.instructions(chosen) <= 1.35 * fastest


def test_where_nothing_fits_the_budget_the_least_flash_is_taken() -> None:
    assert price.fastest_within([[row("a", 1, 500, 500), row("b", 9, 100, 100)]], 50)[0].function == "b"


def test_code_that_layers_share_is_paid_once() -> None:
    """Alone, each layer's own function is smaller than the common one; together they are larger."""
    layers = [[row(f"own{i}", 100, 10, 300), row("common", 200, 10, 500)] for i in range(4)]
    assert price.flash_bytes(price.cheapest(layers, price.NEARLY_ANYTHING)) == 4 * 10 + 500
    assert {r.function for r in price.cheapest(layers[:1], price.NEARLY_ANYTHING)} == {"own0"}
    assert {r.function for r in price.fastest_within(layers, 600)} == {"common"}


def test_equally_fast_rows_differ_by_their_bytes() -> None:
    assert price.cheapest([[row("a", 10, 90, 20), row("b", 10, 90, 10)]], price.NEXT_TO_NOTHING)[0].function == "b"


def test_three_hundred_layers_take_less_than_ten_seconds() -> None:
    layers = random_layers(0, 300, 5, 400)
    least = price.flash_bytes(price.cheapest(layers, price.NEARLY_ANYTHING))
    started = time.perf_counter()
    price.fastest_within(layers, 1.3 * least)
    assert time.perf_counter() - started < 10


# --- with the arena -----------------------------------------------------------------------------------------------


def conv_rows(graph: Graph, *kinds: tuple[str, int, int, int]) -> Rows:
    """Every layer of a chain with the same rows: function, instructions, constants, scratch."""
    return tuple(
        tuple(
            Row(_with_scratch(scratch), f"{kind}{layer}", Cost(count, constants, 200), scratch + node.output.size_bytes)
            for kind, count, constants, scratch in kinds
        )
        for layer, node in enumerate(graph.nodes)
    )


def _with_scratch(size: int) -> Kernel:
    return dataclasses.replace(KERNEL, name=f"conv2d_s8__c_{size}", scratch_bytes=lambda node: size)


def scratches(graph: Graph, rows: Rows, optimize: Optimize) -> tuple[list[int], int]:
    schedule, planned = arrange(graph, rows, optimize, flash_budget(graph))
    return [k.scratch_bytes(n) for n, k in zip(graph.nodes, schedule.kernels.values(), strict=True) if k], (
        planned.arena_bytes
    )


GRAPH = chain(10, 40, 5, 1)[0]
LEAN = ("lean", 1000, 100, 0)


def test_ram_uses_scratch_only_where_the_arena_has_room_for_it() -> None:
    rows = conv_rows(GRAPH, ("fast", 900, 100, 600), LEAN)
    least = scratches(GRAPH, conv_rows(GRAPH, LEAN), Optimize.RAM)[1]
    found, arena = scratches(GRAPH, rows, Optimize.RAM)
    assert arena == least and sum(found) < 3 * 600
    found, arena = scratches(GRAPH, rows, Optimize.SPEED)
    assert found == [600, 600, 600] and arena >= least + 500
    assert scratches(GRAPH, conv_rows(GRAPH, ("fast", 900, 100, 4), LEAN), Optimize.RAM)[1] <= least + 4


@pytest.mark.parametrize(("saved", "scratch"), [(900, 160), (10, 0)])
def test_balanced_gives_five_percent_of_the_instructions_for_a_smaller_arena_and_no_more(
    saved: int, scratch: int
) -> None:
    rows = conv_rows(GRAPH, ("fast", 1000 - saved, 100, 160), LEAN)
    least = scratches(GRAPH, conv_rows(GRAPH, LEAN), Optimize.BALANCED)[1]
    found, arena = scratches(GRAPH, rows, Optimize.BALANCED)
    assert found[0] == scratch
    assert arena == least if scratch == 0 else arena >= least + 100


def test_balanced_takes_no_kernel_that_pays_with_flash_and_raises_the_arena() -> None:
    light = ("fast", 500, 150, 0), LEAN
    rows = conv_rows(GRAPH, ("winograd", 10, 300, 160), *light)
    least = scratches(GRAPH, conv_rows(GRAPH, *light), Optimize.BALANCED)[1]
    assert scratches(GRAPH, rows, Optimize.BALANCED)[1] <= least
    found, arena = scratches(GRAPH, rows, Optimize.SPEED)
    assert found == [160, 160, 160] and arena > least


def test_ram_may_spend_what_balanced_may() -> None:
    light = ("fast", 50_000, 150, 160), ("lean", 60_000, 100, 0)
    rows = conv_rows(GRAPH, ("winograd", 10_000, 400, 160), *light)
    least = scratches(GRAPH, conv_rows(GRAPH, LEAN), Optimize.RAM)[1]
    assert scratches(GRAPH, rows, Optimize.BALANCED)[1] == least
    assert scratches(GRAPH, rows, Optimize.RAM)[1] == least  # where 2.5 times the fastest are 25,000 a layer


@pytest.mark.parametrize("stride", [1, 2])
def test_balanced_takes_the_dsp_kernel_of_a_large_depthwise_window_and_ram_no_larger_arena(stride: int) -> None:
    rng = np.random.default_rng(stride)
    b = ModelBuilder()
    x = b.input((1, 12, 12, 16), scale=0.05)
    w = b.constant(rng.integers(-127, 128, (1, 5, 5, 16)).astype(np.int8), scales=0.01)
    y = b.tensor((1, 12 // stride, 12 // stride, 16), scale=0.1)
    b.node("DEPTHWISE_CONV_2D", [x, w, None], [y], stride_w=stride, stride_h=stride, padding="SAME", depth_multiplier=1)
    b.output(y)
    model, board = read_model(b.finish()), load_board("nano33")
    balanced, ram = (
        compile_model(model, board, Options(name="net", optimize=o)).program for o in (Optimize.BALANCED, Optimize.RAM)
    )
    assert balanced.layers[0].instance.kernel.name == "depthwise_conv2d_s8__dsp"
    assert ram.plan.arena_bytes <= balanced.plan.arena_bytes


def test_balanced_counts_what_the_budget_leaves_besides_the_calls_of_layers() -> None:
    constants = sum(t.size_bytes for n in GRAPH.nodes for t in n.inputs if t is not None and t.is_constant)
    assert flash_budget(GRAPH) == (constants + 24_000) * 11 // 10 - 3 * 150
    rows = conv_rows(GRAPH, ("fast", 100, 20_000, 0), ("lean", 10_000, 100, 0))
    chosen = choose(rows, Optimize.BALANCED, flash_budget(GRAPH))
    assert [r.function for r in chosen if r] == ["fast0", "lean1", "lean2"]


@pytest.mark.parametrize(("saved", "function"), [(240, "lean"), (260, "fast")])
def test_balanced_spends_no_byte_that_saves_less_than_a_quarter_of_an_instruction(saved: int, function: str) -> None:
    rows = conv_rows(GRAPH, ("fast", 1000 - saved, 1100, 0), LEAN)
    chosen = choose(rows, Optimize.BALANCED, flash_budget(GRAPH))
    assert {row.function[:4] for row in chosen if row} == {function}


# --- which kernels there are to choose from -----------------------------------------------------------------------


def sum_node() -> Graph:
    b = ModelBuilder()
    x, y = b.input((1, 2, 2, 3), scale=0.5), b.tensor((1, 2, 2, 3), scale=0.5)
    b.node("ADD", [x, x], [y])
    b.output(y)
    return read_graph(b.finish())


def stated(node: Node, reference: Reference) -> Cost:
    return Cost(1, 2, 3)


@pytest.mark.parametrize(
    ("costs", "offered"),
    [
        ("---", ["add_s8__c_a"]),
        ("-cc", ["add_s8__c_a"]),
        ("c--", ["add_s8__c_a"]),
        ("c-c", ["add_s8__c_a", "add_s8__c"]),
        ("ccc", ["add_s8__c_a", "add_s8__c_b", "add_s8__c"]),
    ],
)
def test_kernels_without_a_cost_are_taken_in_order_the_others_weighed(
    costs: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("add_s8__c_a", "add_s8__c_b", "add_s8__c")
    kernels = tuple(
        dataclasses.replace(Add.kernels[-1], name=name, cost=stated if cost == "c" else None)
        for name, cost in zip(names, costs, strict=True)
    )
    monkeypatch.setattr(Add, "kernels", kernels)
    (rows,) = applicable(sum_node(), NONE, Reference.LITERT)
    assert [r.kernel.name for r in rows] == offered
    (named,) = applicable(sum_node(), NONE, Reference.LITERT, {0: "add_s8__c_b"})
    assert [r.kernel.name for r in named] == ["add_s8__c_b"]


@pytest.mark.parametrize("optimize", Optimize)
def test_every_mode_finds_kernels_for_an_example_twice_the_same(optimize: Optimize) -> None:
    first, second = (
        compile_model(read_model(GESTURE), load_board("nano33"), Options(optimize=optimize)) for _ in range(2)
    )
    assert dict(first.sources.files) == dict(second.sources.files)


def test_a_choice_has_a_row_for_every_layer_but_views() -> None:
    graph = run_passes(read_model(GESTURE).graph, Reference.LITERT)
    rows = applicable(graph, NONE, Reference.LITERT)
    chosen = choose(rows, Optimize.BALANCED, 10**9)
    assert [r is None for r in chosen] == [node.op.name == "RESHAPE" for node in graph.nodes]


# --- --kernel -----------------------------------------------------------------------------------------------------


def test_a_named_kernel_is_taken_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["inspect", GESTURE, "--board", "nano33", "--json"]
    assert main([*arguments, "--kernel", "1=conv2d_s8__c"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["layers"][1]["kernel"] == "conv2d_s8__c"
    assert printed["kernels_named"] == {"1": "conv2d_s8__c"}
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["layers"][1]["kernel"] != "conv2d_s8__c" and printed["kernels_named"] == {}


def test_other_layers_do_not_pay_for_the_flash_of_a_named_kernel() -> None:
    model, board = read_model(EXAMPLES[2]), load_board("nano33")

    def portable(kernels: dict[int, str]) -> set[int]:
        layers = compile_model(model, board, Options(kernels=kernels)).program.layers
        assert all(layers[index].instance.kernel.name == name for index, name in kernels.items())
        return {layer.index for layer in layers if layer.instance and layer.instance.kernel.name.endswith("__c")}

    slow = portable({})
    named = {index: "depthwise_conv2d_s8__dsp_3x3" for index in (22, 25)}
    assert named.keys() <= slow
    assert portable(named) == slow - named.keys()


@pytest.mark.parametrize(
    ("board", "named", "message"),
    [
        ("nano33", "13=conv2d_s8__c", "gesture has layers 0 to 12"),
        ("nano33", "0=conv2d_s8__c", "layer 0 (RESHAPE) is a view"),
        ("nano33", "1=conv2d_s8__d", "has no such kernel. Those that apply to this layer: conv2d_s8__"),
        ("nano33", "1=mean_s8__c", "layer 1 (CONV_2D) has no such kernel"),
        ("pico", "1=conv2d_s8__dsp", "It needs dsp (Arm DSP extension"),
        ("nano33", "conv2d_s8__c", "is not LAYER=NAME"),
        ("nano33", "-1=conv2d_s8__c", "is not LAYER=NAME"),
        ("nano33", "1=", "is not LAYER=NAME"),
    ],
)
def test_a_kernel_that_cannot_be_taken_is_refused(
    board: str, named: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["inspect", GESTURE, "--board", board, f"--kernel={named}"])
    except SystemExit as left:
        code = int(str(left.code))
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_rule_that_is_broken_is_told_with_what_was_found() -> None:
    b = ModelBuilder()
    x, y = b.input((1, 4, 4, 4), scale=0.5), b.tensor((1, 4, 4, 2), scale=0.5)
    b.node("CONV_2D", [x, b.constant(np.ones((2, 1, 1, 2), np.int8), scales=0.01), None], [y], stride_w=1, stride_h=1)
    b.output(y)
    with pytest.raises(UsageError, match=r"as many channels as the input\. Found: 4 input channels, a filter of 2\."):
        applicable(read_graph(b.finish()), frozenset({"dsp"}), Reference.LITERT, {0: "conv2d_s8__dsp"})


def test_two_kernels_for_one_layer_and_kernels_for_several_models_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = ["--kernel", "1=conv2d_s8__c", "--kernel", "1=conv2d_s8__dsp"]
    assert main(["inspect", GESTURE, "--board", "nano33", *both]) == 2
    assert "two kernels for layer 1" in capsys.readouterr().err
    assert main(["build", GESTURE, str(EXAMPLES[0]), "--board", "nano33", *both[:2]]) == 2
    assert "one model's layers" in capsys.readouterr().err
    assert main(["inspect", GESTURE, *both[:2]]) == 2
    assert "give --board too" in capsys.readouterr().err


# --- stated costs -------------------------------------------------------------------------------------------------


def test_portable_costs_count_taps_rows_and_constants_of_a_layer() -> None:
    graph = run_passes(read_model(GESTURE).graph, Reference.LITERT)
    costs = {
        row.kernel.name: (row.cost, node)
        for node in graph.nodes
        for kernel in kernels_for(node, NONE)
        for row in applicable(graph, NONE, Reference.LITERT, {node.index: kernel.name})[node.index]
    }
    cost, node = costs["depthwise_conv2d_s8__c"]
    assert node.op.macs(node) == 3840
    assert cost.constant_bytes == node.input(1).size_bytes + 9 * node.output.shape[-1]
    assert cost.instructions == pytest.approx(75_607, rel=0.4)  # measured on nano33, GCC 12.2
    assert all(cost.instructions > 0 for cost, _ in costs.values())


@pytest.mark.parametrize("board", ["nano33", "microbit"])
@pytest.mark.parametrize("name", MODELS)
def test_costs_count_every_byte_of_constants_tables_of_exponentials_too(name: str, board: str) -> None:
    program = compile_model(read_model(MODELS[name]()), load_board(board)).program
    nodes = program.graph.nodes
    rows = [
        row_of(k, nodes[i.index], Reference.LITERT) for i in program.layers if i.instance and (k := i.instance.kernel)
    ]
    assert rows
    assert sum(row.cost.constant_bytes for row in rows) == program.weights_bytes
