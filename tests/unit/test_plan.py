"""The planner on random graphs: no live byte is shared, and the check sees every way in which a plan can go wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.graphs import SCALE, chain, pointwise, random_graph
from tests.support.models import ModelBuilder
from tests.support.replay import Replay
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, Schedule, applicable, flash_budget, select
from tinygen.kernels.rows import one_way
from tinygen.plan import Plan, arrange, plan
from tinygen.plan.bound import live_by_step, lower_bound
from tinygen.plan.check import check
from tinygen.plan.distances import ALIGNMENT, aligned, apart
from tinygen.plan.pack import pack
from tinygen.plan.values import Life
from tinygen.tflite import read_model

SEEDS = range(60)


@pytest.mark.parametrize("features", [frozenset(), frozenset({"dsp"})], ids=["c", "dsp"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_spoils_nothing_byte_by_byte(seed: int, features: frozenset[str]) -> None:
    graph, schedule = random_graph(seed, features)
    for optimize in (Optimize.FLASH, Optimize.RAM):  # without and with streaming
        planned = plan(graph, schedule, optimize)
        Replay(graph, schedule, planned).run()
        check(graph, schedule, planned)
    assert {t.index for t in graph.tensors() if not t.is_constant} == set(planned.views)


@pytest.mark.parametrize("seed", SEEDS)
def test_buffers_lie_on_words_within_an_arena_not_below_the_bound(seed: int) -> None:
    planned = plan(*random_graph(seed))
    placed = list(zip(planned.buffers, planned.offsets, strict=True))
    assert all(offset % ALIGNMENT == 0 for _, offset in placed)
    assert max(offset + buffer.size_bytes for buffer, offset in placed) == planned.arena_bytes
    assert planned.arena_bytes >= planned.lower_bound_bytes >= max(planned.live)


def test_the_random_graphs_have_every_shape_of_trouble() -> None:
    """Else the tests above could not fail."""
    seen: set[str] = set()
    for seed in SEEDS:
        graph, schedule = random_graph(seed)
        reads = [t.index for n in graph.nodes for t in n.inputs if t is not None and not t.is_constant]
        planned = plan(graph, schedule)
        facts = {
            "one input": len(graph.inputs) == 1,
            "inputs": len(graph.inputs) > 1,
            "outputs": len(graph.outputs) > 1,
            "branch": len(set(reads)) < len(reads),
            "output read again": any(t.index in reads for t in graph.outputs),
            "views": any(len(b.tensors) > 1 for b in planned.buffers),
            "scratch": any(b.scratch_of for b in planned.buffers),
            "overlap": bool(overlapping_layers(graph, schedule, planned)),
        }
        seen |= {fact for fact, holds in facts.items() if holds} | {n.op.name for n in graph.nodes}
    operators = {"ADD", "CONCATENATION", "RELU", "RESHAPE", "CONV_2D", "MAX_POOL_2D", "QUANTIZE"}
    operators |= {"DEPTHWISE_CONV_2D", "MEAN", "MUL"}
    assert seen == facts.keys() | operators


def overlapping_layers(graph: Graph, schedule: Schedule, planned: Plan) -> list[int]:
    """Layers whose output touches bytes of a tensor that they read."""
    found = []
    for layer, node in enumerate(graph.nodes):
        kernel = schedule.kernels[layer]
        read = [] if kernel is None else [node.input(i) for i in kernel.operands(node)]
        sink = planned.views[node.output.index]
        sources = [planned.views[t.index] for t in read if not t.is_constant]
        if any(
            s.offset_bytes < sink.offset_bytes + sink.size_bytes and sink.offset_bytes < s.offset_bytes + s.size_bytes
            for s in sources
        ):
            found.append(layer)
    return found


@pytest.mark.parametrize("channels", [(4, 4), (4, 8, 4), (4, 12, 8, 20, 8, 12, 4), (16, 4, 4, 4, 16)])
def test_a_chain_needs_its_largest_tensor_and_a_pixel_of_each(channels: tuple[int, ...]) -> None:
    planned = plan(*chain(*channels))
    assert planned.lower_bound_bytes <= planned.arena_bytes <= 16 * max(channels) + sum(channels)


@pytest.mark.parametrize("features", [frozenset(), frozenset({"dsp"})], ids=["c", "dsp"])
def test_a_chain_of_wide_and_narrow_pixels_takes_its_widest_tensor_where_layers_go_backward(
    features: frozenset[str],
) -> None:
    """Forward, a wider output must end where its input does, and a narrower one begin there."""
    b = ModelBuilder()
    at = b.input((1, 1, 40, 8), scale=SCALE)  # one row: nothing streams
    for channels in (24, 8, 24, 8, 24, 8):
        at = pointwise(b, at, channels)
    b.output(at)
    graph = read_model(b.finish())
    rows = applicable(graph, features, Reference.LITERT)
    arenas = []
    for own in (one_way(rows), rows):
        schedule, planned = arrange(graph, own, Optimize.BALANCED, flash_budget(graph))
        Replay(graph, schedule, planned).run()
        arenas.append(planned.arena_bytes)
    assert arenas[1] < 40 * 24 + 120 < arenas[0]


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


def test_a_wider_output_ends_where_its_input_does() -> None:
    b = ModelBuilder()
    y = pointwise(b, b.input((1, 2, 2, 4), scale=SCALE), 4)
    z = b.tensor((1, 2, 2, 4), "float32")
    b.node("DEQUANTIZE", [y], [z])
    b.output(z)
    graph = read_model(b.finish())
    planned = plan(graph, select(graph, frozenset()))
    assert planned.arena_bytes == 64
    assert planned.views[y].offset_bytes == planned.views[z].offset_bytes + 48


# --- packing ------------------------------------------------------------------------------------------------------


def some_lives(seed: int, count: int) -> list[Life]:
    """Buffers of which all bytes live alike."""
    chance = random.Random(seed)
    births = [chance.randrange(8) for _ in range(count)]
    return [Life.constant(4 * chance.randrange(1, 50), birth, birth + chance.randrange(4)) for birth in births]


def packed(lives: Sequence[Life]) -> tuple[int, ...]:
    pairs = {
        (i, j): distances
        for i, j in itertools.combinations(range(len(lives)), 2)
        if (distances := apart(lives[i], lives[j])) is not None
    }
    return pack([x.size_bytes for x in lives], pairs, [(x.first, x.last) for x in lives], lower_bound(lives))


def height(lives: Sequence[Life], offsets: Sequence[int]) -> int:
    return max(o + x.size_bytes for o, x in zip(offsets, lives, strict=True))


def test_packing_nothing_takes_nothing() -> None:
    assert packed(()) == ()
    assert lower_bound(()) == 0
    assert live_by_step((), (2, 4, 6)) == (0, 0)


@pytest.mark.parametrize(("sizes", "bound"), [((8,), 8), ((3,), 3), ((3, 3), 6), ((1, 2, 4), 7), ((4, 8, 16), 28)])
def test_the_bound_is_what_lives_at_one_time(sizes: tuple[int, ...], bound: int) -> None:
    together = [Life.constant(size, 0, 1) for size in sizes]
    separate = [Life.constant(size, 5 + 2 * i, 5 + 2 * i) for i, size in enumerate(sizes)]
    assert lower_bound(together) == bound
    assert lower_bound(separate) == max(sizes)
    assert lower_bound([*separate, *together]) == bound
    assert live_by_step([*separate, *together], (0, 2, 6)) == (bound, sizes[0])
    words = sorted(sizes, key=lambda size: -size % ALIGNMENT)
    assert height(together, packed(together)) == sum(map(aligned, words[:-1])) + words[-1]


@pytest.mark.parametrize("seed", range(20))
def test_packing_is_deterministic_and_leaves_the_callers_random_numbers_alone(seed: int) -> None:
    lives = some_lives(seed, 12)
    random.seed(1)
    before = random.getstate()
    first = packed(lives)
    assert random.getstate() == before
    random.seed(2)
    assert packed(lives) == first


@pytest.mark.parametrize("seed", range(30))
def test_packing_few_buffers_is_the_best_of_all_orders(seed: int) -> None:
    lives = some_lives(seed, 5)
    heights = []
    for order in itertools.permutations(range(len(lives))):
        offsets = [0] * len(lives)
        for place, i in enumerate(order):
            spans = sorted(
                (offsets[j], offsets[j] + lives[j].size_bytes)
                for j in order[:place]
                if lives[i].first <= lives[j].last and lives[j].first <= lives[i].last
            )
            for begin, end in spans:
                if offsets[i] + lives[i].size_bytes > begin:
                    offsets[i] = max(offsets[i], end)
        heights.append(height(lives, offsets))
    assert height(lives, packed(lives)) == min(heights)


# --- distances ----------------------------------------------------------------------------------------------------


def random_life(chance: random.Random, runs: int) -> Life:
    ends = list(itertools.accumulate(chance.randrange(1, 7) for _ in range(runs)))
    births = [chance.randrange(20) for _ in range(runs)]
    deaths = [birth + chance.randrange(6) for birth in births]
    return Life(np.array(ends), np.array(births), np.array(deaths))


def meets(one: Life, other: Life, distance: int) -> bool:
    """Whether bytes at one address live at one time, byte by byte."""

    def bytes_of(life: Life, base: int) -> dict[int, tuple[int, int]]:
        runs = np.searchsorted(life.ends, np.arange(life.size_bytes), "right")
        return {base + i: (int(life.birth[run]), int(life.death[run])) for i, run in enumerate(runs)}

    a, b = bytes_of(one, 0), bytes_of(other, distance)
    return any(a[x][0] <= b[x][1] and b[x][0] <= a[x][1] for x in a.keys() & b.keys())


@pytest.mark.parametrize("seed", range(100))
def test_allowed_distances_keep_apart_what_lives_at_one_time(seed: int) -> None:
    chance = random.Random(seed)
    one, other = random_life(chance, chance.randrange(1, 9)), random_life(chance, chance.randrange(1, 9))
    found = apart(one, other)
    for distance in range(-aligned(other.size_bytes) - 8, one.size_bytes + 12, ALIGNMENT):
        allowed = found is None or found.next_allowed(distance) == distance
        assert not allowed or not meets(one, other, distance)
        if found is not None:
            back = found.mirrored()
            assert (back.next_allowed(-distance) == -distance) is allowed
            assert found.next_allowed(distance) >= distance
    if found is None:
        assert not any(meets(one, other, d) for d in range(-other.size_bytes, one.size_bytes))


@pytest.mark.parametrize("seed", range(50))
def test_a_distance_between_an_input_that_dies_in_order_and_its_output_is_allowed_whenever_it_can_be(seed: int) -> None:
    chance = random.Random(seed)
    cells, pixels, channels = chance.randrange(2, 20), chance.randrange(2, 20), chance.randrange(1, 9)
    dying = Life.of_cells(
        chance.randrange(1, 9), np.full(cells, -1), np.array(sorted(chance.choices(range(0, 40, 2), k=cells)))
    )
    growing = Life.of_cells(channels, np.arange(pixels) * 2 + 1, np.full(pixels, 99))
    found = apart(dying, growing)
    for distance in range(-aligned(growing.size_bytes), dying.size_bytes + 4, ALIGNMENT):
        allowed = found is None or found.next_allowed(distance) == distance
        assert allowed is not meets(dying, growing, distance)
