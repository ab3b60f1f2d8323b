"""The planner on random graphs: no live byte is shared, and the check sees every way in which a plan can go wrong."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest

from tests.support.graphs import SCALE, chain, pointwise, random_graph, shared_bytes
from tests.support.models import ModelBuilder
from tinygen.ir import Graph
from tinygen.kernels import Schedule, select
from tinygen.plan import Buffer, plan
from tinygen.plan.buffers import build_buffers
from tinygen.plan.check import check
from tinygen.plan.pack import ALIGNMENT, lower_bound, pack
from tinygen.tflite import read_model

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_values_that_are_needed_later_never_share_a_byte(seed: int) -> None:
    graph, schedule = random_graph(seed)
    planned = plan(graph, schedule)
    assert list(shared_bytes(graph, schedule, planned)) == []
    check(graph, schedule, planned)
    assert {t.index for t in graph.tensors() if not t.is_constant} == set(planned.views)


@pytest.mark.parametrize("seed", SEEDS)
def test_buffers_that_meet_lie_apart_on_words_within_the_arena(seed: int) -> None:
    planned = plan(*random_graph(seed))
    placed = list(zip(planned.buffers, planned.offsets, strict=True))
    for (a, at), (b, bt) in itertools.combinations(placed, 2):
        assert not a.meets(b) or at + a.size_bytes <= bt or bt + b.size_bytes <= at
    assert all(offset % ALIGNMENT == 0 for _, offset in placed)
    assert max(offset + buffer.size_bytes for buffer, offset in placed) == planned.arena_bytes
    assert planned.arena_bytes >= planned.lower_bound_bytes
    assert planned.lower_bound_bytes >= max(planned.live_bytes(step) for step in range(-1, len(planned.steps) + 1))


def test_the_random_graphs_have_every_shape_of_trouble() -> None:
    """Else the tests above could not fail."""
    seen: set[str] = set()
    for seed in SEEDS:
        graph, schedule = random_graph(seed)
        reads = [t.index for n in graph.nodes for t in n.inputs if t is not None and not t.is_constant]
        buffers = build_buffers(graph, schedule)
        facts = {
            "one input": len(graph.inputs) == 1,
            "inputs": len(graph.inputs) > 1,
            "outputs": len(graph.outputs) > 1,
            "branch": len(set(reads)) < len(reads),
            "output read again": any(t.index in reads for t in graph.outputs),
            "shared bytes": any(len(b.tensors) > 1 for b in buffers),
            "scratch": any(b.scratch_of is not None for b in buffers),
        }
        seen |= {fact for fact, holds in facts.items() if holds} | {n.op.name for n in graph.nodes}
    operators = {"ADD", "CONCATENATION", "RELU", "RESHAPE", "CONV_2D", "MAX_POOL_2D", "QUANTIZE"}
    assert seen == facts.keys() | operators


@pytest.mark.parametrize("channels", [(1, 1), (4, 8, 4), (8, 1, 8, 2), (3, 5, 7, 9, 7, 5, 3), (16, 1, 1, 1, 16)])
def test_a_chain_needs_its_largest_two_neighbours_only(channels: tuple[int, ...]) -> None:
    planned = plan(*chain(*channels))
    assert planned.arena_bytes == 16 * max(a + b for a, b in itertools.pairwise(channels))


def activations(op: str, reuse: str) -> tuple[Graph, Schedule]:
    """x → conv → y → op → z → conv, where `reuse` says who else needs y."""
    b = ModelBuilder()
    y = pointwise(b, b.input((1, 2, 2, 4), scale=SCALE), 4)
    z = b.tensor((1, 2, 2, 4), scale=SCALE)
    b.node(op, {"RELU": [y], "ADD": [y, y]}[op], [z])
    end = pointwise(b, z, 4)
    b.output(end)
    if reuse == "output":
        b.output(y)
    if reuse == "later":
        late = b.tensor((1, 2, 2, 4), scale=SCALE)
        b.node("ADD", [end, y], [late])
        b.output(late)
    graph = read_model(b.finish())
    return graph, select(graph, frozenset())


@pytest.mark.parametrize("op", ["RELU", "ADD"])
@pytest.mark.parametrize(("reuse", "in_place"), [("nobody", True), ("output", False), ("later", False)])
def test_an_elementwise_layer_works_in_place_only_where_its_input_dies(op: str, reuse: str, in_place: bool) -> None:
    graph, schedule = activations(op, reuse)
    views = plan(graph, schedule).views
    y, z = graph.nodes[1].input(0).index, graph.nodes[1].output.index
    assert (views[y].offset_bytes == views[z].offset_bytes) is in_place


def test_a_wider_output_never_lies_in_the_bytes_of_a_narrower_input() -> None:
    b = ModelBuilder()
    y = pointwise(b, b.input((1, 2, 2, 4), scale=SCALE), 4)
    z = b.tensor((1, 2, 2, 4), "float32")
    b.node("DEQUANTIZE", [y], [z])
    b.output(z)
    graph = read_model(b.finish())
    kernels = dict(select(graph, frozenset()).kernels)
    assert kernels[1] is not None
    kernels[1] = dataclasses.replace(kernels[1], access=dataclasses.replace(kernels[1].access, elementwise=True))
    views = plan(graph, Schedule(kernels)).views
    assert abs(views[y].offset_bytes - views[z].offset_bytes) >= 16


# --- packing ------------------------------------------------------------------------------------------------------


def some_buffers(seed: int, count: int) -> list[Buffer]:
    chance = random.Random(seed)
    births = [chance.randrange(8) for _ in range(count)]
    return [
        Buffer(chance.randrange(1, 200), birth, birth + chance.randrange(4), (i,)) for i, birth in enumerate(births)
    ]


def test_packing_nothing_takes_nothing() -> None:
    assert pack(()) == ()
    assert lower_bound(()) == 0


@pytest.mark.parametrize(
    ("sizes", "bound"), [((8,), 8), ((3,), 3), ((3, 3), 7), ((1, 2, 4), 9), ((5, 8), 13), ((4, 8, 16), 28)]
)
def test_the_bound_counts_buffers_that_meet_in_words_but_for_the_last_one(sizes: tuple[int, ...], bound: int) -> None:
    together = [Buffer(size, 0, 1, (i,)) for i, size in enumerate(sizes)]
    apart = [Buffer(size, 5 + 2 * i, 5 + 2 * i, (i,)) for i, size in enumerate(sizes)]
    assert lower_bound(together) == bound
    assert lower_bound(apart) == max(sizes)
    assert lower_bound([*apart, *together]) == bound
    offsets = pack(together)
    assert max(o + b.size_bytes for o, b in zip(offsets, together, strict=True)) == bound


@pytest.mark.parametrize("seed", range(20))
def test_packing_is_deterministic_and_leaves_the_callers_random_numbers_alone(seed: int) -> None:
    buffers = some_buffers(seed, 12)
    random.seed(1)
    before = random.getstate()
    first = pack(buffers)
    assert random.getstate() == before
    random.seed(2)
    assert pack(buffers) == first


@pytest.mark.parametrize("seed", range(30))
def test_packing_few_buffers_is_the_best_of_all_orders(seed: int) -> None:
    buffers = [dataclasses.replace(b, size_bytes=4 * b.size_bytes) for b in some_buffers(seed, 5)]
    heights = []
    for order in itertools.permutations(range(len(buffers))):
        offsets = [0] * len(buffers)
        for place, i in enumerate(order):
            spans = sorted(
                (offsets[j], offsets[j] + buffers[j].size_bytes) for j in order[:place] if buffers[i].meets(buffers[j])
            )
            for begin, end in spans:
                if offsets[i] + buffers[i].size_bytes > begin:
                    offsets[i] = max(offsets[i], end)
        heights.append(max(o + b.size_bytes for o, b in zip(offsets, buffers, strict=True)))
    assert max(o + b.size_bytes for o, b in zip(pack(buffers), buffers, strict=True)) == min(heights)
