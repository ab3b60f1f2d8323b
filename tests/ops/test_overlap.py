"""Every kernel holds, in C, as far as the planner lets its output reach into its dying input, and no further."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from tests.ops.cases import CASES
from tests.ops.edges import EDGES, SUMS, Edge
from tests.ops.harness import NAME, cut_steps, every_kernel
from tests.ops.limits import Limit, Spot, arranged, finest, limit, wrong_layers
from tests.support.models import ModelBuilder
from tinygen.boards import Board, load_board
from tinygen.ir import Graph, Kernel, Reference
from tinygen.ir.kernel import every_operand
from tinygen.kernels import Schedule, kernels_for
from tinygen.ops import MADE_BY_PASSES, OPS
from tinygen.ops.copy import COPY
from tinygen.passes.fuse_expansion import expansions, fuse_expansions
from tinygen.plan import Step
from tinygen.plan.check import PlanError, check
from tinygen.plan.distances import ALIGNMENT
from tinygen.plan.lives import follow
from tinygen.plan.place import whole_steps
from tinygen.plan.units import Layer, layers_of
from tinygen.tflite import read

NODES = 4
BOARDS = tuple(map(load_board, ("microbit", "nano33")))
DSP = BOARDS[1]
VIEWS = frozenset({"reshape", "squeeze", "expand_dims"})

Steps = Callable[[Graph, Schedule], Sequence[Step]]

STEPS: dict[str, Steps] = {"whole": whole_steps, "cut": cut_steps}


def model() -> Graph:
    """A few nodes of every case in one model, each with inputs and outputs of its own."""
    builder = ModelBuilder("limits")
    rng = np.random.default_rng(0)
    for op in ("DEPTHWISE_CONV_2D",) * 18 + ("CONV_2D",) * 18:  # every kernel's turn comes, see every_kernel
        large_window(builder, rng, op)
    for _ in range(18):
        wider_pixels(builder, rng)
    for case in CASES:
        if Reference.LITERT in case.references and case.name not in VIEWS:
            for number in range(NODES):
                case.add(builder, np.random.default_rng([crc32(case.name.encode()), number]))
    return read(builder.finish(), name=NAME).graph


def large_window(b: ModelBuilder, rng: np.random.Generator, op: str) -> None:
    """A window of 3 x 3 over more rows and columns than a kernel takes at a time."""
    x = b.input((1, 24, 18, 4), scale=0.05)
    shape = (4, 3, 3, 4) if op == "CONV_2D" else (1, 3, 3, 4)
    weights = b.constant(rng.integers(-127, 128, shape).astype(np.int8), scales=0.002)
    y = b.tensor((1, 24, 18, 4), scale=0.05)
    options = {} if op == "CONV_2D" else {"depth_multiplier": 1}
    b.node(op, [x, weights, None], [y], stride_w=1, stride_h=1, padding="SAME", **options)
    b.output(y)


def wider_pixels(b: ModelBuilder, rng: np.random.Generator) -> None:
    """A convolution of 1 x 1 to more channels, which kernels that go backward take too."""
    x = b.input((1, 5, 7, 8), scale=0.05)
    weights = b.constant(rng.integers(-127, 128, (12, 1, 1, 8)).astype(np.int8), scales=0.01)
    y = b.tensor((1, 5, 7, 12), scale=0.05)
    b.node("CONV_2D", [x, weights, None], [y], stride_w=1, stride_h=1, padding="VALID")
    b.output(y)


@dataclass(frozen=True)
class Place:
    """A node of the edges' model: its kernel, the operand that its output reaches into, and its limit."""

    edge: Edge
    kernel: Kernel
    operand: int
    limit: Limit | None

    def __str__(self) -> str:
        how = "" if self.edge.by_channel else ", channels not kept apart"
        return f"{self.kernel.name}, operand {self.operand}{how}, edge {(*EDGES, *SUMS).index(self.edge)}"

    def beyond(self, steps: int) -> Spot:
        """So many steps beyond the limit."""
        return Spot(self.operand, None if self.limit is None else self.limit.beyond(steps))


@dataclass(frozen=True)
class Edges:
    """A model with a node for every edge, kernel and operand."""

    graph: Graph
    schedule: Schedule
    steps: Sequence[Step]
    places: Sequence[Place]

    def wrong(self, spots: Sequence[Spot], folder: Path) -> set[str]:
        """The places at which a value differs from numpy's."""
        planned = arranged(self.graph, self.schedule, self.steps, spots)
        return {str(self.places[i]) for i in wrong_layers(self.graph, self.schedule, planned, DSP, folder)}


def graph_of(edges: Sequence[Edge]) -> Graph:
    builder = ModelBuilder("edges")
    for number, edge in enumerate(edges):
        edge.add(builder, np.random.default_rng(number))
    graph = read(builder.finish(), name=NAME).graph
    return fuse_expansions(graph, expansions(graph))


def edges_of(edges: Sequence[Edge], steps: Steps = whole_steps) -> Edges:
    """Each edge with each of its kernels, once for every operand."""
    chosen: list[tuple[Edge, Kernel, int]] = []
    for edge, node in zip(edges, graph_of(edges).nodes, strict=True):
        for kernel in kernels_for(node, DSP.target.features):
            if edge.is_for(kernel.name) and kernel.access.accumulates == (edge in SUMS):
                layer = Layer(node, kernel)
                chosen += [(edge, kernel, operand) for operand in range(len(layer.operands))]
    graph = graph_of([edge for edge, *_ in chosen])
    schedule = Schedule({layer: kernel for layer, (_, kernel, _) in enumerate(chosen)})
    cut = steps(graph, schedule)
    layers = layers_of(graph, schedule)
    timeline = follow(graph, layers, cut)
    places = []
    for layer, (edge, kernel, operand) in zip(layers, chosen, strict=True):
        assert layer is not None
        by_channel = edge.by_channel and layer.keeps_channels
        places.append(Place(edge, kernel, operand, limit(layer, timeline, operand, by_channel=by_channel)))
    return Edges(graph, schedule, cut, places)


def test_every_kernel_and_operand_has_an_edge() -> None:
    kernels = {kernel.name: kernel for op in (*OPS, *MADE_BY_PASSES) for kernel in op.kernels}
    del kernels[COPY.name]  # reads constants alone: of anything else it would be a view
    made = edges_of(EDGES).places
    wanted = {(name, 0) for name, kernel in kernels.items() if not kernel.access.accumulates}
    wanted |= {(name, 1) for name, kernel in kernels.items() if kernel.operands is every_operand}
    assert {(place.kernel.name, place.operand) for place in made if place.edge.by_channel} >= wanted
    apart = {name for name, kernel in kernels.items() if kernel.access.keeps_channels}
    assert {place.kernel.name for place in made if not place.edge.by_channel} == apart
    assert {place.kernel.name for place in edges_of(SUMS).places} == {
        name for name, kernel in kernels.items() if kernel.access.accumulates
    }


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_kernel_is_right_at_the_limit(board: Board, steps: Steps, tmp_path: Path) -> None:
    graph = model()
    schedule = every_kernel(graph, board.target.features)
    cut = steps(graph, schedule)
    planned = arranged(graph, schedule, cut, finest(graph, schedule, cut))
    check(graph, schedule, planned)
    assert wrong_layers(graph, schedule, planned, board, tmp_path) == set()


def test_edges_are_right_at_the_limit(tmp_path: Path) -> None:
    edges = edges_of(EDGES)
    assert [str(place) for place in edges.places if place.limit is None] == []
    spots = [place.beyond(0) for place in edges.places]
    check(edges.graph, edges.schedule, arranged(edges.graph, edges.schedule, edges.steps, spots))
    assert edges.wrong(spots, tmp_path) == set()


def test_every_kernel_and_operand_is_wrong_a_step_beyond_the_limit(tmp_path: Path) -> None:
    edges = edges_of(EDGES)
    spots = [place.beyond(place.edge.steps) for place in edges.places]
    with pytest.raises(PlanError):
        check(edges.graph, edges.schedule, arranged(edges.graph, edges.schedule, edges.steps, spots))
    assert {str(place) for place in edges.places} - edges.wrong(spots, tmp_path) == set()


def test_what_is_stated_too_modestly_is_so_by_no_more_than_is_said(tmp_path: Path) -> None:
    edges = edges_of([edge for edge in EDGES if edge.steps > 1])
    assert edges.wrong([place.beyond(place.edge.steps - 1) for place in edges.places], tmp_path) == set()


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
def test_what_accumulates_has_read_all_before_it_writes_but_not_before_it_adds(steps: Steps, tmp_path: Path) -> None:
    """Its output may lie anywhere on its operand; its sums on neither: they touch it, or reach into it by a word."""
    once = edges_of(SUMS, steps)
    assert [str(place) for place in once.places if place.limit is not None] == []
    spots: list[Spot] = []
    chosen: list[Edge] = []
    is_wrong: list[bool] = []
    for place, node in zip(once.places, once.graph.nodes, strict=True):
        source, sink = node.input(0).size_bytes, node.output.size_bytes
        own = [Spot(distance=at) for at in range(-sink, source + ALIGNMENT, 4 * ALIGNMENT)]
        own += [Spot(sums_from_operand=source), Spot(sums_from_output=-place.kernel.scratch_bytes(node))]
        is_wrong += [False] * len(own) + [True] * 2
        own += [Spot(sums_from_operand=source - ALIGNMENT)]
        own += [Spot(sums_from_output=ALIGNMENT - place.kernel.scratch_bytes(node))]
        spots += own
        chosen += [place.edge] * len(own)
    graph = graph_of(chosen)
    kernels = [place.kernel for place in once.places for _ in range(chosen.count(place.edge) // 2)]
    schedule = Schedule(dict(enumerate(kernels)))
    planned = arranged(graph, schedule, steps(graph, schedule), spots)
    wrong = wrong_layers(graph, schedule, planned, DSP, tmp_path)
    assert [number in wrong for number in range(len(spots))] == is_wrong
