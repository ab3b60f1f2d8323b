"""Channels that hold one value for every input are moved into their readers' biases and not computed.

Interval analysis (`intervals`) proves which channels are constant. From what must be computed — the graph's inputs and
outputs, and whatever an operator without relations touches — `dependence` tells what else is needed, back and forth
until nothing is added. What remains is left out: constant channels, and those that only constant ones depend on (a
depthwise convolution makes a constant of almost anything where its bias lies far below the activation's lower bound).

Kept channels are then filled up to multiples of CHANNEL_MULTIPLE, as far as there are channels to keep: kernels load
whole words, and a tensor whose pixels do not start on words costs more than the channels do. Of a tensor that no value
depends on one channel is kept, for a tensor must have some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinygen.ir import Graph, Node, Reduction, Reference, Tensor
from tinygen.passes.dependence import Bools, Need, Relation, relations
from tinygen.passes.intervals import Int64s, Interval, channel_intervals, is_followed
from tinygen.passes.reduce import reduced_graph

CHANNEL_MULTIPLE = 4
"""int8 values in a word."""

LARGEST_TOTAL = 1 << 20
"""Channels of all tensors together; with more, everything is kept."""

LARGEST_WEIGHTS = 10**8
"""Of all nodes together, those that several read counted as often; with more, everything is kept."""

MOST_SWEEPS = 64
"""Over the graph, until nothing is added; where that is not enough, everything is kept. Three to six are usual."""

Kept = dict[int, Bools]
"""For each followed run-time tensor whether each channel is computed."""


def drop_constant_channels(graph: Graph, reference: Reference) -> Graph:
    """Leave out every channel that no computed value needs; biases take over what constant ones added."""
    followed = [t for t in graph.tensors() if not t.is_constant and is_followed(t)]
    weights = sum(t.elements for node in graph.nodes for t in node.inputs if t is not None and t.is_constant)
    if sum(t.shape[-1] for t in followed) > LARGEST_TOTAL or weights > LARGEST_WEIGHTS:
        return graph
    intervals = channel_intervals(graph, reference)
    kept = _kept(graph, followed, intervals)
    if kept is None:
        return graph
    reductions = {
        tensor.index: _reduction(tensor, kept[tensor.index], intervals[tensor.index])
        for tensor in followed
        if not kept[tensor.index].all()
    }
    return reduced_graph(graph, reductions) if reductions else graph


def _reduction(tensor: Tensor, kept: Bools, interval: Interval) -> Reduction:
    low, high = interval
    return Reduction(
        full=tensor,
        kept=tuple(np.flatnonzero(kept).tolist()),
        constants={c: int(low[c]) for c in np.flatnonzero(~kept & (low == high)).tolist()},
        fillers=tuple(np.flatnonzero(kept & (low == high)).tolist()),
    )


def _kept(graph: Graph, followed: Sequence[Tensor], intervals: Mapping[int, Interval]) -> Kept | None:
    """The channels to compute, or None where they are not found soon enough."""
    kept = {t.index: np.zeros(t.shape[-1], np.bool_) for t in followed}
    found = [_followed(relations(node, intervals), kept) for node in graph.nodes]
    for tensor in (*graph.inputs, *graph.outputs, *graph.variables):
        _keep_all(tensor, kept)
    for node, known in zip(graph.nodes, found, strict=True):
        if known is None:
            for tensor in _touched(node):
                _keep_all(tensor, kept)
    bare: set[int] = set()
    order = [relation for known in found if known is not None for relation in known]
    for _ in range(MOST_SWEEPS):
        # a list, so that both directions are run
        if not any([_sweep(order[::-1], kept), _sweep(order, kept)]) and not any(
            [_fill_up(index, channels, bare) for index, channels in kept.items()]
        ):
            return kept
    return None


def _followed(known: Sequence[Relation] | None, kept: Kept) -> Sequence[Relation] | None:
    """The relations of a node, or None where one is to a tensor whose channels are not followed, such as a constant."""
    if known is None:
        return None
    ends = [(r.input, r.output) if isinstance(r, Need) else (r.first, r.second) for r in known]
    return known if all(tensor.index in kept for pair in ends for tensor in pair) else None


def _touched(node: Node) -> list[Tensor]:
    return [t for t in (*node.inputs, *node.outputs) if t is not None and not t.is_constant]


def _keep_all(tensor: Tensor, kept: Kept) -> None:
    if tensor.index in kept:
        kept[tensor.index][:] = True


def _sweep(order: Sequence[Relation], kept: Kept) -> bool:
    """Add what each relation demands; whether it added anything."""
    added = False
    for relation in order:
        if isinstance(relation, Need):
            demanded = relation.needs[kept[relation.output.index]].any(0)
            added |= _add(kept[relation.input.index], np.flatnonzero(demanded))
            continue
        first, second = kept[relation.first.index], kept[relation.second.index]
        both = first[relation.first_channels] | second[relation.second_channels]
        # not `or`: both sides must be done
        added |= _add(first, relation.first_channels[both])
        added |= _add(second, relation.second_channels[both])
    return added


def _add(channels: Bools, wanted: Int64s) -> bool:
    added = not channels[wanted].all()
    channels[wanted] = True
    return added


def _fill_up(index: int, channels: Bools, bare: set[int]) -> bool:
    """Keep the lowest of the channels left out, until a whole number of words is kept, or the only one of a tensor.

    `bare` are the tensors that have one which nothing but the need of a channel keeps.
    """
    if not channels.any():
        bare.add(index)
    missing = (
        int(not channels.any()) if index in bare and channels.sum() < 2 else -int(channels.sum()) % CHANNEL_MULTIPLE
    )
    left_out = np.flatnonzero(~channels)[:missing]
    channels[left_out] = True
    return len(left_out) > 0
