"""Scales that people write, and every pair of bytes: there a factor that is a little off moves results.

Random scales hardly ever make a tie; 0.03, 0.05 and 0.08 make thousands.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.harness import TIMEOUT_S
from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Array, Reference
from tinygen.tflite import read_model
from tinygen.validate.evaluate import evaluate
from tinygen.validate.interpreters import run_reference

SCALES = (
    (0.03, 0.05, 0.08), (0.05, 0.03, 0.08), (0.02, 0.07, 0.1), (0.013, 0.041, 0.09),
    (0.1, 0.1, 0.2), (0.01, 0.02, 0.03), (0.3, 0.7, 1.0), (0.006, 0.0035, 0.01),
    (0.0235, 0.047, 0.0705), (1 / 255, 2 / 255, 3 / 255), (1 / 127, 0.5, 0.6),
)  # fmt: skip
FIRST, SECOND = (np.ascontiguousarray(a, np.int8).reshape(1, 64, 64, 16) for a in np.mgrid[-128:128, -128:128])
X, Y, OUTPUT = -11, 11, 5
"""Zero points."""


def nodes(b: ModelBuilder, first: float, second: float, output: float) -> list[Array]:
    """One node of every operator that scales in fixed point; gives the inputs' values."""
    shape = FIRST.shape
    x, y = b.input(shape, scale=first, zero_point=X), b.input(shape, scale=second, zero_point=Y)

    def node(
        op: str,
        inputs: list[Operand | None],
        to: tuple[int, ...] = shape,
        *,
        scale: float = output,
        zero_point: int = OUTPUT,
        **options: object,
    ) -> None:
        made = b.tensor(to, scale=scale, zero_point=zero_point)
        b.node(op, inputs, [made], **options)
        b.output(made)

    node("ADD", [x, y], version=2)
    node("SUB", [x, y], version=2)
    node("MUL", [x, y], scale=output * 0.3, version=2)
    node("QUANTIZE", [x])
    node("RELU", [y])
    node("RELU6", [y])
    node("LEAKY_RELU", [x], alpha=0.1)
    node("HARD_SWISH", [x])
    node("LOGISTIC", [x], scale=1 / 256, zero_point=-128)
    node("TANH", [x], scale=1 / 128, zero_point=0)
    node("SOFTMAX", [x], scale=1 / 256, zero_point=-128, beta=1.0)
    axes = b.constant(np.array([1, 2], np.int32))
    node("MEAN", [x, axes], (1, 1, 1, 16), keep_dims=True)
    rng = np.random.default_rng(0)

    def weights(*dims: int) -> Operand:
        return b.constant(rng.integers(-127, 128, dims).astype(np.int8), scales=second, zero_points=0)

    def bias(count: int) -> Operand:
        values = rng.integers(-500, 500, count).astype(np.int32)
        return b.constant(values, scales=float(np.float32(np.float32(first) * np.float32(second))), zero_points=0)

    node(
        "CONV_2D", [x, weights(8, 1, 1, 16), bias(8)], (1, 64, 64, 8), stride_w=1, stride_h=1, padding="SAME", version=3
    )
    node("DEPTHWISE_CONV_2D", [x, weights(1, 1, 3, 16), bias(16)], stride_w=1, stride_h=1, padding="SAME",
         depth_multiplier=1, version=3)  # fmt: skip
    rows = b.input((4096, 16), scale=first, zero_point=X)
    node("FULLY_CONNECTED", [rows, weights(8, 16), bias(8)], (4096, 8), version=4)
    return [FIRST, SECOND, FIRST.reshape(4096, 16)]


@pytest.mark.parametrize("reference", Reference)
def test_numpy_equals_the_interpreter_for_every_pair_of_bytes(reference: Reference) -> None:
    b = ModelBuilder()
    inputs = [array for scales in SCALES for array in nodes(b, *scales)]
    data = b.finish()
    graph = read_model(data)
    (expected,) = run_reference(data, reference, [inputs], timeout_s=TIMEOUT_S)
    found = evaluate(graph, inputs, reference)
    wrong = {
        f"{node.describe()} {node.inputs[0].scale} {node.output.scale}": int(
            (found[t.index] != expected[t.index]).sum()
        )
        for node in graph.nodes
        for t in node.outputs
    }
    assert {name: count for name, count in wrong.items() if count} == {}
