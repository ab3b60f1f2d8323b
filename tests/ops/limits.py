"""Plans in which each layer's output lies where its dying operand just lets it, or so many steps too far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.ops.harness import generate_planned, inputs_of, run_c
from tinygen.boards import Board
from tinygen.emit import Sources
from tinygen.emulate import find_emulator
from tinygen.ir import Direction, DType, Graph, Reference, Tensor
from tinygen.kernels import Schedule
from tinygen.plan import Plan, Step, View
from tinygen.plan.distances import ALIGNMENT, aligned, forbidden
from tinygen.plan.lives import Timeline, follow
from tinygen.plan.units import Layer, layers_of, pixel_bytes
from tinygen.toolchain import Platform
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import Inference

COPY = "#define memcpy(to, from, bytes) __builtin_memcpy(to, from, bytes)\n"
POISONED_COPY = """\
__attribute__((unused)) static void poisoned_copy(void *to, const void *from, size_t bytes)
{
    (memset)(to, 0x55, bytes);
    for (size_t i = 0; i < bytes; ++i) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
}
#define memcpy(to, from, bytes) \\
    (__builtin_constant_p(bytes) && (bytes) <= 16 ? (void)__builtin_memcpy(to, from, bytes) \\
                                                  : poisoned_copy(to, from, bytes))
"""
"""What C leaves undefined made plain: a copy of bytes onto others of them copies what is no longer there.

A few bytes are a load and a store.
"""


@dataclass(frozen=True)
class Spot:
    """Where a layer's output lies: so many bytes behind its operand of this number, None: apart from it.

    `sums_from_operand` and `sums_from_output` say so of the scratch of a kernel that accumulates.
    """

    operand: int = 0
    distance: int | None = None
    sums_from_operand: int | None = None
    sums_from_output: int | None = None


@dataclass(frozen=True)
class Limit:
    """The last distance that is allowed, and how far it is to the next one: below 0 where a kernel goes backward."""

    distance: int
    step: int

    def beyond(self, steps: int) -> int:
        """A distance so many steps too far."""
        return self.distance + steps * self.step


def limit(
    layer: Layer, timeline: Timeline, operand: int, *, by_channel: bool, step_bytes: int = ALIGNMENT
) -> Limit | None:
    """How far the output may reach into an operand; None where no distance is forbidden.

    Distances are multiples of `step_bytes`, and of pixels where channels are to be kept apart.
    """
    output = layer.node.output
    source, sink = (timeline.values[tensor.index] for tensor in (layer.operands[operand], output))
    if by_channel:
        assert layer.keeps_channels
        gaps = forbidden(source.life(), sink.life(), math.lcm(pixel_bytes(output), step_bytes))
    else:
        gaps = forbidden(source.whole_life(), sink.whole_life(), step_bytes)
    if gaps is None:
        return None
    if layer.access.direction is Direction.BACKWARD:
        return Limit(gaps.ends[-1], -gaps.step)
    return Limit(gaps.begins[0] - gaps.step, gaps.step)


def arranged(graph: Graph, schedule: Schedule, steps: Sequence[Step], spots: Sequence[Spot]) -> Plan:
    """Each node in a part of the arena of its own."""
    views: dict[int, View] = {}
    scratch: dict[int, int] = {}
    base = 0

    def put(tensor: Tensor, offset: int) -> None:
        views[tensor.index] = View(offset, tensor.row_bytes, tensor.rows, tensor.row_bytes)

    for index, (layer, spot) in enumerate(zip(layers_of(graph, schedule), spots, strict=True)):
        assert layer is not None
        sizes = {"output": layer.node.output.size_bytes, "scratch": layer.scratch_bytes}
        places: dict[str, int] = {}
        if layer.operands:
            sizes["operand"] = layer.operands[spot.operand].size_bytes
            places["operand"] = 0
        if spot.distance is not None:
            places["output"] = spot.distance
        if spot.sums_from_operand is not None:
            places["scratch"] = spot.sums_from_operand
        if spot.sums_from_output is not None:  # the scratch first, for it is what may be overwritten
            places.pop("operand")
            places |= {"output": 0, "scratch": spot.sums_from_output}
        base += aligned(-min(places.values(), default=0))
        end = aligned(max((base + at + sizes[what] for what, at in places.items()), default=base))
        for what in ("operand", "output", "scratch"):
            if what in sizes and what not in places:
                places[what] = end - base
                end = aligned(end + sizes[what])
        if layer.operands:
            put(layer.operands[spot.operand], base + places["operand"])
        put(layer.node.output, base + places["output"])
        if layer.scratch_bytes:
            scratch[index] = base + places["scratch"]
        for tensor in layer.operands:
            if tensor.index not in views:
                put(tensor, end)
                end = aligned(end + tensor.size_bytes)
        base = end
    for tensor in graph.inputs:
        if tensor.index not in views:  # nobody reads it
            put(tensor, base)
            base = aligned(base + tensor.size_bytes)
    return Plan(views, scratch, tuple(steps), (), (), (), (), base, 0)


def finest(graph: Graph, schedule: Schedule, steps: Sequence[Step]) -> list[Spot]:
    """Every layer's output as far inside one of its operands, in turn, as an element or a pixel allows."""
    layers = layers_of(graph, schedule)
    timeline = follow(graph, layers, steps)
    spots = []
    for index, layer in enumerate(layers):
        assert layer is not None
        if not layer.operands:
            spots.append(Spot())
            continue
        operand = index // 2 % len(layer.operands)
        size = max(tensor.dtype.size_bytes for tensor in (layer.operands[operand], layer.node.output))
        found = limit(layer, timeline, operand, by_channel=layer.keeps_channels, step_bytes=size)
        spots.append(Spot(operand, None if found is None else found.distance))
    return spots


def wrong_layers(graph: Graph, schedule: Schedule, planned: Plan, board: Board, folder: Path) -> set[int]:
    """The layers of which a value differs from numpy's."""
    inputs = (*inputs_of(graph), telling_floats(graph))
    sources = generate_planned(graph, schedule, planned, board, Reference.LITERT)
    assert COPY in sources.files[f"{sources.name}.c"]
    poisoned = {name: text.replace(COPY, POISONED_COPY) for name, text in sources.files.items()}
    found = run_c(
        Sources(sources.name, poisoned), graph, inputs, board, find_emulator(board, "host"), Platform.HOST, folder
    )
    wrong = set()
    for values, got in zip(inputs, found, strict=True):
        expected = evaluate(graph, values, Reference.LITERT)
        for layer, node in enumerate(graph.nodes):
            index = node.output.index
            if (expected[index].view(np.uint8) != got[index].view(np.uint8)).any():
                wrong.add(layer)
    return wrong


def telling_floats(graph: Graph) -> Inference:
    """An inference in which the lowest byte of a float32 counts: each but the first is the least that rounds up to 1.

    The first is 0, and so is the byte that is written for it.
    """
    scales: Mapping[int, float] = {
        node.input(0).index: node.output.scale
        for node in graph.nodes
        if node.op.name == "QUANTIZE" and node.input(0).dtype is DType.FLOAT32 and node.output.quant is not None
    }
    values = []
    for tensor in graph.inputs:
        value = np.zeros(tensor.shape, tensor.dtype.numpy)
        if tensor.index in scales:
            scale = np.float32(scales[tensor.index])
            least = scale / np.float32(2)
            while np.float32(least / scale) >= np.float32(0.5):
                least = np.nextafter(least, np.float32(0))
            value[...] = np.nextafter(least, np.float32(1e9))
            value.reshape(-1)[:1] = 0
        values.append(value)
    return tuple(values)
