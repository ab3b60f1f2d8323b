"""Interval analysis holds every value that the reference computes, and is exact where a value can be reached."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.filters import SCALE, RandomFilters
from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Graph, Reference
from tinygen.passes import intervals
from tinygen.passes.intervals import channel_intervals
from tinygen.tflite import read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import random_inputs

references = pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)


def constant_channels(graph: Graph) -> int:
    return sum(int((low == high).sum()) for low, high in channel_intervals(graph, Reference.LITERT).values())


@pytest.mark.parametrize("seed", range(60))
def test_no_value_leaves_its_channels_interval(seed: int) -> None:
    graph = read_model(RandomFilters(seed).b.finish())
    reference = [*Reference][seed % 2]
    found = channel_intervals(graph, reference)
    for arrays in random_inputs(graph, 4, seed):
        values = evaluate(graph, arrays, reference)
        for index, (low, high) in found.items():
            assert (values[index] >= low).all() and (values[index] <= high).all(), f"tensor {index}"


def test_the_random_models_have_constant_channels_and_others() -> None:
    graphs = [read_model(RandomFilters(seed).b.finish()) for seed in range(20)]
    channels = sum(t.shape[-1] for graph in graphs for node in graph.nodes for t in node.outputs)
    assert 0.2 < sum(map(constant_channels, graphs)) / channels < 0.8


def dense(weights: list[list[int]], bias: list[int], *, factor: float = 1.0) -> tuple[Graph, Operand]:
    """int8 → FULLY_CONNECTED → int8, with accumulators times `factor` as outputs."""
    b = ModelBuilder()
    x = b.input((1, len(weights[0])), scale=1.0)
    y = b.tensor((1, len(weights)), scale=1.0 / factor)
    operands = [b.constant(np.array(weights, np.int8), scales=1.0), b.constant(np.array(bias, np.int32), scales=1.0)]
    b.node("FULLY_CONNECTED", [x, *operands], [y])
    b.output(y)
    return read_model(b.finish()), y


@references
def test_both_ends_of_a_filters_interval_are_reached(reference: Reference) -> None:
    graph, y = dense([[3, -2], [0, 1], [-4, 0]], [10, 200, -600], factor=0.0625)
    low, high = channel_intervals(graph, reference)[y]
    at_ends = {
        name: evaluate(graph, [np.array([pixel], np.int8)], reference)[y][0].tolist()
        for name, pixel in {"++": [127, 127], "+-": [127, -128], "-+": [-128, 127], "--": [-128, -128]}.items()
    }
    assert low.tolist() == np.min([*at_ends.values()], 0).tolist()
    assert high.tolist() == np.max([*at_ends.values()], 0).tolist()


def test_a_channel_one_step_from_saturation_is_not_constant() -> None:
    # x + bias, and −128 is the lowest output: 127 + bias must not exceed −128
    graph, y = dense([[1], [1]], [-255, -254])
    low, high = channel_intervals(graph, Reference.LITERT)[y]
    assert (low.tolist(), high.tolist()) == ([-128, -128], [-128, -127])


def bordered(padding: str, value: int, zero_point: int = 5) -> tuple[Graph, Operand]:
    """A constant channel (RELU's zero point or 127 by a large bias) through a 3×3 depthwise convolution."""
    b = ModelBuilder()
    x = b.input((1, 4, 4, 1), scale=SCALE)
    zero = b.constant(np.zeros((1, 1, 1, 1), np.int8), scales=1.0)
    bias = b.constant(np.array([(value - zero_point) * 2], np.int32), scales=SCALE / 2)
    made = b.tensor((1, 4, 4, 1), scale=2 * SCALE, zero_point=zero_point)
    b.node("CONV_2D", [x, zero, bias], [made], stride_w=1, stride_h=1)
    side = 4 if padding == "SAME" else 2
    y = b.tensor((1, side, side, 1), scale=16 * SCALE)
    ones = b.constant(np.ones((1, 3, 3, 1), np.int8), scales=1.0)
    b.node("DEPTHWISE_CONV_2D", [made, ones, None], [y], stride_w=1, stride_h=1, depth_multiplier=1, padding=padding)
    b.output(y)
    return read_model(b.finish()), y


@pytest.mark.parametrize(
    ("padding", "value", "is_constant"),
    [("SAME", 5, True), ("SAME", 105, False), ("VALID", 105, True)],
)
def test_a_constant_input_is_constant_at_borders_only_where_it_is_the_zero_point(
    padding: str, value: int, is_constant: bool
) -> None:
    graph, y = bordered(padding, value)
    low, high = channel_intervals(graph, Reference.LITERT)[y]
    (result,) = (evaluate(graph, [np.zeros((1, 4, 4, 1), np.int8)], Reference.LITERT)[y],)
    assert (low == high).tolist() == [is_constant]
    assert (len(np.unique(result)) == 1) is is_constant


def test_tensors_with_very_many_channels_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, y = dense([[1], [1]], [-255, -255])
    assert y in channel_intervals(graph, Reference.LITERT)
    monkeypatch.setattr(intervals, "LARGEST_CHANNELS", 1)
    assert y not in channel_intervals(graph, Reference.LITERT)
