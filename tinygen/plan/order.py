"""Operator order: where branches leave freedom, the order in which the fewest bytes live between two operators.

    file's order            another                     a, b, c: branches that widen, then narrow
    a wide, b wide, c wide  a wide, a narrow, b wide …  one wide tensor lives at a time instead of three

Sets of operators that can come first are extended one operator at a time, and of all orders of a set only the best one
is kept. That is exact as long as no step has more than `WIDTH` sets; beyond, the sets with the most bytes are dropped.
See Ahn et al., "Ordering chaos" (SERENITY), arXiv 2003.02369.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinygen.ir import Graph
from tinygen.kernels import Optimize, Schedule
from tinygen.kernels.rows import Rows, is_view
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan.arrange import arrange, score
from tinygen.plan.stream import Uses
from tinygen.plan.values import Plan

WIDTH = 200
"""Sets of operators that are looked at in a step."""

MOST = 1000
"""Operators of a graph that is looked at: larger ones keep the file's order."""


@dataclass(frozen=True, slots=True, eq=False)
class _Front:
    """Operators that come first, in the best order found: the bytes that live after them and the most until then.

    `last` is the operator that follows those of `before`; `ready` are those that may come next.
    """

    peak: int
    live: int
    ready: tuple[int, ...]
    last: int = -1
    before: _Front | None = None

    def order(self) -> list[int]:
        found: list[int] = []
        front = self
        while front.before is not None:
            found.append(front.last)
            front = front.before
        return found[::-1]


def arrange_in_best_order(graph: Graph, rows: Rows, optimize: Optimize, budget: int) -> tuple[Graph, Schedule, Plan]:
    """Arrange a graph as it is and, where fewer bytes may live in another order, in that one; the better of the two.

    `rows` are the kernels of each layer, `budget` as for `arrange`.
    """
    found = _arranged(graph, rows, optimize, budget)
    other = with_fewest_live_bytes(graph)
    if other is graph or graph.pushed is not None:  # rows are pushed into the operators that the file has first
        return found[1:]
    own = {id(node): own for node, own in zip(graph.nodes, rows, strict=True)}
    better = _arranged(other, tuple(own[id(node)] for node in other.nodes), optimize, budget)
    return min(found, better, key=lambda arranged: arranged[0])[1:]


def _arranged(
    graph: Graph, rows: Rows, optimize: Optimize, budget: int
) -> tuple[tuple[int, int], Graph, Schedule, Plan]:
    """An arrangement behind its score."""
    schedule, plan = arrange(graph, rows, optimize, budget)
    chosen = zip(rows, schedule.kernels.values(), strict=True)
    count = sum(row.cost.instructions for own, kernel in chosen for row in own if row.kernel is kernel)
    return score(optimize, count, plan.arena_bytes), graph, schedule, plan


def with_fewest_live_bytes(graph: Graph) -> Graph:
    """The graph in the order that has the lowest peak; itself, where no order is better than the file's.

    Float edges stay at the ends. A peak counts what lives between two operators: within one, an output may take the
    place of its dying inputs.
    """
    if len(graph.nodes) > MOST:
        return graph
    search = _Search(graph)
    best = search.best()
    if best.peak >= search.peak_of(range(len(graph.nodes))):
        return graph
    return replace(graph, nodes=tuple(graph.nodes[at] for at in best.order()))


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        uses = Uses(graph, [is_view(node) for node in graph.nodes])
        sizes, value_of = uses.sizes, uses.value_of
        producer = {t.index: at for at, node in enumerate(graph.nodes) for t in node.outputs}
        read = [{t.index for t in node.inputs if t is not None and t.index in sizes} for node in graph.nodes]
        self.needs = [sum({1 << producer[t] for t in own if t in producer}) for own in read]
        first = sum(1 << at for at, node in enumerate(graph.nodes) if is_input_edge(graph, node))
        last = sum(1 << at for at, node in enumerate(graph.nodes) if is_output_edge(graph, node)) & ~first
        inner = (1 << len(graph.nodes)) - 1 & ~first & ~last
        for at in range(len(graph.nodes)):
            if not first >> at & 1:
                self.needs[at] |= first | (inner if last >> at & 1 else 0)
        self.followers: list[list[int]] = [[] for _ in graph.nodes]
        for at, needs in enumerate(self.needs):
            while needs:
                lowest = needs & -needs
                self.followers[lowest.bit_length() - 1].append(at)
                needs ^= lowest
        self.made = [sum(sizes[t.index] for t in node.outputs if value_of[t.index] == t.index) for node in graph.nodes]
        users: dict[int, int] = {}
        for at, own in enumerate(read):
            for tensor in own:
                users[value_of[tensor]] = users.get(value_of[tensor], 0) | 1 << at
        kept = {value_of[tensor.index] for tensor in graph.outputs}
        self.dying = [[(sizes[v], users[v]) for v in {value_of[t] for t in own} if v not in kept] for own in read]
        self.unread = [
            sum(sizes[t.index] for t in node.outputs if value_of[t.index] not in users and t.index not in kept)
            for node in graph.nodes
        ]
        self.start = sum(sizes[t.index] for t in graph.held_inputs)

    def first(self) -> _Front:
        """Nothing has run."""
        return _Front(0, self.start, tuple(at for at, needs in enumerate(self.needs) if needs == 0))

    def after(self, front: _Front, done: int, at: int) -> _Front:
        """One operator more; `done` has it."""
        gone = sum(size for size, users in self.dying[at] if users & ~done == 0) + self.unread[at]
        live = front.live + self.made[at] - gone
        freed = [next_ for next_ in self.followers[at] if self.needs[next_] & ~done == 0]
        ready = tuple(sorted({*front.ready, *freed} - {at}))
        return _Front(max(front.peak, front.live, live), live, ready, at, front)

    def peak_of(self, order: range) -> int:
        """The peak of a given order."""
        front, done = self.first(), 0
        for at in order:
            done |= 1 << at
            front = self.after(front, done, at)
        return front.peak

    def best(self) -> _Front:
        """The best order found; of equal ones one that is near the file's."""
        fronts = {0: self.first()}
        for _ in range(len(self.graph.nodes)):
            grown: dict[int, _Front] = {}
            for done, front in fronts.items():
                for at in front.ready:
                    now = done | 1 << at
                    found = self.after(front, now, at)
                    if now not in grown or found.peak < grown[now].peak:
                        grown[now] = found
            if len(grown) > WIDTH:
                ranked = sorted(grown.items(), key=lambda item: (item[1].peak, item[1].live))
                grown = dict(ranked[:WIDTH])
            fronts = grown
        (front,) = fronts.values()
        return front
