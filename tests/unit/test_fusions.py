"""Fusions: which happen, which must not, and that the tensors which are left are the reference's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.filters import RandomFilters
from tests.support.models import ModelBuilder, Operand
from tinygen import Compiled, Options, compile_model, load_board, validate
from tinygen.cli import main
from tinygen.errors import ToolError
from tinygen.ir import Activation, Clamp, Graph, Reference
from tinygen.passes import Pass, fuse_clamp, fuse_padding, run_passes
from tinygen.tflite import read, read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import random_inputs

SCALE, ZERO_POINT = 0.05, -5
references = pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)


class Model:
    """x: 5×4 pixels of 3 channels; every tensor has one scale, and one zero point unless another is given."""

    def __init__(self) -> None:
        self.b = ModelBuilder()
        self.rng = np.random.default_rng(1)
        self.x = self.b.input((1, 5, 4, 3), scale=SCALE, zero_point=ZERO_POINT)

    def shape(self, x: Operand) -> tuple[int, ...]:
        return tuple(self.b.tensors[x].fields["shape"])

    def add(
        self,
        op: str,
        inputs: Sequence[Operand | None],
        shape: Sequence[int],
        zero_point: int = ZERO_POINT,
        **options: object,
    ) -> Operand:
        y = self.b.tensor(shape, scale=options.pop("scale", SCALE), zero_point=zero_point)  # type: ignore[arg-type]
        self.b.node(op, inputs, [y], **options)
        return y

    def pad(self, x: Operand, *pads: tuple[int, int], value: int | None = None, scale: float = SCALE) -> Operand:
        """Before and after rows, columns, then channels and batch."""
        table = np.zeros((4, 2), np.int32)
        for axis, pair in zip((1, 2, 3, 0), pads, strict=False):
            table[axis] = pair
        shape = [int(n) for n in np.array(self.shape(x)) + table.sum(1)]
        inputs = [x, self.b.constant(table)]
        if value is not None:
            inputs.append(self.b.constant(np.array(value, np.int8), scales=scale, zero_points=ZERO_POINT))
        return self.add("PAD" if value is None else "PADV2", inputs, shape, scale=scale)

    def convolution(self, x: Operand, taps: int = 3, stride: int = 1, **options: object) -> Operand:
        _, height, width, channels = self.shape(x)
        weights = self.b.constant(self.rng.integers(-127, 128, (2, taps, taps, channels)).astype(np.int8), scales=0.003)
        bias = self.b.constant(np.array([300, -200], np.int32), scales=SCALE * 0.003)
        shape = (self.shape(x)[0], (height - taps) // stride + 1, (width - taps) // stride + 1, 2)
        window = {"stride_h": stride, "stride_w": stride, "padding": "VALID"}
        return self.add("CONV_2D", [x, weights, bias], shape, **window, **options)

    def depthwise(self, x: Operand, padding: str = "VALID", **options: object) -> Operand:
        _, height, width, channels = self.shape(x)
        weights = self.b.constant(self.rng.integers(-127, 128, (1, 3, 3, channels)).astype(np.int8), scales=0.003)
        window = {"stride_h": 1, "stride_w": 1, "padding": padding, "depth_multiplier": 1}
        side = 2 if padding == "VALID" else 0
        bias = self.b.constant(np.zeros(channels, np.int32), scales=SCALE * 0.003)
        shape = (1, height - side, width - side, channels)
        return self.add("DEPTHWISE_CONV_2D", [x, weights, bias], shape, **window, **options)

    def fused(self, rewrite: Pass, *outputs: Operand, reference: Reference = Reference.LITERT) -> Graph:
        """The graph after one pass, compared in numpy with the one before on every tensor that is left."""
        self.b.output(*outputs)
        return checked(read_model(self.b.finish()), reference, lambda graph: rewrite(graph, reference))


def checked(graph: Graph, reference: Reference, rewrite: Callable[[Graph], Graph], seed: int = 0) -> Graph:
    fused = rewrite(graph)
    for node in fused.nodes:
        assert node.op.infer(node) == tuple(t.shape for t in node.outputs)
        assert [rule(node) for rule in node.op.constraints] == [None] * len(node.op.constraints)
    for arrays in random_inputs(graph, 3, seed):
        whole, found = evaluate(graph, arrays, reference), evaluate(fused, arrays, reference)
        for tensor in (t for node in fused.nodes for t in node.outputs):
            reduction = fused.reductions.get(tensor.index)
            wanted = whole[tensor.index] if reduction is None else reduction.of(whole[tensor.index])
            assert wanted.tobytes() == found[tensor.index].tobytes(), f"tensor {tensor.index}"
    return fused


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


# --- all passes together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(100, 160))
def test_random_graphs_compute_the_same_after_all_passes(seed: int) -> None:
    reference = [*Reference][seed % 2]
    steps = ("pointwise", "convolution", "depthwise", "activation", "pad", "residual")
    graph = read_model(RandomFilters(seed, steps).b.finish())
    checked(graph, reference, lambda g: run_passes(g, reference), seed)


def test_random_graphs_have_fusions_of_each_kind() -> None:
    steps = ("pointwise", "convolution", "depthwise", "activation", "pad", "residual")
    graphs = [read_model(RandomFilters(seed, steps).b.finish()) for seed in range(100, 160)]
    fused = [f.op for graph in graphs for f in run_passes(graph, Reference.LITERT).fusions]
    assert {"PAD", "RELU", "RELU6"} <= set(fused)


# --- PAD into a convolution ---------------------------------------------------------------------------------------

PADS = {
    "symmetric": ((1, 1), (1, 1)),
    "as SAME does with a stride": ((0, 1), (0, 1)),
    "before only": ((2, 0), (1, 0)),
    "rows only": ((2, 2),),
    "nothing": (),
}


@pytest.mark.parametrize("pads", PADS.values(), ids=PADS.keys())
@pytest.mark.parametrize("kind", ["convolution", "depthwise"])
@references
def test_padding_with_the_zero_point_becomes_a_border(
    kind: str, pads: Sequence[tuple[int, int]], reference: Reference
) -> None:
    m = Model()
    padded = m.pad(m.x, *pads)
    graph = m.fused(fuse_padding, getattr(m, kind)(padded), reference=reference)
    assert len(graph.nodes) == 1 and graph.nodes[0].input(0).index == m.x
    (fusion,) = graph.fusions
    assert (fusion.tensor.index, fusion.op, fusion.operator, fusion.into) == (padded, "PAD", 0, 1)


def test_padding_before_a_convolution_that_pads_itself_is_added() -> None:
    m = Model()
    assert len(m.fused(fuse_padding, m.depthwise(m.pad(m.x, (1, 0), (0, 1)), "SAME")).nodes) == 1


def test_paddings_in_a_row_are_added_and_padv2_with_the_zero_point_is_one() -> None:
    m = Model()
    padded = m.pad(m.pad(m.x, (1, 0), (0, 1)), (0, 1), (1, 0), value=ZERO_POINT)
    graph = m.fused(fuse_padding, m.convolution(padded))
    assert names(graph) == ["CONV_2D"]
    assert [(f.op, f.operator, f.into) for f in graph.fusions] == [("PADV2", 1, 2), ("PAD", 0, 2)]


def pool(m: Model, x: Operand) -> Operand:
    window = {"stride_h": 1, "stride_w": 1, "filter_height": 2, "filter_width": 2, "padding": "SAME"}
    return m.add("MAX_POOL_2D", [x], m.shape(x), **window)


UNPADDED: dict[str, Callable[[Model], Sequence[Operand]]] = {
    "another value": lambda m: [m.convolution(m.pad(m.x, (1, 1), value=ZERO_POINT + 1))],
    "another scale": lambda m: [m.convolution(m.pad(m.x, (1, 1), scale=2 * SCALE))],
    "channels": lambda m: [m.convolution(m.pad(m.x, (1, 1), (1, 1), (0, 1)))],
    "batches": lambda m: [m.convolution(m.pad(m.x, (1, 1), (1, 1), (0, 0), (0, 1)))],
    "a pool": lambda m: [pool(m, m.pad(m.x, (1, 1)))],
    "a second reader": lambda m: [m.convolution(p := m.pad(m.x, (1, 1))), m.depthwise(p)],
    "an output of the model": lambda m: [m.convolution(p := m.pad(m.x, (1, 1))), p],
    "windows beyond the input": lambda m: [m.convolution(m.pad(m.x, (3, 0), (0, 0)))],
    "windows behind the input": lambda m: [m.convolution(m.pad(m.x, (0, 0), (0, 3)))],
}


@pytest.mark.parametrize("build", UNPADDED.values(), ids=UNPADDED.keys())
def test_padding_stays_where_a_border_is_something_else(build: Callable[[Model], Sequence[Operand]]) -> None:
    m = Model()
    graph = m.fused(fuse_padding, *build(m))
    assert any(name.startswith("PAD") for name in names(graph)) and not graph.fusions


# --- activations and zero points into what is in front ------------------------------------------------------------


@pytest.mark.parametrize("op", ["RELU", "RELU6", "RELU_N1_TO_1"])
@references
def test_an_activation_at_the_same_scale_becomes_the_filters_clamp(op: str, reference: Reference) -> None:
    m = Model()
    made = m.convolution(m.x)
    graph = m.fused(fuse_clamp, m.add(op, [made], m.shape(made)), reference=reference)
    (node,) = graph.nodes
    assert node.op.fused_activation_function is Activation[op]  # type: ignore[attr-defined]
    assert [(f.tensor.index, f.op, f.operator, f.into) for f in graph.fusions] == [(made, op, 1, 0)]


def test_an_activation_behind_a_sum_and_one_behind_that_are_taken() -> None:
    m = Model()
    total = m.add("ADD", [m.x, m.x], m.shape(m.x))
    graph = m.fused(fuse_clamp, m.add("RELU6", [m.add("RELU", [total], m.shape(m.x))], m.shape(m.x)))
    assert names(graph) == ["ADD"] and len(graph.fusions) == 2


def test_a_shift_of_the_zero_point_behind_relu_is_taken() -> None:
    m = Model()
    made = m.convolution(m.x, fused_activation_function="RELU6")
    graph = m.fused(fuse_clamp, m.add("QUANTIZE", [made], m.shape(made), zero_point=-20))
    assert names(graph) == ["CONV_2D"] and graph.nodes[0].output.zero_point == -20


@pytest.mark.parametrize(("zero_point", "clamp"), [(20, Clamp(-103, 127)), (-20, Clamp(-128, 112))])
def test_a_shift_that_saturates_becomes_bounds_of_its_own(zero_point: int, clamp: Clamp) -> None:
    m = Model()
    made = m.convolution(m.x)
    graph = m.fused(fuse_clamp, m.add("QUANTIZE", [made], m.shape(made), zero_point=zero_point))
    (node,) = graph.nodes
    assert node.op.fused_activation_function == clamp  # type: ignore[attr-defined]


def test_a_range_that_no_activation_has_becomes_bounds() -> None:
    m = Model()
    made = m.convolution(m.x, fused_activation_function="RELU_N1_TO_1")
    (node,) = m.fused(fuse_clamp, m.add("RELU", [made], m.shape(made))).nodes
    assert isinstance(node.op.fused_activation_function, Clamp)  # type: ignore[attr-defined]


UNCLAMPED: dict[str, Callable[[Model], Sequence[Operand]]] = {
    "another scale": lambda m: [m.add("RELU", [m.convolution(m.x)], (1, 3, 2, 2), scale=SCALE / 2)],
    "a requantised sum": lambda m: [
        m.add("QUANTIZE", [m.add("ADD", [m.x, m.x], m.shape(m.x))], m.shape(m.x), scale=0.1)
    ],
    "no clamp": lambda m: [m.add("HARD_SWISH", [m.convolution(m.x)], (1, 3, 2, 2))],
    "a second reader": lambda m: [
        m.add("RELU", [c := m.convolution(m.x)], (1, 3, 2, 2)),
        m.add("RELU6", [c], (1, 3, 2, 2)),
    ],
    "an output of the model": lambda m: [m.add("RELU", [c := m.convolution(m.x)], (1, 3, 2, 2)), c],
    "an input of the model": lambda m: [m.add("RELU", [m.x], m.shape(m.x))],
    "a view": lambda m: [m.add("RELU", [m.add("RESHAPE", [m.x], (60,), new_shape=[60])], (60,))],
}


@pytest.mark.parametrize("build", UNCLAMPED.values(), ids=UNCLAMPED.keys())
def test_an_operator_stays_that_no_activation_replaces(build: Callable[[Model], Sequence[Operand]]) -> None:
    m = Model()
    assert not m.fused(fuse_clamp, *build(m)).fusions


# --- the C, the comparison, the reports ---------------------------------------------------------------------------


def tensors_equal(compiled: Compiled) -> int:
    """How many tensors were compared with the interpreter's, all of which are equal."""
    try:
        comparison = validate(compiled, inputs=2)
    except ToolError as missing:
        if "is not installed" not in str(missing):
            raise
        pytest.skip(str(missing))
    assert comparison.first_difference is None
    return comparison.totals.tensors_compared


def padded_models(count: int) -> bytes:
    """Many random convolutions, each behind a PAD of its own and in front of a RELU."""
    m = Model()
    rng = np.random.default_rng(5)
    for _ in range(count):
        x = m.b.input(
            (1, *(int(n) for n in rng.integers(3, 8, 2)), int(rng.integers(1, 9))), scale=SCALE, zero_point=-5
        )
        pads = [(int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))]
        kind = m.convolution if rng.random() < 0.6 else m.depthwise
        made = kind(m.pad(x, *pads))
        m.b.output(m.add("RELU", [made], m.shape(made)))
    m.b.output(m.add("RELU", [m.x], m.shape(m.x)))
    return m.b.finish()


def shifted_models(count: int) -> bytes:
    """Many random filters, sums and products, each with an activation or none and a QUANTIZE to another zero point."""
    m = Model()
    rng = np.random.default_rng(6)
    for index in range(count):
        x = m.b.input(
            (1, *(int(n) for n in rng.integers(3, 8, 2)), int(rng.integers(1, 9))), scale=SCALE, zero_point=-5
        )
        activation = str(rng.choice(["NONE", "RELU", "RELU6"]))
        if index % 3 == 2:
            y = m.b.input(m.shape(x), scale=SCALE, zero_point=7)
            kind = ("ADD", "SUB", "MUL")[index // 3 % 3]
            made = m.add(kind, [x, y], m.shape(x), fused_activation_function=activation)
        else:
            made = (m.convolution, m.depthwise)[index % 3](x, fused_activation_function=activation)
        m.b.output(m.add("QUANTIZE", [made], m.shape(made), zero_point=int(rng.integers(-60, 60))))
    return m.b.finish()


@pytest.mark.parametrize("board", ["nano33", "pico"])
@references
def test_the_c_of_shifted_layers_is_equal_to_the_interpreters_next_tensor(board: str, reference: Reference) -> None:
    compiled = compile_model(read(shifted_models(24)), load_board(board), Options(reference))
    graph = compiled.program.graph
    assert [f.op for f in graph.fusions] == ["QUANTIZE"] * 24
    assert any(isinstance(getattr(node.op, "fused_activation_function", None), Clamp) for node in graph.nodes)
    assert tensors_equal(compiled) == len(graph.nodes) == 24


@pytest.mark.parametrize("board", ["nano33", "pico"])
@references
def test_the_c_of_fused_layers_is_equal_to_the_interpreters_next_tensor(board: str, reference: Reference) -> None:
    compiled = compile_model(read(padded_models(24)), load_board(board), Options(reference))
    graph = compiled.program.graph
    assert [f.op for f in graph.fusions].count("PAD") == [f.op for f in graph.fusions].count("RELU") == 24
    assert tensors_equal(compiled) == len(graph.nodes) == 25


def test_inspect_lists_what_is_fused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    m = Model()
    padded = m.pad(m.x, (1, 1), (1, 1))
    m.b.output(m.convolution(padded))
    path = tmp_path / "m.tflite"
    path.write_bytes(m.b.finish())
    assert main(["inspect", str(path), "--board", "nano33", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    name = f"t{padded}"
    assert told["fused_tensors"] == [{"tensor": padded, "name": name, "op": "PAD", "operator": 0, "into": 1}]
    assert [layer["op"] for layer in told["layers"]] == ["CONV_2D"]
    assert main(["inspect", str(path), "--board", "nano33"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == "fused PAD, operator 0, into operator 1".split() for line in lines)
    heads = [line.split()[0] for line in lines if line.strip().startswith(("operator", "layer"))]
    assert heads == ["operator", "layer"]  # the file's numbers, and those that --kernel takes
