"""A network that streams well, and plans of it that are wrong on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.support.graphs import SCALE
from tests.support.models import ModelBuilder, Operand
from tinygen.ir import Graph
from tinygen.kernels import Schedule, select
from tinygen.plan import Plan, Step
from tinygen.plan.arrange import inner_layers
from tinygen.plan.cuts import CHUNKS
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.tflite import read_model

SHORTER_RINGS = range(4)


def residual_network(blocks: int, height: int, features: frozenset[str] = frozenset()) -> tuple[Graph, Schedule]:
    """Three convolutions, then blocks at half the height each: depthwise and pointwise, twice, and again with a sum."""
    rng = np.random.default_rng(blocks)
    b = ModelBuilder("residual")
    at = b.input((1, height, 10, 4), scale=SCALE)

    def window(op: str, x: Operand, outputs: int, taps: int, stride: int) -> Operand:
        _, rows, columns, channels = b.tensors[x].fields["shape"]
        shape = (1, taps, taps, outputs) if op == "DEPTHWISE_CONV_2D" else (outputs, taps, taps, channels)
        fan_in = 1 if op == "DEPTHWISE_CONV_2D" else channels
        weights = b.constant(rng.integers(-127, 128, shape).astype(np.int8), scales=1.7 / (127 * taps * fan_in**0.5))
        y = b.tensor((1, -(-rows // stride), -(-columns // stride), outputs), scale=SCALE)
        options = {"depth_multiplier": 1} if op == "DEPTHWISE_CONV_2D" else {}
        b.node(op, [x, weights, None], [y], stride_w=stride, stride_h=stride, padding="SAME", **options)
        return y

    for _ in range(3):
        at = window("CONV_2D", at, 8, 3, 1)
    for _ in range(blocks):
        channels = b.tensors[at].fields["shape"][3] + 4
        at = window("CONV_2D", window("DEPTHWISE_CONV_2D", at, channels - 4, 3, 2), channels, 1, 1)
        at = window("CONV_2D", window("DEPTHWISE_CONV_2D", at, channels, 3, 1), channels, 1, 1)
        inner = window("CONV_2D", window("DEPTHWISE_CONV_2D", at, channels, 3, 1), channels, 1, 1)
        total = b.tensor(b.tensors[at].fields["shape"], scale=SCALE)
        b.node("ADD", [at, inner], [total])
        at = total
    b.output(at)
    graph = read_model(b.finish())
    return graph, select(graph, features)


def random_groups(graph: Graph, schedule: Schedule, seed: int) -> tuple[Step, ...]:
    """Steps of groups drawn at random: as long as may be or shorter, with any chunk, some layers early."""
    network = Network(graph, layers_of(graph, schedule))
    inner = inner_layers(graph)

    def may_stream(layer: int) -> bool:
        return layer in inner and network.may_stream(layer)

    rng = np.random.default_rng(seed)
    groups: list[Group] = []
    begin = 0
    while begin < len(graph.nodes):
        end = begin + 1
        while end < len(graph.nodes) and all(map(may_stream, (begin, end))) and rng.random() < 0.85:
            end += 1
        early = [layer for layer in range(begin + 1, end) if rng.random() < 0.3]
        chunk = CHUNKS[int(rng.integers(len(CHUNKS)))]
        groups.append(Group(begin, end, chunk, frozenset(early)))
        begin = end
    return steps_of(network, groups)


def shorter_ring(graph: Graph, planned: Plan, number: int) -> Plan:
    """The plan with one of its rings a row short, in the same place."""
    held = [t for t in graph.tensors() if t.index in planned.views]
    rings = [t.index for t in held if 1 < planned.views[t.index].ring_rows < t.rows]
    tensor = rings[number % len(rings)]
    view = planned.views[tensor]
    views = {**planned.views, tensor: dataclasses.replace(view, ring_rows=view.ring_rows - 1)}
    return dataclasses.replace(planned, views=views)
