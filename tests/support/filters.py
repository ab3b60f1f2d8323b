"""Random models of filters whose channels are partly constant, for tests of passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.support.models import ModelBuilder, Operand

SCALE = 0.05
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


class RandomFilters:
    """A model in which about half of the filters' channels lie beyond the output's range for every input.

    All activations have one scale and one zero point, as pooling and CONCATENATION demand. `steps` names what may
    follow; by default everything.
    """

    def __init__(self, seed: int, steps: tuple[str, ...] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = ModelBuilder()
        self.zero_point = (-128, -128, 0, 7)[self.below(4)]
        side = self.below(7, 1)
        self.at = [self.b.input((1, side, side, self.below(6, 1)), scale=SCALE, zero_point=self.zero_point)]
        chosen = [getattr(self, name) for name in steps] or [
            *(self.pointwise, self.pointwise, self.depthwise, self.depthwise, self.convolution),
            *(self.pool, self.activation, self.residual, self.join, self.scaled, self.pad, self.view),
        ]
        self.at.append(self.pointwise(self.at[0]))
        for _ in range(self.below(12, 3)):
            step: Callable[[Operand], Operand] = chosen[self.below(len(chosen))]
            self.at.append(step(self.pick()))
        read = {operand for node in self.b.operators for operand in node.fields["inputs"]}
        for operand in [o for o in self.at if o not in read and o not in self.b.inputs]:
            self.b.output(self.dense(operand) if self.rng.random() < 0.7 else operand)

    def below(self, end: int, begin: int = 0) -> int:
        return int(self.rng.integers(begin, end))

    def pick(self) -> Operand:
        """Mostly the newest tensor."""
        return self.at[-1] if self.rng.random() < 0.8 else self.at[self.below(len(self.at))]

    def shape(self, operand: Operand) -> tuple[int, ...]:
        return tuple(self.b.tensors[operand].fields["shape"])

    def node(self, op: str, inputs: list[Operand | None], shape: tuple[int, ...], **options: object) -> Operand:
        output = self.b.tensor(shape, scale=SCALE, zero_point=self.zero_point)
        self.b.node(op, inputs, [output], **options)
        return output

    def filter(self, shape: tuple[int, ...], axis: int) -> list[Operand | None]:
        """Weights, some of them 0, and a bias that puts channels within, at the border of or beyond the range."""
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        weights[self.rng.random(shape) < 0.3] = 0
        outputs, scale = shape[axis], 0.02 / max(1, weights.size // shape[axis])
        # of sums that reach from one end of the output's range to the other
        whole = 255 / scale
        place = self.rng.choice([0.0, 0.3, 0.5, 1.1, 3.0], outputs) * self.rng.choice([-1, 1], outputs)
        bias = np.clip(place * whole, -(2**28), 2**28).astype(np.int32)
        scales = [scale * float(f) for f in self.rng.uniform(0.5, 1.5, outputs)] if self.below(2) else scale
        return [self.b.constant(weights, scales=scales, axis=axis), self.b.constant(bias, scales=SCALE * scale)]

    def pointwise(self, x: Operand) -> Operand:
        return self.convolve(x, 1, 1)

    def convolution(self, x: Operand) -> Operand:
        return self.convolve(x, self.below(4, 1), self.below(4, 1))

    def convolve(self, x: Operand, taps_h: int, taps_w: int) -> Operand:
        batch, height, width, channels = self.shape(x)
        outputs = self.below(12, 1)
        window, size = self.window(height, width, taps_h, taps_w)
        weights = self.filter((outputs, taps_h, taps_w, channels), 0)
        return self.node("CONV_2D", [x, *weights], (batch, *size, outputs), **window, **self.clamp())

    def depthwise(self, x: Operand) -> Operand:
        batch, height, width, channels = self.shape(x)
        multiplier = self.below(3, 1)
        taps = self.below(4, 1), self.below(4, 1)
        window, size = self.window(height, width, *taps)
        weights = self.filter((1, *taps, channels * multiplier), 3)
        shape = (batch, *size, channels * multiplier)
        options = {"depth_multiplier": multiplier, **window, **self.clamp()}
        return self.node("DEPTHWISE_CONV_2D", [x, *weights], shape, **options)

    def window(self, height: int, width: int, taps_h: int, taps_w: int) -> tuple[dict[str, object], tuple[int, int]]:
        """Options and output size; VALID where the window fits and chance wants it."""
        strides = self.below(3, 1), self.below(3, 1)
        is_same = taps_h > height or taps_w > width or self.below(2) == 0
        sizes = (
            -(-size // stride) if is_same else (size - taps) // stride + 1
            for size, taps, stride in zip((height, width), (taps_h, taps_w), strides, strict=True)
        )
        down, across = sizes
        return {"stride_h": strides[0], "stride_w": strides[1], "padding": "SAME" if is_same else "VALID"}, (
            down,
            across,
        )

    def clamp(self) -> dict[str, object]:
        return {"fused_activation_function": ACTIVATIONS[self.below(4)]}

    def pool(self, x: Operand) -> Operand:
        window = {"stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2, "padding": "SAME"}
        return self.node(
            ("MAX_POOL_2D", "AVERAGE_POOL_2D")[self.below(2)], [x], self.shape(x), **window, **self.clamp()
        )

    def activation(self, x: Operand) -> Operand:
        return self.node(("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH")[self.below(4)], [x], self.shape(x))

    def residual(self, x: Operand) -> Operand:
        others = [o for o in self.at if self.shape(o) == self.shape(x)] or [x]
        op = ("ADD", "SUB", "MUL")[self.below(3)]
        return self.node(op, [x, others[self.below(len(others))]], self.shape(x), **self.clamp())

    def scaled(self, x: Operand) -> Operand:
        channels = self.shape(x)[-1] if self.below(2) else 1
        values = self.rng.integers(-128, 128, (channels,)).astype(np.int8)
        constant = self.b.constant(values, scales=SCALE, zero_points=3)
        return self.node(("ADD", "SUB", "MUL")[self.below(3)], [x, constant], self.shape(x))

    def join(self, x: Operand) -> Operand:
        shape = self.shape(x)
        others = [o for o in self.at if self.shape(o)[:-1] == shape[:-1]]
        y = others[self.below(len(others))]
        return self.node("CONCATENATION", [x, y], (*shape[:-1], shape[-1] + self.shape(y)[-1]), axis=-1)

    def pad(self, x: Operand) -> Operand:
        table = self.rng.integers(0, 2, (4, 2)).astype(np.int32)
        table[0] = 0
        table[3] *= self.rng.random() < 0.2
        shape = tuple(int(n) for n in np.array(self.shape(x)) + table.sum(1))
        return self.node("PAD", [x, self.b.constant(table)], shape)

    def view(self, x: Operand) -> Operand:
        """All pixels side by side: one row of one pixel."""
        new = (1, 1, 1, int(np.prod(self.shape(x))))
        return self.node("RESHAPE", [x], new, new_shape=list(new))

    def dense(self, x: Operand) -> Operand:
        width, outputs = int(np.prod(self.shape(x))), self.below(6, 1)
        if self.below(2):
            axes = self.b.constant(np.array([1, 2], np.int32))
            x, width = self.node("MEAN", [x, axes], (1, self.shape(x)[-1])), self.shape(x)[-1]
        weights = self.filter((outputs, width), 0)
        return self.node("FULLY_CONNECTED", [x, *weights], (1, outputs), **self.clamp())
