"""Rows of the input that are pushed one by one: any graph that can take them computes what it computes of the whole."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import SCALE, random_graph
from tests.support.hosted import COMPILER, Hosted, wrong_values
from tests.support.models import ModelBuilder, Operand
from tests.support.replay import spoils
from tests.support.streams import residual_network, shorter_ring
from tinygen.errors import UsageError
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, select
from tinygen.ops.input_rows import InputRows
from tinygen.passes import run_passes
from tinygen.passes.push_rows import push_rows
from tinygen.plan import plan
from tinygen.plan.check import PlanError, check
from tinygen.tflite import read_model

GRAPHS, SIDE = 130, 9
DSP = frozenset({"dsp"})

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no native C compiler: apt install gcc")


def pushed(graph: Graph, features: frozenset[str], optimize: Optimize) -> Hosted:
    made = push_rows(graph, Reference.LITERT)
    schedule = select(made, features)
    return Hosted(made, schedule, plan(made, schedule, optimize))


@pytest.fixture(scope="module")
def models() -> list[Hosted]:
    """Random graphs whose input can be pushed, with each way of planning and float inputs among them."""
    found: list[Hosted] = []
    for seed in range(GRAPHS):
        graph, _ = random_graph(seed, largest_side=SIDE)
        with contextlib.suppress(UsageError):
            found.append(pushed(graph, DSP if seed % 2 else frozenset(), list(Optimize)[seed // 2 % 4]))
    return found


def test_random_graphs_take_rows_that_come_one_by_one(models: list[Hosted]) -> None:
    assert len(models) >= 20
    for model in models:
        head = model.graph.nodes[0]
        own = [step for step in model.plan.steps if step.layer == 0]
        assert isinstance(head.op, InputRows) and {step.row_end - step.row_begin for step in own} == {1}
        assert len(own) == head.output.rows
        assert not spoils(model.graph, model.schedule, model.plan)


@needs_compiler
def test_random_graphs_compute_every_value_of_pushed_rows_in_c(models: list[Hosted], tmp_path: Path) -> None:
    assert {model.graph.inputs[0].dtype.value for model in models} == {"int8", "float32"}
    assert wrong_values(models, tmp_path) == [0] * len(models)


@needs_compiler
def test_a_ring_of_pushed_rows_that_is_a_row_short_is_caught(tmp_path: Path) -> None:
    sound = pushed(residual_network(blocks=1, height=32)[0], frozenset(), Optimize.RAM)
    short = shorter_ring(sound.graph, sound.plan, 0)
    with pytest.raises(PlanError, match=r"holds? something else"):
        check(sound.graph, sound.schedule, short)
    right, wrong = wrong_values([sound, dataclasses.replace(sound, plan=short)], tmp_path)
    assert right == 0 < wrong


def test_what_is_kept_between_rows_may_lie_under_no_tensor() -> None:
    model = pushed(residual_network(blocks=1, height=16)[0], frozenset(), Optimize.RAM)
    view = model.plan.views[model.graph.nodes[3].output.index]
    moved = dataclasses.replace(model.plan, progress_offset=view.offset_bytes)
    with pytest.raises(PlanError, match=r"between two rows does not survive|hold something else"):
        check(model.graph, model.schedule, moved)
    with pytest.raises(PlanError, match="outside the arena"):
        check(model.graph, model.schedule, dataclasses.replace(model.plan, progress_offset=model.plan.arena_bytes - 4))


def a_graph(shape: tuple[int, ...], *then: str, dtype: str = "int8", inputs: int = 1) -> Graph:
    """A model of so many inputs; `then` are QUANTIZE, RESHAPE to frames of ten numbers, and CONV_2D of 3 x 3."""
    b = ModelBuilder("net")
    made: list[Operand] = []
    for _ in range(inputs):
        at = b.input(shape, dtype, scale=None if dtype == "float32" else SCALE)
        for op in then:
            at = step(b, at, op)
        made.append(at)
    b.output(*made)
    return run_passes(read_model(b.finish()), Reference.LITERT)


def step(b: ModelBuilder, at: Operand, op: str) -> Operand:
    shape = tuple(b.tensors[at].fields["shape"])
    if op == "RESHAPE":
        new = (1, shape[-1] // 10, 10, 1)
        made = b.tensor(new, scale=SCALE)
        b.node(op, [at], [made], new_shape=list(new))
    elif op == "QUANTIZE":
        made = b.tensor(shape, scale=SCALE / 2)
        b.node(op, [at], [made])
    else:
        made = b.tensor((*shape[:3], 2), scale=SCALE)
        weights = b.constant(np.ones((2, 3, 3, shape[3]), np.int8), scales=0.01)
        b.node(op, [at, weights, None], [made], stride_w=1, stride_h=1, padding="SAME")
    return made


@pytest.mark.parametrize(
    ("shape", "then", "dtype", "kernel"),
    [
        ((1, 6, 5, 2), ("CONV_2D",), "int8", "rows_u8__c"),
        ((1, 120), ("RESHAPE", "CONV_2D"), "int8", "rows_u8__c"),
        ((1, 120), ("QUANTIZE", "RESHAPE", "CONV_2D"), "float32", "quantize_f32_s8__c"),
        ((1, 120), ("RESHAPE", "QUANTIZE", "CONV_2D"), "int8", "lut_s8__c"),
    ],
)
def test_quantize_and_reshape_of_the_input_become_part_of_its_rows(
    shape: tuple[int, ...], then: tuple[str, ...], dtype: str, kernel: str
) -> None:
    graph = a_graph(shape, *then, dtype=dtype)
    model = pushed(graph, frozenset(), Optimize.RAM)
    chosen = model.schedule.kernels[0]
    assert chosen is not None and chosen.name == kernel
    assert [node.op.name for node in model.graph.nodes] == ["INPUT_ROWS", "CONV_2D"]
    assert len(model.graph.fusions) - len(graph.fusions) == max(0, len(then) - 2)
    rows = 6 if len(shape) == 4 else 12
    assert model.graph.nodes[0].output.rows == rows


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (a_graph((1, 6, 5, 2), "CONV_2D", inputs=2), "has 2 inputs"),
        (a_graph((1, 120), "QUANTIZE"), "has one row"),
    ],
    ids=["inputs", "one row"],
)
def test_an_input_that_has_no_rows_to_push_is_refused_with_what_to_do(graph: Graph, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        push_rows(graph, Reference.LITERT)
    assert "Leave --input rows out" in str(caught.value)


def test_a_model_whose_first_layer_needs_the_whole_input_is_refused_with_what_to_do() -> None:
    b = ModelBuilder("net")
    at = b.input((1, 6, 5, 2), scale=SCALE)
    made = b.tensor((1, 6, 1, 10), scale=SCALE)
    b.node("RESHAPE", [at], [made], new_shape=[1, 6, 1, 10])
    turned = b.tensor((1, 1, 6, 10), scale=SCALE)
    b.node("RESHAPE", [made], [turned], new_shape=[1, 1, 6, 10])
    both = b.tensor((1, 1, 6, 10), scale=SCALE)
    b.node("ADD", [turned, turned], [both])
    b.output(both, made)
    with pytest.raises(UsageError, match=r"needs all rows of its input.*Leave --input rows out"):
        pushed(run_passes(read_model(b.finish()), Reference.LITERT), frozenset(), Optimize.BALANCED)
