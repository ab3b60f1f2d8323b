"""Kernels that accumulate: steps count rows of their operand, and the sums survive from the first call to the last."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import SCALE
from tests.support.hosted import COMPILER, Hosted, wrong_values
from tests.support.models import ModelBuilder
from tests.support.replay import spoils
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, applicable, flash_budget
from tinygen.passes import run_passes
from tinygen.plan import Plan, arrange
from tinygen.plan.check import PlanError, check
from tinygen.plan.place import whole_steps
from tinygen.tflite import read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import random_inputs

ROWS, CHANNELS = 12, 8
FEATURES = (frozenset[str](), frozenset({"dsp"}))
POOL = {"stride_w": 1, "stride_h": 1, "filter_width": 6, "filter_height": ROWS, "padding": "VALID"}


def ending(op: str) -> Graph:
    """Two convolutions, and a layer that makes one row of all of theirs."""
    rng = np.random.default_rng(0)
    b = ModelBuilder("ending")
    x = b.input((1, ROWS, 6, 4), scale=SCALE)
    for inputs in (4, CHANNELS):
        taps = rng.integers(-127, 128, (CHANNELS, 1, 1, inputs)).astype(np.int8)
        made = b.tensor((1, ROWS, 6, CHANNELS), scale=SCALE)
        window = {"stride_w": 1, "stride_h": 1, "padding": "SAME"}
        b.node("CONV_2D", [x, b.constant(taps, scales=1.7 / (127 * inputs**0.5)), None], [made], **window)
        x = made
    shape = (1, 5) if op == "FULLY_CONNECTED" else (1, 1, 1, CHANNELS)
    y = b.tensor(shape, scale=SCALE)
    if op == "FULLY_CONNECTED":
        weights = rng.integers(-127, 128, (5, ROWS * 6 * CHANNELS)).astype(np.int8)
        b.node(op, [x, b.constant(weights, scales=0.002), None], [y])
    elif op == "MEAN":
        b.node(op, [x, b.constant(np.array([1, 2], np.int32))], [y], keep_dims=True)
    else:
        b.node(op, [x], [y], **POOL)
    b.output(y)
    return read_model(b.finish())


def streamed(op: str, features: frozenset[str] = FEATURES[0]) -> Hosted:
    graph = ending(op)
    rows = applicable(graph, features, Reference.LITERT)
    return Hosted(graph, *arrange(graph, rows, Optimize.RAM, flash_budget(graph)))


def with_sums_at(model: Hosted, offset_bytes: int) -> Plan:
    last = len(model.graph.nodes) - 1
    return dataclasses.replace(model.plan, scratch_offsets={**model.plan.scratch_offsets, last: offset_bytes})


def refused(model: Hosted, plan: Plan) -> bool:
    try:
        check(model.graph, model.schedule, plan)
    except PlanError:
        return True
    return False


@pytest.mark.parametrize("features", FEATURES, ids=["c", "dsp"])
@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MEAN", "FULLY_CONNECTED"])
def test_what_is_summed_is_never_whole(op: str, features: frozenset[str]) -> None:
    model = streamed(op, features)
    *_, convolution, last = model.graph.nodes
    kernel = model.schedule.kernels[len(model.graph.nodes) - 1]
    assert kernel is not None and kernel.access.accumulates
    assert model.plan.views[convolution.output.index].ring_rows < ROWS
    assert model.plan.views[last.output.index].ring_rows == 1
    assert model.plan.arena_bytes < ROWS * 6 * CHANNELS
    assert not spoils(model.graph, model.schedule, model.plan)


def test_a_layer_that_runs_alone_does_not_accumulate_for_nothing() -> None:
    graph = ending("AVERAGE_POOL_2D")
    rows = applicable(graph, FEATURES[1], Reference.LITERT)
    schedule, plan = arrange(graph, rows, Optimize.FLASH, flash_budget(graph))
    assert not any(kernel.access.accumulates for kernel in schedule.kernels.values() if kernel is not None)
    assert plan.steps == whole_steps(graph, schedule)


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "FULLY_CONNECTED"])
def test_wherever_the_sums_lie_the_check_refuses_what_spoils_them_and_nothing_else(op: str) -> None:
    model = streamed(op)
    verdicts = set()
    for offset_bytes in range(0, model.plan.arena_bytes, 4):
        plan = with_sums_at(model, offset_bytes)
        verdicts.add(spoils(model.graph, model.schedule, plan))
        assert refused(model, plan) == spoils(model.graph, model.schedule, plan)
    assert verdicts == {True, False}


def test_rows_are_summed_once_and_in_order() -> None:
    model = streamed("FULLY_CONNECTED")
    own = [number for number, step in enumerate(model.plan.steps) if step.layer == len(model.graph.nodes) - 1]
    assert len(own) > 1
    swapped = list(model.plan.steps)
    swapped[own[-1]], swapped[own[-2]] = swapped[own[-2]], swapped[own[-1]]
    without = [step for number, step in enumerate(model.plan.steps) if number != own[0]]
    for steps in (swapped, without, [*model.plan.steps, model.plan.steps[own[-1]]]):
        with pytest.raises(PlanError):
            check(model.graph, model.schedule, dataclasses.replace(model.plan, steps=tuple(steps)))


@pytest.mark.skipif(COMPILER is None, reason="there is no native C compiler: apt install gcc")
def test_sums_that_are_overwritten_between_calls_are_caught_in_c_too(tmp_path: Path) -> None:
    models, controls = [], []
    for op in ("AVERAGE_POOL_2D", "MEAN", "FULLY_CONNECTED"):
        model = streamed(op)
        ring = model.plan.views[model.graph.nodes[-2].output.index].offset_bytes
        control = with_sums_at(model, ring)
        assert refused(model, control) and spoils(model.graph, model.schedule, control)
        models.append(model)
        controls.append(dataclasses.replace(model, plan=control))
    wrong = wrong_values([*models, *controls], tmp_path)
    assert wrong[:3] == [0, 0, 0]
    assert min(wrong[3:]) > 0, wrong


# --- a dense layer reads past what flattens its input ----------------------------------------------------------------


def flattened(*views: str, rows: int = 4, batch: int = 1, seen: str = "dense") -> ModelBuilder:
    """RELU → views → FULLY_CONNECTED of 3 outputs; `seen` names what else is an output of the model."""
    rng = np.random.default_rng(0)
    b = ModelBuilder()
    x = b.input((batch, rows, 3, 2), scale=SCALE, zero_point=3)
    y = b.tensor((batch, rows, 3, 2), scale=SCALE, zero_point=3)
    b.node("RELU", [x], [y])
    shapes = {"RESHAPE": (batch, 1, 6 * rows), "SQUEEZE": (batch, 6 * rows) if batch > 1 else (6 * rows,)}
    for view in views:
        flat = b.tensor(shapes[view], scale=SCALE, zero_point=3)
        options = {"new_shape": list(shapes[view])} if view == "RESHAPE" else {"squeeze_dims": []}
        b.node(view, [y], [flat], **options)
        if seen == view:
            b.output(flat)
        y = flat
    weights = b.constant(rng.integers(-127, 128, (3, 6 * rows)).astype(np.int8), scales=0.002)
    for _ in range(2 if seen == "twice" else 1):
        z = b.tensor((batch, 3), scale=SCALE)
        b.node("FULLY_CONNECTED", [y, weights, None], [z])
        b.output(z)
    return b


@pytest.mark.parametrize("views", [("RESHAPE",), ("RESHAPE", "SQUEEZE")], ids=" ".join)
@pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)
def test_a_dense_layer_reads_the_rows_in_front_of_what_flattens_them(
    views: tuple[str, ...], reference: Reference
) -> None:
    graph = read_model(flattened(*views).finish())
    found = run_passes(graph, reference)
    relu, dense = found.nodes
    assert dense.input(0) is relu.output and dense.op.infer(dense) == (dense.output.shape,)
    assert [(f.op, f.operator, f.into) for f in found.fusions] == [
        (view, 1 + number, 1 + len(views)) for number, view in reversed([*enumerate(views)])
    ]
    for arrays in random_inputs(graph, 3, 0):
        whole, kept = (evaluate(g, arrays, reference)[dense.output.index] for g in (graph, found))
        assert whole.tobytes() == kept.tobytes()


@pytest.mark.parametrize(
    "model",
    [
        flattened("RESHAPE", seen="RESHAPE"),
        flattened("RESHAPE", seen="twice"),
        flattened("RESHAPE", rows=1),
        flattened("RESHAPE", "SQUEEZE", batch=2),
    ],
    ids=["an output", "two readers", "one row", "two items"],
)
def test_what_flattens_stays_where_it_is_needed_or_nothing_is_gained(model: ModelBuilder) -> None:
    graph = read_model(model.finish())
    assert run_passes(graph, Reference.LITERT).fusions == ()
