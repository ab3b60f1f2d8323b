"""Streaming: layers that run some rows at a time, in turn, so that what lies between them is a ring of a few rows.

A group is a run of layers in the order of the graph. Its steps are found by pulling: to make the next rows of its last
layer, a layer first has each of its inputs made as far as those rows need, and no further. Nothing is computed twice.

    conv 0   rows 0 1 2      3    4    5
    conv 1          0   1    2    3    4      each needs a row of padding above and one below
    conv 2              0    1    2    3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinygen.ir import Graph
from tinygen.plan.guests import possible_guests
from tinygen.plan.units import Layer
from tinygen.plan.values import Step


@dataclass(frozen=True, slots=True)
class Chunk:
    """How many rows a call makes: of the last layer of a group, and at most of any other."""

    last: int
    most: int


@dataclass(frozen=True, slots=True)
class Group:
    """Layers begin..end-1, run in turn; a single one runs whole. `eager` ones run as soon as their input is there."""

    begin: int
    end: int
    chunk: Chunk = Chunk(1, 1)
    eager: frozenset[int] = frozenset()

    @property
    def is_stream(self) -> bool:
        return self.end - self.begin > 1


class Uses:
    """Which tensors are one value, who makes it, and who reads it last."""

    def __init__(self, graph: Graph, is_view: Sequence[bool]) -> None:
        self.graph = graph
        self.sizes = {t.index: t.size_bytes for t in graph.tensors() if not t.is_constant}
        self.value_of = {index: index for index in self.sizes}
        self.born: dict[int, int] = {t.index: -1 for t in graph.held_inputs}
        self.last_use: dict[int, int] = {t.index: -1 for t in graph.held_inputs}
        for i, node in enumerate(graph.nodes):
            if is_view[i]:
                source = node.op.view_of(node)
                assert source is not None
                self.value_of[node.output.index] = self.value_of[node.input(source).index]
            for tensor in node.outputs:
                self.born.setdefault(self.value_of[tensor.index], i)
            for touched in (*node.inputs, *node.outputs):
                if touched is not None and not touched.is_constant:
                    self.last_use[self.value_of[touched.index]] = i
        for tensor in graph.outputs:
            self.last_use[self.value_of[tensor.index]] = len(graph.nodes)

    def boundary(self, at: int) -> int:
        """Bytes of the values that are there before layer `at` runs and are needed from it on."""
        return sum(self.sizes[v] for v, born in self.born.items() if born < at <= self.last_use[v])


class Network(Uses):
    """The graph as streaming sees it: also which rows each row needs."""

    def __init__(self, graph: Graph, layers: Sequence[Layer | None]) -> None:
        super().__init__(graph, [layer is None for layer in layers])
        self.layers = layers
        self.producer = {t.index: i for i, node in enumerate(graph.nodes) for t in node.outputs}
        self.rows = [
            node.outputs[0].rows if layer is None else layer.rows
            for node, layer in zip(graph.nodes, layers, strict=True)
        ]
        self.most_rows = [
            rows if layer is None else layer.kernel.most_rows or rows
            for layer, rows in zip(layers, self.rows, strict=True)
        ]
        self.guests = possible_guests(graph, layers)
        self.reads: tuple[tuple[Rows, ...], ...] = tuple(
            () if layer is None else tuple(Rows.of(layer, t.index) for t in dict.fromkeys(layer.operands))
            for layer in layers
        )

    def must_stream(self, index: int) -> bool:
        """Whether no call makes all rows of a layer: those that a caller pushes come one by one."""
        return self.most_rows[index] < self.rows[index]

    def sums_bytes(self, index: int) -> int:
        """Scratch that a layer keeps from its first call to its last."""
        layer = self.layers[index]
        return layer.scratch_bytes if layer is not None and layer.access.accumulates else 0

    def steps_until(self, index: int, made: int) -> int:
        """How far a layer's steps have to count until so many rows of its output are there."""
        layer = self.layers[index]
        return made if layer is None else layer.steps_until(made)

    def may_stream(self, index: int) -> bool:
        """Whether a layer's steps count more than a row, and the first one does not need all of an input."""
        layer = self.layers[index]
        if layer is None or layer.rows < 2 or len(layer.node.outputs) != 1:
            return False
        return all(rows.end[0] < rows.total or rows.total == 1 for rows in self.reads[index])


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a tensor each row of a layer needs: from begin[row], for that and later ones, to end[row] − 1."""

    tensor: int
    total: int
    begin: tuple[int, ...]
    end: tuple[int, ...]

    @classmethod
    def of(cls, layer: Layer, tensor: int) -> Rows:
        ranges = [layer.rows_read(tensor, row, row + 1) for row in range(layer.rows)]
        (total,) = {t.rows for t in layer.operands if t.index == tensor}
        begin, end = [], []
        least, most = total, 0
        for first, last in reversed(ranges):
            least = min(least, first) if first < last else least
            begin.append(least)
        for first, last in ranges:
            most = max(most, last) if first < last else most
            end.append(most)
        return cls(tensor, total, tuple(reversed(begin)), tuple(end))


def steps_of(network: Network, groups: Iterable[Group]) -> tuple[Step, ...]:
    """The calls of all groups, in order."""
    steps: list[Step] = []
    for group in groups:
        if group.is_stream:
            steps += _Puller(network, group).run()
        else:
            steps.append(Step(group.begin, 0, network.rows[group.begin]))
    return tuple(steps)


class _Puller:
    """Finds the steps of one group."""

    def __init__(self, network: Network, group: Group) -> None:
        self.network, self.group = network, group
        members = range(group.begin, group.end)
        self.rows = network.rows
        self.done = dict.fromkeys(members, 0)
        self.sources: Mapping[int, list[tuple[int, Rows]]] = {
            i: [(p, r) for r in network.reads[i] if (p := network.producer.get(r.tensor, -1)) in self.done]
            for i in members
        }
        self.followers = {i: [j for j in group.eager if i in [p for p, _ in self.sources[j]]] for i in members}
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        last = self.group.end - 1
        while self.done[last] < self.rows[last]:
            self.pull(last, min(self.done[last] + self.group.chunk.last, self.rows[last]))
        for layer in range(self.group.begin, last):
            self.pull(layer, self.rows[layer])
        return self.steps

    def pull(self, layer: int, upto: int) -> None:
        """Have rows made until there are `upto`."""
        most = self.group.chunk.last if layer == self.group.end - 1 else self.group.chunk.most
        most = min(most, self.network.most_rows[layer])
        while self.done[layer] < upto:
            end = min(upto, self.done[layer] + most)
            for source, rows in self.sources[layer]:
                self.pull(source, self.network.steps_until(source, rows.end[end - 1]))
            if self.done[layer] < end:  # an eager layer may have run meanwhile
                self.make(layer, end)

    def make(self, layer: int, end: int) -> None:
        self.steps.append(Step(layer, self.done[layer], end))
        self.done[layer] = end
        for follower in self.followers[layer]:
            ready = self.done[follower]
            while ready < self.rows[follower] and all(
                self.network.steps_until(source, rows.end[ready]) <= self.done[source]
                for source, rows in self.sources[follower]
            ):
                ready += 1
            if ready > self.done[follower]:
                self.make(follower, ready)
