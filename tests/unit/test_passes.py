"""Passes leave every value as it was: what is folded, what stays, and in which order nodes come out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models import ModelBuilder, Operand
from tinygen import compile_model, load_board
from tinygen.errors import ToolError
from tinygen.ir import Graph, Reference
from tinygen.passes import run_passes
from tinygen.passes.edges import float_edges_outermost
from tinygen.passes.fold import fold_constants
from tinygen.passes.single_channel import convolution_is_faster, convolve_single_channels
from tinygen.targets import TARGETS
from tinygen.tflite import read, read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import random_inputs
from tinygen.validate.interpreters import run_reference

references = pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)


def indices(graph: Graph) -> list[int]:
    """The nodes' operator indices in the file, in the graph's order."""
    return [node.index for node in graph.nodes]


# --- folding ------------------------------------------------------------------------------------------------------


class Folding:
    """x + FULLY_CONNECTED(constant): operator 0 can be folded; `shown` makes its result an output of the graph as well.

    The accumulators are every third integer from −1365 to 1365 and the factor is 1/64: litert and tflm differ.
    """

    def __init__(self, *, shown: bool = False) -> None:
        self.b = ModelBuilder()
        x = self.b.input((1, 911), scale=0.5)
        constant = self.b.constant(np.array([[1]], np.int8), scales=0.5)
        weights = self.b.constant(np.zeros((911, 1), np.int8), scales=0.25)
        bias = self.b.constant(np.arange(-1365, 1366, 3, dtype=np.int32), scales=0.125)
        self.folded = self.b.tensor((1, 911), scale=8.0, zero_point=-5)
        self.total = self.b.tensor((1, 911), scale=0.25)
        self.b.node("FULLY_CONNECTED", [constant, weights, bias], [self.folded], version=4)
        self.b.node("ADD", [x, self.folded], [self.total])
        self.b.output(self.total, *([self.folded] if shown else []))
        self.data = self.b.finish()


@references
def test_a_folded_node_is_gone_and_its_value_is_the_interpreters(reference: Reference) -> None:
    model = Folding()
    graph = fold_constants(read_model(model.data), reference)
    (node,) = graph.nodes
    found = node.input(1)
    try:
        (values,) = run_reference(model.data, reference, [[np.zeros((1, 911), np.int8)]], timeout_s=60)
    except ToolError as missing:
        if "is not installed" not in str(missing):
            raise
        pytest.skip(str(missing))
    assert node.op.name == "ADD"
    assert found.index == model.folded and found.data is not None
    assert found.data.dtype == np.int8 and found.data.tobytes() == values[model.folded].tobytes()
    assert not found.data.flags.writeable
    assert (found.scale, found.zero_point, found.shape) == (8.0, -5, (1, 911))


def test_folding_follows_the_chosen_reference() -> None:
    graph = read_model(Folding().data)
    litert, tflm = (fold_constants(graph, r).nodes[0].input(1).data for r in (Reference.LITERT, Reference.TFLM))
    assert litert is not None and tflm is not None
    assert litert.tobytes() != tflm.tobytes(), "the two round halves differently"


def test_folding_leaves_the_graph_it_was_given_alone() -> None:
    graph = read_model(Folding().data)
    fold_constants(graph, Reference.LITERT)
    assert [n.op.name for n in graph.nodes] == ["FULLY_CONNECTED", "ADD"]
    assert graph.nodes[1].input(1).data is None


def test_a_node_that_makes_a_graph_output_stays() -> None:
    model = Folding(shown=True)
    graph = fold_constants(read_model(model.data), Reference.LITERT)
    assert [n.op.name for n in graph.nodes] == ["FULLY_CONNECTED", "ADD"]
    assert [t.index for t in graph.outputs] == [model.total, model.folded]
    assert graph.nodes[1].input(1).data is None


def test_folding_goes_on_behind_a_folded_node_and_stops_at_the_output() -> None:
    b = ModelBuilder()
    x = b.input((2, 2), scale=0.5)
    at = b.constant(np.array([[-4, -3, 2, 1]], np.int8), scales=0.5)
    for _ in range(2):
        after = b.tensor((1, 4), scale=0.5)
        b.node("RELU", [at], [after])
        at = after
    last = b.tensor((2, 2), scale=0.5)
    b.node("RESHAPE", [at, b.constant(np.array([2, 2], np.int32))], [last])
    y = b.tensor((2, 2), scale=0.5)
    b.node("ADD", [x, x], [y])
    b.output(y, last)
    graph = fold_constants(read_model(b.finish()), Reference.LITERT)
    assert indices(graph) == [2, 3]
    source = graph.nodes[0].input(0)
    assert source.data is not None and source.data.tolist() == [[0, 0, 2, 1]]


def test_a_graph_without_constant_nodes_stays_as_it_is() -> None:
    b = ModelBuilder()
    x = b.input((1, 4), scale=0.5)
    y = b.tensor((1, 4), scale=0.5)
    b.node("ADD", [x, b.constant(np.ones((1, 4), np.int8), scales=0.5)], [y])
    b.output(y)
    graph = read_model(b.finish())
    assert indices(run_passes(graph, Reference.LITERT)) == [0]


# --- one input channel --------------------------------------------------------------------------------------------


def depthwise(channels: int, outputs: int, *, columns: int = 2, twice: bool = False) -> Graph:
    """DEPTHWISE_CONV_2D with 3 rows of taps; `twice`: a second one uses the same filter."""
    b, rng = ModelBuilder(), np.random.default_rng(3)
    x = b.input((1, 5, 6, channels), scale=0.5, zero_point=7)
    scales = [0.01 + 0.001 * i for i in range(outputs)]
    taps = rng.integers(-127, 127, (1, 3, columns, outputs), np.int8)
    weights = b.constant(taps, scales=scales, zero_points=[0] * outputs, axis=3)
    bias = b.constant(rng.integers(-900, 900, outputs, np.int32), scales=0.005)
    for _ in range(1 + twice):
        y = b.tensor((1, 3, 3, outputs), scale=2.0, zero_point=-3)
        b.node(
            "DEPTHWISE_CONV_2D", [x, weights, bias], [y], version=3, padding="SAME", stride_h=2, stride_w=2,
            depth_multiplier=outputs // channels, fused_activation_function="RELU",
            dilation_h_factor=1, dilation_w_factor=1,
        )  # fmt: skip
        b.output(y)
    return read_model(b.finish())


@references
def test_a_depthwise_convolution_of_one_channel_becomes_a_convolution_of_equal_value(reference: Reference) -> None:
    before = depthwise(1, 8)
    after = convolve_single_channels(before, reference)
    assert [node.op.name for node in after.nodes] == ["CONV_2D"]
    (values,) = random_inputs(before, 1, seed=5)[:1]
    wanted, found = (evaluate(graph, values, reference)[before.outputs[0].index] for graph in (before, after))
    assert len(np.unique(wanted)) > 10 and (wanted == found).all()
    assert after.nodes[0].input(1).shape == (8, 3, 2, 1) and after.macs == before.macs


OTHERS = depthwise(2, 8), depthwise(1, 8, twice=True), depthwise(1, 8, columns=3)


@pytest.mark.parametrize("graph", OTHERS, ids=["two channels", "shared filter", "3 x 3"])
def test_other_depthwise_convolutions_stay(graph: Graph) -> None:
    assert {node.op.name for node in convolve_single_channels(graph, Reference.LITERT).nodes} == {"DEPTHWISE_CONV_2D"}


def test_a_convolution_is_faster_where_it_has_kernels_of_its_own() -> None:
    faster = {target.name for target in TARGETS if convolution_is_faster(target.features)}
    assert faster == {target.name for target in TARGETS if "dsp" in target.features}
    assert faster and faster != {target.name for target in TARGETS}


# --- float edges --------------------------------------------------------------------------------------------------


class Edges:
    """Float inputs a and b, float outputs p and q. In the file, b is quantised late and p is dequantised early."""

    def __init__(self) -> None:
        self.b = ModelBuilder()
        self.a, self.c = (self.b.input((1, 4), "float32", name=name) for name in "ab")
        self.quantised_a = self.integer("QUANTIZE", self.a)  # 0
        doubled = self.integer("ADD", self.quantised_a, self.quantised_a)  # 1
        self.p = self.real(doubled)  # 2
        self.quantised_b = self.integer("QUANTIZE", self.c)  # 3
        total = self.integer("ADD", doubled, self.quantised_b)  # 4
        self.q = self.real(total)  # 5
        self.last = self.integer("RELU", total)  # 6
        self.b.output(self.p, self.q, self.last)

    def integer(self, op: str, *inputs: Operand) -> Operand:
        output = self.b.tensor((1, 4), scale=0.5)
        self.b.node(op, list(inputs), [output])
        return output

    def real(self, source: Operand) -> Operand:
        output = self.b.tensor((1, 4), "float32")
        self.b.node("DEQUANTIZE", [source], [output])
        return output

    def ordered(self) -> Graph:
        return float_edges_outermost(read_model(self.b.finish()), Reference.LITERT)


def test_edges_move_outermost_and_everything_keeps_its_order() -> None:
    assert indices(Edges().ordered()) == [0, 3, 1, 4, 6, 2, 5]


def test_ordering_twice_changes_nothing() -> None:
    once = Edges().ordered()
    assert indices(float_edges_outermost(once, Reference.LITERT)) == indices(once)


def test_a_requantisation_and_a_float_inside_the_graph_are_no_edges() -> None:
    model = Edges()
    requantised = model.integer("QUANTIZE", model.quantised_a)  # 7
    inner = model.real(requantised)  # 8
    model.b.output(model.integer("QUANTIZE", inner))  # 9
    assert indices(model.ordered()) == [0, 3, 1, 4, 6, 7, 8, 9, 2, 5]


def test_a_float_output_that_is_read_again_is_no_edge() -> None:
    model = Edges()
    model.b.output(model.integer("QUANTIZE", model.p))  # 7 reads what 2 makes
    assert indices(model.ordered()) == [0, 3, 1, 2, 4, 6, 7, 5]


def test_the_interface_without_float_reaches_every_tensor_that_an_edge_makes() -> None:
    """Else a caller of run_quantized could not fill it, for that skips the edges."""
    model = Edges()
    model.b.output(model.integer("QUANTIZE", model.a))  # a second, other quantisation of a
    program = compile_model(read(model.b.finish()), load_board("nano33")).program
    made = [node.output.index for node in program.graph.nodes[: program.input_edges]]
    assert sorted(made) == sorted(p.integer.index for p in program.inputs if p.integer is not p.tensor)


def test_no_layer_between_the_edges_reads_a_float_input() -> None:
    """Else run_quantized, which skips the edges, would compute with floats that nobody wrote."""
    model = Edges()
    reshaped = model.b.tensor((4,), "float32")
    model.b.node("RESHAPE", [model.a, model.b.constant(np.array([4], np.int32))], [reshaped])
    model.b.output(reshaped)
    program = compile_model(read(model.b.finish()), load_board("nano33")).program
    inner = program.graph.nodes[program.input_edges : len(program.graph.nodes) - program.output_edges]
    floats = {port.tensor.index for port in program.inputs if port.integer is not port.tensor}
    assert not [n.describe() for n in inner for t in n.inputs if t is not None and t.index in floats]
