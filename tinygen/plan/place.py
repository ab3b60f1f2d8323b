"""Steps → Plan: every value and all scratch at a place in one arena."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygen.ir import Graph, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.bound import live_by_step, lower_bound
from tinygen.plan.distances import Apart, apart, apart_by_channel, side_by_side
from tinygen.plan.lives import Timeline, follow
from tinygen.plan.pack import pack
from tinygen.plan.units import Layer, layers_of
from tinygen.plan.values import Buffer, Plan, Step, View


def place(graph: Graph, schedule: Schedule, steps: Sequence[Step]) -> Plan:
    """Find offsets for given steps, which together compute every row of every layer once."""
    layers = layers_of(graph, schedule)
    timeline = follow(graph, layers, steps)
    buffers = [
        *(Buffer(value.life(), tuple(t.index for t in value.tensors)) for value in timeline.values.values()),
        *(Buffer(life, (), layer) for layer, life in timeline.scratch.items()),
    ]
    lives = [buffer.life for buffer in buffers]
    floor = lower_bound(lives)
    ages = [(life.first, life.last) for life in lives]
    offsets = pack([life.size_bytes for life in lives], _pairs(buffers, layers, timeline), ages, floor)
    return Plan(
        views={
            tensor.index: View(offset, tensor.row_bytes, tensor.rows, tensor.row_bytes)
            for value, offset in zip(timeline.values.values(), offsets, strict=False)
            for tensor in value.tensors
        },
        scratch_offsets={
            buffer.scratch_of: offset
            for buffer, offset in zip(buffers, offsets, strict=True)
            if buffer.scratch_of is not None
        },
        steps=tuple(steps),
        buffers=tuple(buffers),
        offsets=offsets,
        times=timeline.times,
        live=live_by_step(lives, timeline.times),
        arena_bytes=max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0),
        lower_bound_bytes=floor,
    )


def _pairs(
    buffers: Sequence[Buffer], layers: Sequence[Layer | None], timeline: Timeline
) -> dict[tuple[int, int], Apart]:
    """The distances that keep apart each two buffers that meet."""
    number = {tensor: i for i, buffer in enumerate(buffers) for tensor in buffer.tensors}
    by_channel: dict[tuple[int, int], int | None] = {}
    for layer in layers:
        if layer is not None and layer.access.by_channel and not layer.access.reads_first:
            for source in layer.operands:
                for sink in layer.node.outputs:
                    pixels = {pixel_bytes(source), pixel_bytes(sink)}
                    by_channel[number[source.index], number[sink.index]] = pixels.pop() if len(pixels) == 1 else None
    first = np.array([b.life.first for b in buffers])
    last = np.array([b.life.last for b in buffers])
    all_born = np.array([int(b.life.birth.max()) for b in buffers])
    none_dead = np.array([int(b.life.death.min()) for b in buffers])
    meet = (last[:, None] + 1 >= first[None, :]) & (last[None, :] >= first[:, None])
    whole = (none_dead[:, None] >= all_born[None, :]) & (none_dead[None, :] >= all_born[:, None])
    pairs = {}
    for i, j in np.argwhere(np.triu(meet, 1)).tolist():
        one, other = buffers[i].life, buffers[j].life
        if whole[i, j]:
            distances: Apart | None = side_by_side(one.size_bytes, other.size_bytes)
        elif (i, j) in by_channel:
            distances = apart_by_channel(one, other, by_channel[i, j])
        else:
            distances = apart(one, other)
        if distances is not None:
            pairs[i, j] = distances
    return pairs


def pixel_bytes(tensor: Tensor) -> int:
    """Bytes of one pixel."""
    return tensor.nhwc[3] * tensor.dtype.size_bytes
