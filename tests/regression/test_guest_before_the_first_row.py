"""A guest's row that lies before the first row of its host takes all bytes of that slot, not its first ones alone.

Else another tensor may lie in the others when the guest is written: mlperf_vww with pushed rows, optimised for RAM.
And there must be such a slot: not where the host is made whole, nor where it is a view of a value that is.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import SCALE, pointwise
from tests.support.models import ModelBuilder
from tinygen.ir import DType, Tensor
from tinygen.kernels import select
from tinygen.plan.check import check
from tinygen.plan.lives import Grains, Value
from tinygen.plan.place import place
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.tflite import read_model

ROWS, PIXELS, PIXEL_BYTES = 4, 3, 2


def value(index: int, births: list[int], deaths: list[int]) -> Value:
    tensor = Tensor(index, "", (1, ROWS, PIXELS, PIXEL_BYTES), DType.INT8)
    grains = Grains(tensor.size_bytes, PIXEL_BYTES)
    grains.birth[:] = np.repeat(births, PIXELS)
    grains.death[:] = np.repeat(deaths, PIXELS)
    return Value([tensor], grains, grains, ROWS)


def test_a_guests_row_before_the_first_one_claims_its_whole_slot() -> None:
    host = value(0, [1, 2, 10, 20], [9, 19, 29, 29])
    host.lodge(value(1, [5, 12, 22, 24], [6, 13, 23, 25]), pace=1, turn=-1)
    host.find_ring()
    assert host.ring_rows == 3
    births = np.repeat(host.life().birth, np.diff([0, *host.life().ends.tolist()]))
    slot = births.reshape(3, -1)[2]  # of row 2, born at 10, and of the guest's row 0 before that
    assert slot.tolist() == [5] * (PIXELS * PIXEL_BYTES)


def test_a_host_whose_last_row_is_there_already_has_no_room_for_rows_before_the_first() -> None:
    guest = value(1, [5, 12, 22, 24], [6, 13, 23, 25])
    assert value(0, [1, 2, 10, 20], [9, 19, 29, 29]).has_room(guest, pace=1, turn=-1)
    assert not value(0, [1, 1, 1, 1], [9, 19, 29, 29]).has_room(guest, pace=1, turn=-1)
    assert value(0, [1, 1, 1, 1], [9, 19, 29, 29]).has_room(guest, pace=1, turn=0)


@pytest.mark.parametrize("made", [False, True])
def test_rows_lie_in_no_ring_of_a_tensor_that_is_a_view(made: bool) -> None:
    rng = np.random.default_rng(0)
    b = ModelBuilder()
    at = b.input((1, 1, 48, 8), scale=SCALE)
    if made:
        at = pointwise(b, at, 8)
    image = b.tensor((1, 12, 4, 8), scale=SCALE)
    b.node("RESHAPE", [at], [image], new_shape=[1, 12, 4, 8])
    weights = b.constant(rng.integers(-127, 128, (1, 3, 3, 8)).astype(np.int8), scales=0.01)
    rows = b.tensor((1, 12, 4, 8), scale=SCALE)
    b.node(
        "DEPTHWISE_CONV_2D", [image, weights, None], [rows], depth_multiplier=1, stride_w=1, stride_h=1, padding="SAME"
    )
    b.output(pointwise(b, pointwise(b, rows, 8), 8))
    graph = read_model(b.finish())
    schedule = select(graph, frozenset({"dsp"}))
    network = Network(graph, layers_of(graph, schedule))
    inner = len(graph.nodes) - 3
    groups = [*(Group(layer, layer + 1) for layer in range(inner)), Group(inner, len(graph.nodes))]
    check(graph, schedule, place(graph, schedule, steps_of(network, groups)))
