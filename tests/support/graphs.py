"""Random and regular graphs for tests of the planner and of whatever else must cope with any graph."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Graph, Kernel, Reference
from tinygen.kernels import Schedule, select
from tinygen.passes import run_passes
from tinygen.plan import Plan
from tinygen.tflite import read_model

SCALE = 0.05


class RandomModel:
    """A random model: each step takes tensors that are already there, so that some branch, some die, some live on."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = ModelBuilder()
        side = self.below(5, 1)
        self.at = [self.input((1, side, side, self.below(6, 1))) for _ in range(self.below(4, 1))]
        for _ in range(self.below(14, 3)):
            steps = (self.residual, self.join, self.activation, self.view, self.pointwise, self.pool)
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
        return self.node("ADD", [x, others[self.below(len(others))]], self.shape(x))

    def join(self, x: Operand) -> Operand:
        shape = self.shape(x)
        others = [o for o in self.at if self.shape(o)[:-1] == shape[:-1]]
        y = others[self.below(len(others))]
        return self.node("CONCATENATION", [x, y], (*shape[:-1], shape[-1] + self.shape(y)[-1]), axis=-1)

    def activation(self, x: Operand) -> Operand:
        return self.node("RELU", [x], self.shape(x))

    def view(self, x: Operand) -> Operand:
        new = (1, 1, 1, int(np.prod(self.shape(x))))
        return self.node("RESHAPE", [x], new, new_shape=list(new))

    def pointwise(self, x: Operand) -> Operand:
        return pointwise(self.b, x, self.below(9, 1))

    def pool(self, x: Operand) -> Operand:
        window = {"stride_w": 1, "stride_h": 1, "filter_width": 2, "filter_height": 2, "padding": "SAME"}
        return self.node("MAX_POOL_2D", [x], self.shape(x), **window)


def pointwise(b: ModelBuilder, x: Operand, channels: int) -> Operand:
    """A convolution of 1×1 with weights of 1: never in place."""
    shape = b.tensors[x].fields["shape"]
    weights = b.constant(np.ones((channels, 1, 1, shape[3]), np.int8), scales=0.01)
    output = b.tensor((*shape[:3], channels), scale=SCALE)
    b.node("CONV_2D", [x, weights, None], [output], stride_w=1, stride_h=1, padding="SAME")
    return output


def random_graph(seed: int) -> tuple[Graph, Schedule]:
    """A random model after the passes; about half of its kernels demand scratch, for today's kernels need none."""
    graph = run_passes(read_model(RandomModel(seed).b.finish()), Reference.LITERT)
    rng = np.random.default_rng(seed)

    def demand(kernel: Kernel | None) -> Kernel | None:
        size_bytes = int(rng.integers(1, 40))
        if kernel is None or rng.random() < 0.5:
            return kernel
        return dataclasses.replace(kernel, scratch_bytes=lambda node: size_bytes)

    return graph, Schedule({layer: demand(k) for layer, k in select(graph, frozenset()).kernels.items()})


def chain(*channels: int) -> tuple[Graph, Schedule]:
    """4×4 pixels through convolutions that make so many channels; the first number is the input's."""
    b = ModelBuilder()
    at = b.input((1, 4, 4, channels[0]), scale=SCALE)
    for count in channels[1:]:
        at = pointwise(b, at, count)
    b.output(at)
    graph = read_model(b.finish())
    return graph, select(graph, frozenset())


def _storage(graph: Graph, schedule: Schedule) -> dict[int, int]:
    """Tensor → the tensor whose bytes it has: views by definition, whatever the planner thinks."""
    root = {t.index: t.index for t in graph.tensors()}
    for layer, node in enumerate(graph.nodes):
        source = node.op.view_of(node) if schedule.kernels[layer] is None else None
        if source is not None:
            root[node.output.index] = root[node.input(source).index]
    return root


def shared_bytes(graph: Graph, schedule: Schedule, planned: Plan) -> Iterator[str]:
    """Pairs of values that are both needed after a step and yet share a byte, told from the graph alone."""
    root = _storage(graph, schedule)
    begin = {root[t.index]: -1 for t in graph.inputs}
    end: dict[int, int] = {}
    for layer, node in enumerate(graph.nodes):
        for tensor in node.outputs:
            begin.setdefault(root[tensor.index], layer)
        for read in node.inputs:
            if read is not None and not read.is_constant:
                end[root[read.index]] = layer
    end |= {root[t.index]: len(graph.nodes) for t in graph.outputs}
    for one, other in itertools.combinations(sorted(begin), 2):
        # Needed after the same step: written by then, and read in a later one.
        both = max(begin[one], begin[other]) < min(end.get(one, begin[one]), end.get(other, begin[other]))
        a, b = planned.views[one], planned.views[other]
        apart = a.offset_bytes + a.size_bytes <= b.offset_bytes or b.offset_bytes + b.size_bytes <= a.offset_bytes
        if both and not apart:
            yield f"values {one} and {other}"
    for index, value in root.items():
        if index in planned.views and planned.views[index].offset_bytes != planned.views[value].offset_bytes:
            yield f"view {index} of {value}"
