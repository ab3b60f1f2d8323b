"""The small models whose generated C is kept, so that a reviewer reads what a change does to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.support.models import ModelBuilder


def classifier() -> bytes:
    """A convolution, a depthwise one, their pooled features, dense and softmax: what most models are made of."""
    rng = np.random.default_rng(1)
    b = ModelBuilder("classifier")
    x = b.input((1, 6, 5, 2), scale=0.05, zero_point=-3, name="image")
    scales = [0.01, 0.02, 0.015]
    w = b.constant(rng.integers(-127, 128, (3, 3, 3, 2), np.int8), scales=scales, zero_points=[0] * 3, name="stem")
    bias = b.constant(rng.integers(-900, 900, 3, np.int32), scales=[0.05 * s for s in scales], zero_points=[0] * 3)
    y = b.tensor((1, 3, 3, 3), scale=0.1, zero_point=-128, name="stem/relu")
    b.node(
        "CONV_2D",
        [x, w, bias],
        [y],
        version=3,
        stride_h=2,
        stride_w=2,
        padding="SAME",
        fused_activation_function="RELU",
    )
    w = b.constant(rng.integers(-127, 128, (1, 3, 3, 3), np.int8), scales=scales, zero_points=[0] * 3, axis=3)
    bias = b.constant(rng.integers(-900, 900, 3, np.int32), scales=[0.1 * s for s in scales], zero_points=[0] * 3)
    z = b.tensor((1, 3, 3, 3), scale=0.08, zero_point=10, name="depthwise")
    b.node(
        "DEPTHWISE_CONV_2D", [y, w, bias], [z], version=3, stride_h=1, stride_w=1, padding="SAME", depth_multiplier=1
    )
    pooled = b.tensor((1, 1, 1, 3), scale=0.08, zero_point=10, name="features")
    b.node(
        "AVERAGE_POOL_2D",
        [z],
        [pooled],
        version=2,
        padding="VALID",
        stride_h=3,
        stride_w=3,
        filter_height=3,
        filter_width=3,
    )
    flat = b.tensor((1, 3), scale=0.08, zero_point=10)
    b.node("RESHAPE", [pooled, b.constant(np.array([1, 3], np.int32))], [flat], new_shape=[1, 3])
    w = b.constant(rng.integers(-127, 128, (4, 3), np.int8), scales=0.03)
    bias = b.constant(rng.integers(-900, 900, 4, np.int32), scales=0.0024)
    logits = b.tensor((1, 4), scale=0.2, zero_point=5, name="logits")
    b.node("FULLY_CONNECTED", [flat, w, bias], [logits], version=4)
    scores = b.tensor((1, 4), scale=1 / 256, zero_point=-128, name="scores")
    b.node("SOFTMAX", [logits], [scores], version=2, beta=1.0)
    b.output(scores)
    return b.finish()


def float_edges() -> bytes:
    """float32 at both ends, a residual sum and an activation that runs in place."""
    b = ModelBuilder("float_edges")
    x = b.input((1, 4, 4, 2), "float32", name="signal")
    q = b.tensor((1, 4, 4, 2), scale=0.04, zero_point=1)
    b.node("QUANTIZE", [x], [q])
    a = b.tensor((1, 4, 4, 2), scale=1 / 128, zero_point=0, name="tanh")
    b.node("TANH", [q], [a])
    s = b.tensor((1, 4, 4, 2), scale=0.05, zero_point=-2, name="sum")
    b.node("ADD", [q, a], [s], version=2, fused_activation_function="RELU6")
    out = b.tensor((1, 4, 4, 2), "float32", name="result")
    b.node("DEQUANTIZE", [s], [out], version=2)
    b.output(out)
    return b.finish()


def pointwise() -> bytes:
    """One pointwise convolution, of three pixels and two: assembly for DSP, and the portable C that defines it."""
    rng = np.random.default_rng(2)
    b = ModelBuilder("pointwise")
    x = b.input((1, 1, 5, 8), scale=0.05, zero_point=-3, name="image")
    scales = [0.01, 0.02, 0.015, 0.012]
    w = b.constant(rng.integers(-127, 128, (4, 1, 1, 8), np.int8), scales=scales, zero_points=[0] * 4, name="weights")
    bias = b.constant(rng.integers(-900, 900, 4, np.int32), scales=[0.05 * s for s in scales], zero_points=[0] * 4)
    y = b.tensor((1, 1, 5, 4), scale=0.1, zero_point=-128, name="features")
    b.node(
        "CONV_2D",
        [x, w, bias],
        [y],
        version=3,
        stride_h=1,
        stride_w=1,
        padding="VALID",
        fused_activation_function="RELU",
    )
    b.output(y)
    return b.finish()


MODELS: dict[str, Callable[[], bytes]] = {"classifier": classifier, "float_edges": float_edges, "pointwise": pointwise}
BOARDS = {"classifier": "microbit", "float_edges": "microbit", "pointwise": "nano33"}
"""microbit's instruction set has no features, so the portable kernels are chosen; nano33 has DSP."""
