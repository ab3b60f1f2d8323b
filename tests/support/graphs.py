"""Random and regular graphs for tests of the planner and of whatever else must cope with any graph."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Graph, Kernel, Reference, Unit
from tinygen.ir.kernel import all_columns
from tinygen.kernels import Schedule, select
from tinygen.passes import run_passes
from tinygen.tflite import read_model

SCALE = 0.05


class RandomModel:
    """A random model: each step takes tensors that are already there, so that some branch, some die, some live on.

    If `varied` it also has SUB, average pooling, and windows that are dilated or without padding.
    """

    def __init__(self, seed: int, largest_side: int = 4, varied: bool = False) -> None:
        self.varied = varied
        self.rng = np.random.default_rng(seed)
        self.b = ModelBuilder()
        side = self.below(largest_side + 1, 1)
        self.at = [self.input((1, side, side, self.below(6, 1))) for _ in range(self.below(4, 1))]
        for _ in range(self.below(14, 3)):
            steps = (
                self.residual, self.join, self.activation, self.view, self.pointwise, self.pool,
                self.convolution, self.depthwise, self.gate,
            )  # fmt: skip
            self.at.append(steps[self.below(len(steps))](self.pick()))
        made = [operand for operand in self.at if operand not in self.b.inputs]
        self.b.output(*[o for o in made if not any(o in node.fields["inputs"] for node in self.b.operators)])
        inner = [operand for operand in made if operand not in self.b.outputs]
        if inner and self.rng.random() < 0.5:  # an output that is read again
            self.b.output(inner[self.below(len(inner))])

    def below(self, end: int, begin: int = 0) -> int:
        return int(self.rng.integers(begin, end))

    def pick(self) -> Operand:
        return self.at[-1] if self.rng.random() < 0.6 else self.at[self.below(len(self.at))]

    def shape(self, operand: Operand) -> tuple[int, ...]:
        return tuple(self.b.tensors[operand].fields["shape"])

    def input(self, shape: tuple[int, ...]) -> Operand:
        if self.rng.random() < 0.3:
            return self.node("QUANTIZE", [self.b.input(shape, "float32")], shape)
        return self.b.input(shape, scale=SCALE)

    def node(self, op: str, inputs: list[Operand | None], shape: tuple[int, ...], **options: object) -> Operand:
        output = self.b.tensor(shape, scale=SCALE)
        self.b.node(op, inputs, [output], **options)
        return output

    def residual(self, x: Operand) -> Operand:
        others = [o for o in self.at if self.shape(o) == self.shape(x)]
        op = "SUB" if self.varied and self.rng.random() < 0.2 else "ADD"
        return self.node(op, [x, others[self.below(len(others))]], self.shape(x))

    def join(self, x: Operand) -> Operand:
        shape = self.shape(x)
        others = [o for o in self.at if self.shape(o)[:-1] == shape[:-1]]
        y = others[self.below(len(others))]
        return self.node("CONCATENATION", [x, y], (*shape[:-1], shape[-1] + self.shape(y)[-1]), axis=-1)

    def activation(self, x: Operand) -> Operand:
        return self.node("RELU", [x], self.shape(x))

    def view(self, x: Operand) -> Operand:
        _, height, width, channels = self.shape(x)
        shapes = ((1, 1, 1, height * width * channels), (1, height * width, 1, channels), (1, width, height, channels))
        new = shapes[self.below(len(shapes))]
        return self.node("RESHAPE", [x], new, new_shape=list(new))

    def pointwise(self, x: Operand) -> Operand:
        return pointwise(self.b, x, self.below(9, 1))

    def pool(self, x: Operand) -> Operand:
        op = "AVERAGE_POOL_2D" if self.varied and self.rng.random() < 0.4 else "MAX_POOL_2D"
        window = {"stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2, "padding": "SAME"}
        return self.node(op, [x], self.shape(x), **window)

    def convolution(self, x: Operand) -> Operand:
        shape, outputs = self.shape(x), self.below(9, 1)
        taps = self.weights(outputs, self.below(4, 1), self.below(4, 1), shape[3])
        return self.window("CONV_2D", x, taps, outputs)

    def depthwise(self, x: Operand) -> Operand:
        shape, multiplier = self.shape(x), 1 if self.rng.random() < 0.8 else 2
        taps = self.weights(1, self.below(4, 1), self.below(4, 1), shape[3] * multiplier)
        return self.window("DEPTHWISE_CONV_2D", x, taps, shape[3] * multiplier, depth_multiplier=multiplier)

    def gate(self, x: Operand) -> Operand:
        """x times one value a channel, which are themselves computed."""
        shape = self.shape(x)
        axes = self.b.constant(np.array([1, 2], np.int32))
        mean = self.node("MEAN", [x, axes], (1, 1, 1, shape[3]), keep_dims=True)
        return self.node("MUL", [x, mean], shape)

    def weights(self, *shape: int) -> Operand:
        values = self.rng.integers(-127, 127, shape, np.int8, endpoint=True)
        return self.b.constant(values, scales=0.01 / float(np.sqrt(values[..., 0].size)))

    def window(self, op: str, x: Operand, taps: Operand, outputs: int, **options: object) -> Operand:
        """A window with strides of 1 or 2, or dilated, and with padding or, where it fits, without."""
        sides, strides, dilations, sizes = self.shape(x)[1:3], [], [], []
        is_valid = self.varied and self.rng.random() < 0.3
        for side, filter_side in zip(sides, self.shape(taps)[1:3], strict=True):
            stride, dilation = (1, 2) if self.varied and self.rng.random() < 0.2 else (self.below(3, 1), 1)
            strides.append(stride)
            dilations.append(dilation)
            sizes.append(side - (filter_side - 1) * dilation)
        is_valid = is_valid and min(sizes) > 0
        shape = [-(-size // stride) for size, stride in zip(sizes if is_valid else sides, strides, strict=True)]
        options |= {"stride_h": strides[0], "stride_w": strides[1], "padding": "VALID" if is_valid else "SAME"}
        options |= {"dilation_h_factor": dilations[0], "dilation_w_factor": dilations[1]}
        return self.node(op, [x, taps, None], (1, *shape, outputs), **options)


def pointwise(b: ModelBuilder, x: Operand, channels: int) -> Operand:
    """A convolution of 1×1 with weights of 1: never in place."""
    shape = b.tensors[x].fields["shape"]
    weights = b.constant(np.ones((channels, 1, 1, shape[3]), np.int8), scales=0.01)
    output = b.tensor((*shape[:3], channels), scale=SCALE)
    b.node("CONV_2D", [x, weights, None], [output], stride_w=1, stride_h=1, padding="SAME")
    return output


def random_graph(
    seed: int, features: frozenset[str] = frozenset(), largest_side: int = 4, varied: bool = False
) -> tuple[Graph, Schedule]:
    """A random model after the passes; about half of its kernels demand scratch, and some go channel by channel."""
    graph = run_passes(read_model(RandomModel(seed, largest_side, varied).b.finish()), Reference.LITERT)
    rng = np.random.default_rng(seed)

    def demand(kernel: Kernel | None) -> Kernel | None:
        size_bytes = int(rng.integers(1, 40))
        if kernel is None or rng.random() < 0.5:
            return kernel
        access = kernel.access
        if access.by_channel and rng.random() < 0.7:
            rows = int(rng.integers(1, 4))
            unit = Unit.CHANNEL if rng.random() < 0.5 else Unit.ROW
            once = bool(rng.random() < 0.5)
            access = dataclasses.replace(
                access, unit=unit, rows=lambda node: rows, input_columns=all_columns, reads_once=once
            )
        return dataclasses.replace(kernel, scratch_bytes=lambda node: size_bytes, access=access)

    return graph, Schedule({layer: demand(k) for layer, k in select(graph, features).kernels.items()})


def chain(*channels: int) -> tuple[Graph, Schedule]:
    """4×4 pixels through convolutions that make so many channels; the first number is the input's."""
    b = ModelBuilder()
    at = b.input((1, 4, 4, channels[0]), scale=SCALE)
    for count in channels[1:]:
        at = pointwise(b, at, count)
    b.output(at)
    graph = read_model(b.finish())
    return graph, select(graph, frozenset())
