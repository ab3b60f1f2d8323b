"""A model of MobileNetV2's size (width 1.0, 224×224), with random weights: built from the schema."""

from __future__ import annotations

import numpy as np

from tests.support.models import ModelBuilder, Operand

# expansion, output channels, repeats, first stride: table 2 of arXiv 1801.04381
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SCALE = 0.05


class Network:
    """Adds layers to a builder and follows the current tensor's side and channels."""

    def __init__(self, side: int) -> None:
        self.builder = ModelBuilder()
        self.random = np.random.default_rng(0)
        self.side, self.channels = side, 3
        self.at: Operand = self.builder.input((1, side, side, 3), scale=SCALE, zero_point=0)

    def weights(self, shape: tuple[int, ...], outputs: int, axis: int) -> tuple[Operand, Operand]:
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        zeros = [0] * outputs
        scales = [0.004] * outputs
        weights = self.builder.constant(values, scales=scales, zero_points=zeros, axis=axis)
        bias = self.random.integers(-1000, 1000, outputs).astype(np.int32)
        return weights, self.builder.constant(bias, scales=[SCALE * s for s in scales], zero_points=zeros)

    def convolution(self, channels: int, kernel: int, stride: int, activation: str) -> None:
        weights, bias = self.weights((channels, kernel, kernel, self.channels), channels, 0)
        self._window("CONV_2D", weights, bias, channels, stride, fused_activation_function=activation)

    def depthwise(self, stride: int) -> None:
        weights, bias = self.weights((1, 3, 3, self.channels), self.channels, 3)
        self._window(
            "DEPTHWISE_CONV_2D", weights, bias, self.channels, stride,
            depth_multiplier=1, fused_activation_function="RELU6",
        )  # fmt: skip

    def _window(self, op: str, weights: Operand, bias: Operand, channels: int, stride: int, **options: object) -> None:
        self.side = -(-self.side // stride)
        self.channels = channels
        output = self.builder.tensor((1, self.side, self.side, channels), scale=SCALE, zero_point=-3)
        self.builder.node(
            op, [self.at, weights, bias], [output], version=3,
            stride_w=stride, stride_h=stride, padding="SAME", **options,
        )  # fmt: skip
        self.at = output

    def add(self, other: Operand) -> None:
        output = self.builder.tensor((1, self.side, self.side, self.channels), scale=SCALE, zero_point=-3)
        self.builder.node("ADD", [other, self.at], [output], version=2)
        self.at = output


def mobilenet_v2(side: int = 224, classes: int = 1000) -> bytes:
    """The .tflite bytes: about 3.5 million weights."""
    net = Network(side)
    net.convolution(32, 3, 2, "RELU6")
    for expansion, channels, repeats, first_stride in BLOCKS:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            block_input, input_channels = net.at, net.channels
            if expansion > 1:
                net.convolution(input_channels * expansion, 1, 1, "RELU6")
            net.depthwise(stride)
            net.convolution(channels, 1, 1, "NONE")
            if stride == 1 and input_channels == channels:
                net.add(block_input)
    net.convolution(1280, 1, 1, "RELU6")
    pooled = net.builder.tensor((1, 1, 1, net.channels), scale=SCALE, zero_point=-3)
    window = {"stride_w": net.side, "stride_h": net.side, "filter_width": net.side, "filter_height": net.side}
    net.builder.node("AVERAGE_POOL_2D", [net.at], [pooled], version=2, padding="VALID", **window)
    weights, bias = net.weights((classes, net.channels), classes, 0)
    logits = net.builder.tensor((1, classes), scale=0.1, zero_point=0)
    net.builder.node("FULLY_CONNECTED", [pooled, weights, bias], [logits], version=4)
    scores = net.builder.tensor((1, classes), scale=1 / 256, zero_point=-128)
    net.builder.node("SOFTMAX", [logits], [scores], version=2, beta=1.0)
    net.builder.output(scores)
    return net.builder.finish()
