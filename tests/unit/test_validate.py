"""Comparing: what counts as a difference, and that no value is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tinygen.emulate import Run
from tinygen.emulate.base import Inference, Step
from tinygen.errors import EmulatorError
from tinygen.ir import Array, Graph, Reduction
from tinygen.tflite import read_model
from tinygen.validate.compare import Difference, Totals, compare

Y, Z = 1, 2  # tensor indices
Values = list[dict[int, Array]]


def graph_of_two_layers() -> Graph:
    """x → RELU → y → DEQUANTIZE → z: 2 rows of 3 elements, the last ones float; y is an output too."""
    b = ModelBuilder()
    x = b.input((1, 2, 3, 1), scale=0.5, name="x")
    y = b.tensor((1, 2, 3, 1), scale=0.5, name="y")
    z = b.tensor((1, 2, 3, 1), "float32", name="z")
    b.node("RELU", [x], [y])
    b.node("DEQUANTIZE", [y], [z])
    b.output(z, y)
    return read_model(b.finish())


def values(inferences: int = 2) -> Values:
    rng = np.random.default_rng(0)
    shape = (1, 2, 3, 1)
    integers = [rng.integers(0, 128, shape).astype(np.int8) for _ in range(inferences)]
    return [{Y: y, Z: y.astype(np.float32) * np.float32(0.5)} for y in integers]


def run_that_shows(given: Values, ranges: tuple[tuple[int, int, int], ...] = ((0, 0, 2), (1, 0, 1), (1, 1, 2))) -> Run:
    """A run whose steps (layer, first row, end) show these values."""
    inferences = []
    for tensors in given:
        steps = []
        for layer, begin, end in ranges:
            rows = tensors[(Y, Z)[layer]].reshape(2, 3)[begin:end]
            steps.append(Step(layer, 0, begin, end, rows.nbytes // max(end - begin, 1), rows.tobytes()))
        inferences.append(Inference(tuple(steps), (tensors[Z].tobytes(), tensors[Y].tobytes()), None, None))
    return Run("hand", tuple(inferences))


def compared(wanted: Values, checked: Values, released: Values | None = None) -> Totals:
    return compare(graph_of_two_layers(), wanted, run_that_shows(checked), run_that_shows(released or checked, ()))


# --- what is equal and what differs -------------------------------------------------------------------------------


def test_equal_values_are_all_counted() -> None:
    # Per inference: both layers once, and both outputs in both builds.
    assert compared(values(), values()) == Totals(2, 2 * (6 + 6 + 2 * (6 + 6)), 0, 0.0, None)


def test_the_first_difference_is_told_with_layer_element_and_both_values() -> None:
    wanted, found = values(), values()
    found[1][Z][0, 1, 2, 0] += 0.5
    found[1][Y][0, 1, 0, 0] ^= 3
    found[1][Y][0, 0, 2, 0] ^= 1
    totals = compared(wanted, found)
    expected, got = int(wanted[1][Y][0, 0, 2, 0]), int(found[1][Y][0, 0, 2, 0])
    assert totals.first_difference == Difference(1, 0, "RELU", "y", (0, 0, 2, 0), expected, got)
    assert totals.values_different == 3 * 3  # in the layer, and in the output of both builds
    assert totals.largest_difference == abs(int(wanted[1][Y][0, 1, 0, 0]) - int(found[1][Y][0, 1, 0, 0]))


def test_a_difference_in_a_row_that_a_later_step_shows_has_its_place_in_the_tensor() -> None:
    wanted, found = values(1), values(1)
    found[0][Z][0, 1, 1, 0] = -1
    first = compared(wanted, found).first_difference
    assert first is not None
    assert (first.layer, first.op, first.element, first.found) == (1, "DEQUANTIZE", (0, 1, 1, 0), -1.0)


def test_a_difference_in_the_shipped_build_alone_is_found() -> None:
    wanted, released = values(), values()
    released[0][Y][0, 0, 1, 0] ^= 1
    totals = compared(wanted, wanted, released)
    assert totals.values_different == 1
    assert totals.first_difference is not None and totals.first_difference.tensor == "y"


NAN, OTHER_NAN = np.array([0x7FC0_0000, 0x7FC0_0001], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("wanted", "found", "different", "largest"),
    [
        (0.0, -0.0, True, 0.0),
        (NAN, NAN, False, 0.0),
        (NAN, OTHER_NAN, True, 0.0),
        (NAN, 1.0, True, 0.0),
        (np.inf, np.inf, False, 0.0),
        (np.inf, -np.inf, True, np.inf),
        (1.0, np.nextafter(np.float32(1), np.float32(2)), True, 2.0**-23),
    ],
)
@pytest.mark.filterwarnings("error")
def test_floats_are_compared_as_bits(wanted: float, found: float, different: bool, largest: float) -> None:
    ours, theirs = values(1), values(1)
    ours[0][Z][0, 0, 0, 0] = wanted
    theirs[0][Z][0, 0, 0, 0] = found
    totals = compared(ours, theirs)
    assert (totals.values_different > 0) is different
    assert totals.largest_difference == largest


@pytest.mark.filterwarnings("error")
def test_infinities_that_are_equal_say_nothing_of_the_difference_beside_them() -> None:
    ours, theirs = values(1), values(1)
    ours[0][Z][0, 0, 0, 0] = theirs[0][Z][0, 0, 0, 0] = np.inf
    theirs[0][Z][0, 0, 1, 0] += 2
    assert compared(ours, theirs).largest_difference == 2.0


def reduced_graph() -> tuple[Graph, Values]:
    """x → RELU → y, of whose 3 channels the second is proved to be 5 and nothing depends on the last; and values."""
    graph = graph_of_two_layers()
    full = dataclasses.replace(graph.nodes[0].output, shape=(1, 2, 1, 3))
    x, y = (dataclasses.replace(t, shape=(1, 2, 1, 1)) for t in (graph.nodes[0].input(0), full))
    z = dataclasses.replace(graph.nodes[1].output, shape=(1, 2, 1, 1))
    nodes = tuple(
        dataclasses.replace(node, inputs=(source,), outputs=(output,))
        for node, source, output in zip(graph.nodes, (x, y), (y, z), strict=True)
    )
    reduced = dataclasses.replace(
        graph, nodes=nodes, outputs=(z,), reductions={Y: Reduction(full, kept=(0,), constants={1: 5})}
    )
    return reduced, [{Y: np.array([[[[1, 5, 9]], [[2, 5, 8]]]], np.int8), Z: np.full((1, 2, 1, 1), 4, np.float32)}]


def compare_reduced(wanted: Values, computed: Sequence[int]) -> Totals:
    """`computed` are the firmware's two values of y."""
    graph, values = reduced_graph()
    y, z = np.array(computed, np.int8).tobytes(), values[0][Z].tobytes()
    steps = (Step(0, 0, 0, 1, 1, y[:1]), Step(0, 0, 1, 2, 1, y[1:]), Step(1, 0, 0, 2, 4, z))
    run = Run("hand", (Inference(steps, (z,), None, None),))
    return compare(graph, wanted, run, run)


def test_of_a_reduced_tensor_the_kept_channels_and_the_proved_values_are_compared() -> None:
    _, wanted = reduced_graph()
    assert compare_reduced(wanted, [1, 2]) == Totals(2, 2 + 2 + 2 + 2 + 2, 0, 0.0, None)


def test_a_value_of_a_kept_channel_that_differs_has_its_place_in_the_models_tensor() -> None:
    _, wanted = reduced_graph()
    wanted[0][Y] = wanted[0][Y][..., [2, 1, 0]]
    graph, _ = reduced_graph()
    kept_last = dataclasses.replace(graph.reductions[Y], kept=(2,))
    y, z = b"\x01\x07", wanted[0][Z].tobytes()
    run = Run("hand", (Inference((Step(0, 0, 0, 2, 1, y), Step(1, 0, 0, 2, 4, z)), (z,), None, None),))
    totals = compare(dataclasses.replace(graph, reductions={Y: kept_last}), wanted, run, run)
    assert totals.first_difference == Difference(0, 0, "RELU", "y", (0, 1, 0, 2), 2, 7)


def test_a_proved_value_that_the_reference_does_not_have_is_a_difference_of_its_layer_and_channel() -> None:
    _, wanted = reduced_graph()
    wanted[0][Y][0, 1, 0, 1] = 7
    totals = compare_reduced(wanted, [1, 2])
    assert totals.values_different == 1 and totals.largest_difference == 2
    assert totals.first_difference == Difference(0, 0, "RELU", "y", (0, 1, 0, 1), 7, 5)


def test_a_wrong_proof_comes_before_a_difference_in_a_later_layer() -> None:
    _, wanted = reduced_graph()
    wanted[0][Y][0, 1, 0, 1] = 7
    wanted[0][Z][0, 0, 0, 0] += 1
    totals = compare_reduced(wanted, [1, 2])
    assert totals.first_difference == Difference(0, 0, "RELU", "y", (0, 1, 0, 1), 7, 5)


SHOWN = {
    "a row missing": ((0, 0, 2), (1, 0, 1)),
    "a layer missing": ((0, 0, 2),),
    "nothing": (),
    "a row twice": ((0, 0, 2), (1, 0, 2), (1, 1, 2)),
    "a row twice and another missing": ((0, 0, 2), (1, 0, 1), (1, 0, 1)),
}


@pytest.mark.parametrize("ranges", SHOWN.values(), ids=SHOWN.keys())
def test_rows_that_were_not_shown_once_are_an_error(ranges: tuple[tuple[int, int, int], ...]) -> None:
    given = values()
    layer = 0 if ranges == () else 1
    with pytest.raises(EmulatorError, match=f"inference 0: layer {layer} did not show each of its rows once"):
        compare(graph_of_two_layers(), given, run_that_shows(given, ranges), run_that_shows(given, ()))


DAMAGED: dict[str, Callable[[Step], Step]] = {
    "layer": lambda step: dataclasses.replace(step, layer=9),
    "output": lambda step: dataclasses.replace(step, output=1),
    "rows beyond the tensor": lambda step: dataclasses.replace(step, row_begin=4, row_end=6),
    "row bytes": lambda step: dataclasses.replace(step, row_bytes=1, data=step.data[:2]),
    "one byte a row, broadcast": lambda step: dataclasses.replace(step, row_bytes=1, row_end=1, data=step.data[:1]),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_steps_that_fit_no_layer_are_an_error_of_the_emulation(damage: Callable[[Step], Step]) -> None:
    given = values(1)
    (inference,) = run_that_shows(given).inferences
    steps = (damage(inference.steps[0]), *inference.steps[1:])
    broken = Run("hand", (dataclasses.replace(inference, steps=steps),))
    with pytest.raises(EmulatorError):
        compare(graph_of_two_layers(), given, broken, run_that_shows(given, ()))
