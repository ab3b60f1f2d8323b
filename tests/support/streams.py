"""A network that streams well, and plans of it that are wrong on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.support.graphs import SCALE
from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Graph
from tinygen.kernels import Schedule, select
from tinygen.plan import Plan
from tinygen.tflite import read_model

SHORTER_RINGS = range(4)


def residual_network(blocks: int, height: int, features: frozenset[str] = frozenset()) -> tuple[Graph, Schedule]:
    """Three convolutions, then blocks of depthwise and pointwise convolutions with a sum, at half the height each."""
    rng = np.random.default_rng(blocks)
    b = ModelBuilder("residual")
    at = b.input((1, height, 10, 4), scale=SCALE)

    def window(op: str, x: Operand, outputs: int, taps: int, stride: int) -> Operand:
        _, rows, columns, channels = b.tensors[x].fields["shape"]
        shape = (1, taps, taps, outputs) if op == "DEPTHWISE_CONV_2D" else (outputs, taps, taps, channels)
        weights = b.constant(rng.integers(-127, 128, shape).astype(np.int8), scales=0.3 / (127 * taps * channels**0.5))
        y = b.tensor((1, -(-rows // stride), -(-columns // stride), outputs), scale=SCALE)
        options = {"depth_multiplier": 1} if op == "DEPTHWISE_CONV_2D" else {}
        b.node(op, [x, weights, None], [y], stride_w=stride, stride_h=stride, padding="SAME", **options)
        return y

    for _ in range(3):
        at = window("CONV_2D", at, 8, 3, 1)
    for _ in range(blocks):
        channels = b.tensors[at].fields["shape"][3] + 4
        at = window("CONV_2D", window("DEPTHWISE_CONV_2D", at, channels - 4, 3, 2), channels, 1, 1)
        inner = window("CONV_2D", window("DEPTHWISE_CONV_2D", at, channels, 3, 1), channels, 1, 1)
        total = b.tensor(b.tensors[at].fields["shape"], scale=SCALE)
        b.node("ADD", [at, inner], [total])
        at = total
    b.output(at)
    graph = read_model(b.finish())
    return graph, select(graph, features)


def shorter_ring(graph: Graph, planned: Plan, number: int) -> Plan:
    """The plan with one of its rings a row short, in the same place."""
    rings = [t.index for t in graph.tensors() if not t.is_constant and 1 < planned.views[t.index].ring_rows < t.rows]
    tensor = rings[number % len(rings)]
    view = planned.views[tensor]
    views = {**planned.views, tensor: dataclasses.replace(view, ring_rows=view.ring_rows - 1)}
    return dataclasses.replace(planned, views=views)
