"""Steps → Plan: every value and all scratch at a place in one arena."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinygen.ir import Graph, Tensor
from tinygen.kernels import Schedule
from tinygen.plan.bound import live_by_step, lower_bound
from tinygen.plan.distances import Apart, apart, apart_by_channel, side_by_side
from tinygen.plan.lives import Timeline, Value, follow
from tinygen.plan.pack import pack
from tinygen.plan.progress import progress_of
from tinygen.plan.stream import Uses
from tinygen.plan.units import Layer, layers_of, pixel_bytes
from tinygen.plan.values import BEFORE, Buffer, Life, Plan, Step, View


def place(graph: Graph, schedule: Schedule, steps: Sequence[Step]) -> Plan:
    """Find offsets for given steps, which together compute every row of every layer once and in order."""
    layers = layers_of(graph, schedule)
    timeline = follow(graph, layers, steps)
    values = list(timeline.values.values())
    buffers = [
        *(
            Buffer(
                value.life(),
                tuple(t.index for t in value.tensors),
                guests=tuple(g.guest for g in timeline.guests if g.host == index),
            )
            for index, value in timeline.values.items()
        ),
        *(Buffer(scratch.life, (), scratch.layers) for scratch in timeline.scratch),
    ]
    if graph.pushed is not None:
        buffers.append(Buffer(Life.constant(progress_of(steps).size_bytes, BEFORE, timeline.times[-1]), ()))
    lives = [buffer.life for buffer in buffers]
    floor = lower_bound(lives)
    ages = [(life.first, life.last) for life in lives]
    offsets = pack([life.size_bytes for life in lives], _pairs(buffers, layers, timeline), ages, floor)
    views = {
        tensor.index: View(
            offset, tensor.row_bytes, value.ring_rows if value.is_ring else tensor.rows, tensor.row_bytes
        )
        for value, offset in zip(values, offsets, strict=False)
        for tensor in value.tensors
    }
    for guest in timeline.guests:
        host, own = views[guest.host], layers[guest.layer]
        assert own is not None
        views[guest.guest] = replace(
            host, row_bytes=own.node.output.row_bytes, pace=guest.pace, turn=guest.turn % host.ring_rows
        )
    return Plan(
        views=views,
        scratch_offsets={
            layer: offset for buffer, offset in zip(buffers, offsets, strict=True) for layer in buffer.scratch_of
        },
        steps=tuple(steps),
        buffers=tuple(buffers),
        offsets=offsets,
        times=timeline.times,
        live=live_by_step(lives, timeline.times),
        arena_bytes=max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0),
        lower_bound_bytes=floor,
        progress_offset=None if graph.pushed is None else offsets[-1],
    )


def whole_steps(graph: Graph, schedule: Schedule) -> tuple[Step, ...]:
    """Every layer in one call."""
    kernels = [schedule.kernels[layer] for layer in range(len(graph.nodes))]
    rows = [
        node.outputs[0].rows if kernel is None else kernel.counted_rows(node)
        for node, kernel in zip(graph.nodes, kernels, strict=True)
    ]
    return tuple(Step(layer, 0, count) for layer, count in enumerate(rows))


def place_coarsely(graph: Graph, schedule: Schedule) -> Plan:
    """Offsets for whole layers and whole tensors, no two of which overlap: for tensors that no memory holds anyway."""
    uses = Uses(graph, [schedule.kernels[layer] is None for layer in range(len(graph.nodes))])
    steps = whole_steps(graph, schedule)
    tensors: dict[int, list[Tensor]] = {}
    for tensor in graph.tensors():
        if not tensor.is_constant:
            tensors.setdefault(uses.value_of[tensor.index], []).append(tensor)
    buffers = [
        Buffer(
            Life.constant(own[0].size_bytes, 2 * uses.born[value], 2 * uses.last_use[value] + 1),
            tuple(tensor.index for tensor in own),
        )
        for value, own in tensors.items()
    ]
    for layer, node in enumerate(graph.nodes):
        kernel = schedule.kernels[layer]
        if kernel is not None and (size := kernel.scratch_bytes(node)):
            buffers.append(Buffer(Life.constant(size, 2 * layer, 2 * layer + 1), (), (layer,)))
    lives = [buffer.life for buffer in buffers]
    pairs = {
        (i, j): side_by_side(one.size_bytes, other.size_bytes)
        for (i, one), (j, other) in itertools.combinations(enumerate(lives), 2)
        if one.first <= other.last and other.first <= one.last
    }
    floor = lower_bound(lives)
    offsets = pack([life.size_bytes for life in lives], pairs, [(life.first, life.last) for life in lives], floor)
    times = tuple(2 * step for step in range(len(steps) + 1))
    return Plan(
        views={
            tensor.index: View(offset, tensor.row_bytes, tensor.rows, tensor.row_bytes)
            for own, offset in zip(tensors.values(), offsets, strict=False)
            for tensor in own
        },
        scratch_offsets={layer: o for b, o in zip(buffers, offsets, strict=True) for layer in b.scratch_of},
        steps=steps,
        buffers=tuple(buffers),
        offsets=offsets,
        times=times,
        live=live_by_step(lives, times),
        arena_bytes=max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0),
        lower_bound_bytes=floor,
    )


def _pairs(
    buffers: Sequence[Buffer], layers: Sequence[Layer | None], timeline: Timeline
) -> dict[tuple[int, int], Apart]:
    """The distances that keep apart each two buffers that meet."""
    by_channel = _by_channel(layers, timeline)
    first = np.array([b.life.first for b in buffers])
    last = np.array([b.life.last for b in buffers])
    all_born = np.array([int(b.life.birth.max()) for b in buffers])
    none_dead = np.array([int(b.life.death.min()) for b in buffers])
    meet = (last[:, None] >= first[None, :]) & (last[None, :] >= first[:, None])
    whole = (none_dead[:, None] >= all_born[None, :]) & (none_dead[None, :] >= all_born[:, None])
    for i, j in by_channel:  # whose lives may meet only when channels are not kept apart
        meet[i, j], whole[i, j] = True, False
    pairs = {}
    for i, j in np.argwhere(np.triu(meet, 1)).tolist():
        one, other = buffers[i].life, buffers[j].life
        if whole[i, j]:
            distances: Apart | None = side_by_side(one.size_bytes, other.size_bytes)
        elif (i, j) in by_channel:
            source, sink, pixel = by_channel[i, j]
            distances = apart_by_channel((source.whole_life(), sink.whole_life()), (one, other), pixel)
        else:
            distances = apart(one, other)
        if distances is not None:
            pairs[i, j] = distances
    return pairs


def _by_channel(layers: Sequence[Layer | None], timeline: Timeline) -> dict[tuple[int, int], tuple[Value, Value, int]]:
    """The pairs of values of which a kernel that keeps channels apart reads the first and writes the second."""
    number = {index: i for i, index in enumerate(timeline.values)}
    found = {}
    for layer in layers:
        if layer is not None and layer.keeps_channels:
            for source in layer.operands:
                for sink in layer.node.outputs:
                    read, written = timeline.value_of[source.index], timeline.value_of[sink.index]
                    if read == written:  # a guest
                        continue
                    values = timeline.values[read], timeline.values[written]
                    found[number[read], number[written]] = (*values, pixel_bytes(sink))
    return found
