"""Small sound models that tests read, run or damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.models import ModelBuilder

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"


def shared_models() -> list[Path]:
    """The real models beside the checkout; empty where they are absent, and then tests skip by `shared_model`."""
    return sorted(SHARED_MODELS.glob("*.tflite"))


def shared_model(name: str) -> bytes:
    """The bytes of a real model, or a skip that says what is missing."""
    path = SHARED_MODELS / name
    if not path.exists():
        pytest.skip(f"put the published model {name} into {SHARED_MODELS}")
    return path.read_bytes()


def two_convolutions(seed: int = 0) -> ModelBuilder:
    """int8 1x6x6x3 → CONV_2D per channel → CONV_2D per tensor without bias → 1x2x2x2.

    Tensors: 0 input, 1 filter, 2 bias, 3 between, 4 filter, 5 output. Operators: 0 and 1.
    """
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    x = b.input((1, 6, 6, 3), scale=0.05, zero_point=-3, name="image")
    scales = [0.01, 0.02, 0.03, 0.04]
    w = b.constant(rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), scales=scales, name="first/filter")
    bias = b.constant(
        rng.integers(-500, 500, 4).astype(np.int32), scales=[0.05 * scale for scale in scales], name="first/bias"
    )
    y = b.tensor((1, 4, 4, 4), scale=0.1, zero_point=5, name="between")
    b.node(
        "CONV_2D",
        [x, w, bias],
        [y],
        version=3,
        stride_w=1,
        stride_h=1,
        padding="VALID",
        fused_activation_function="RELU",
    )
    v = b.constant(rng.integers(-127, 128, (2, 2, 2, 4)).astype(np.int8), scales=0.02, name="second/filter")
    z = b.tensor((1, 2, 2, 2), scale=0.2, zero_point=-10, name="scores")
    b.node("CONV_2D", [y, v, None], [z], version=3, stride_w=2, stride_h=2, padding="SAME")
    b.output(z)
    return b


def many_operators(seed: int = 0) -> ModelBuilder:
    """A sound chain through operators of many kinds, with float32 at both edges: material for damage."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()

    def step(operator: str, *others: int, shape: tuple[int, ...] = (1, 4, 4, 4), **options: object) -> None:
        nonlocal x
        # The outputs of these two have one quantisation; operators that only move values keep that of their input.
        scale, zero_point = (1 / 256, -128) if operator in ("LOGISTIC", "SOFTMAX") else quantisation
        y = b.tensor(shape, scale=scale, zero_point=zero_point, name=f"after/{operator}")
        b.node(operator, [x, *others], [y], **options)
        x = y

    quantisation = (0.05, 1)
    x = b.input((1, 4, 4, 4), "float32", name="real")
    step("QUANTIZE")
    w = b.constant(rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8), scales=[0.01] * 4, axis=3)
    bias = b.constant(np.zeros(4, np.int32), scales=[0.0005] * 4)
    step("DEPTHWISE_CONV_2D", w, bias, padding="SAME", stride_w=1, stride_h=1, depth_multiplier=1)
    step("ADD", x, fused_activation_function="RELU")
    step("MUL", b.constant(np.array([3], np.int8), scales=[0.1]))
    step("LEAKY_RELU", alpha=0.125)
    step("LOGISTIC")
    quantisation = (1 / 256, -128)
    pads = b.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    step("PAD", pads, shape=(1, 6, 6, 4))
    step("MAX_POOL_2D", shape=(1, 3, 3, 4), padding="VALID", stride_w=2, stride_h=2, filter_width=2, filter_height=2)
    step("CONCATENATION", x, shape=(1, 3, 3, 8), axis=3)
    step("MEAN", b.constant(np.array([1, 2], np.int32)), shape=(1, 8), keep_dims=False)
    v = b.constant(rng.integers(-127, 128, (6, 8)).astype(np.int8), scales=0.02)
    step("FULLY_CONNECTED", v, shape=(1, 6))
    step("RESHAPE", b.constant(np.array([2, 3], np.int32)), shape=(2, 3), new_shape=[2, 3])
    step("SOFTMAX", shape=(2, 3), beta=1.0)
    z = b.tensor((2, 3), "float32", name="probabilities")
    b.node("DEQUANTIZE", [x], [z])
    b.output(z)
    return b
