"""Streaming: the steps of a group, what they are reckoned to cost, where the cuts come, and how they are shortened."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator

import pytest

from tests.support.graphs import random_graph
from tests.support.models import ModelBuilder
from tests.support.replay import spoils
from tests.support.streams import SHORTER_RINGS, residual_network, shorter_ring
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, Schedule, select
from tinygen.kernels.rows import Row, Rows, row_of
from tinygen.plan import Plan, Step, blocks_of, plan
from tinygen.plan.arrange import cuts_of
from tinygen.plan.blocks import Call, Run, shorten
from tinygen.plan.check import PlanError, check
from tinygen.plan.cuts import CHUNKS
from tinygen.plan.place import place
from tinygen.plan.stream import Chunk, Group, Network, steps_of
from tinygen.plan.units import layers_of
from tinygen.tflite import read_model

FEATURES = frozenset({"dsp"})


def network_of(graph: Graph, schedule: Schedule) -> Network:
    return Network(graph, layers_of(graph, schedule))


def whole(graph: Graph, schedule: Schedule) -> Plan:
    return place(graph, schedule, [Step(i, 0, n.outputs[0].rows) for i, n in enumerate(graph.nodes)])


def streams(network: Network) -> Iterator[tuple[int, int]]:
    """Every run of layers that may be a group."""
    for begin, end in itertools.combinations(range(len(network.layers) + 1), 2):
        if end - begin > 1 and all(map(network.may_stream, range(begin, end))):
            yield begin, end


@pytest.mark.parametrize("chunk", CHUNKS, ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_a_group_makes_every_row_once_and_only_from_rows_that_are_there(seed: int, chunk: Chunk) -> None:
    network = network_of(*random_graph(seed))
    for begin, end in streams(network):
        steps = steps_of(
            network, [Group(begin, end, chunk, frozenset(range(begin + 1, end)) if seed % 2 else frozenset())]
        )
        made = dict.fromkeys(range(begin, end), 0)
        for step in steps:
            assert step.row_begin == made[step.layer]
            for rows in network.reads[step.layer]:
                producer = network.producer.get(rows.tensor, -1)
                if producer in made:
                    assert made[producer] >= rows.end[step.row_end - 1]
            made[step.layer] = step.row_end
        assert made == {i: network.graph.nodes[i].outputs[0].rows for i in range(begin, end)}


def test_a_chain_holds_as_many_rows_as_its_windows_reach() -> None:
    graph, schedule = residual_network(blocks=0, height=12)  # three convolutions of 3 x 3
    network = network_of(graph, schedule)
    planned = place(graph, schedule, steps_of(network, [Group(0, 3)]))
    check(graph, schedule, planned)
    rings = [planned.views[node.output.index].ring_rows for node in graph.nodes]
    assert rings == [3, 3, 12]


def rows_of(graph: Graph, schedule: Schedule) -> Rows:
    kernels = [schedule.kernels[layer] for layer in range(len(graph.nodes))]
    return tuple(
        () if k is None else (row_of(k, n, Reference.LITERT),) for k, n in zip(kernels, graph.nodes, strict=True)
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_reckoned_peak_is_near_the_bound_of_the_placed_group(seed: int) -> None:
    graph, schedule = random_graph(seed, FEATURES)
    network = network_of(graph, schedule)
    cuts = cuts_of(graph, rows_of(graph, schedule))
    for begin, end in streams(network):
        if begin not in cuts.begins(end):
            continue
        rest = [Group(i, i + 1) for i in range(len(graph.nodes)) if not begin <= i < end]
        planned = place(graph, schedule, steps_of(network, sorted([*rest, Group(begin, end)], key=lambda g: g.begin)))
        peak = max(planned.live_bytes(layer) for layer in range(begin, end))
        row = max(t.row_bytes for i in range(begin, end) for t in graph.nodes[i].outputs)
        assert peak - row <= cuts.peak(Group(begin, end)) <= peak + 2 * row


@pytest.mark.parametrize("seed", range(25))
def test_cuts_reach_the_lowest_peak_of_all_groupings(seed: int) -> None:
    graph, schedule = random_graph(seed)
    cuts = cuts_of(graph, rows_of(graph, schedule))

    def groupings(begin: int) -> Iterator[tuple[int, ...]]:
        if begin == cuts.layers:
            yield ()
        for end in range(begin + 1, cuts.layers + 1):
            if begin in cuts.begins(end):
                yield from ((cuts.leanest(begin, end), *rest) for rest in groupings(end))

    lowest = min(max(peaks) for peaks in groupings(0))
    assert cuts.lowest() == lowest
    found = cuts.within(lowest)
    assert found is not None
    assert [way.group.begin for way in found] + [cuts.layers] == [0, *(way.group.end for way in found)]
    assert all(cuts.peak(way.group) <= lowest for way in found)
    fewer = cuts.within(lowest - 1)
    assert fewer is None


def test_a_group_takes_the_fastest_kernels_that_fit_beside_what_lives() -> None:
    """Of two kernels, the fast one needs scratch: the higher the limit, the more layers get it."""
    graph, schedule = residual_network(blocks=1, height=24)

    def both(layer: int) -> tuple[Row, ...]:
        (slow,) = rows_of(graph, schedule)[layer]
        scratch = 100 + 10 * layer
        kernel = dataclasses.replace(slow.kernel, scratch_bytes=lambda node: scratch)
        fast = dataclasses.replace(slow.cost, instructions=slow.cost.instructions // 2)
        return slow, Row(kernel, f"fast{layer}", fast, slow.added_bytes + scratch)

    cuts = cuts_of(graph, tuple(both(layer) for layer in range(len(graph.nodes))))
    counts = []
    for limit in range(cuts.lowest(), cuts.lowest() + 400, 20):
        ways = cuts.within(limit)
        assert ways is not None
        counts.append(sum(len(own) == 2 for way in ways for own in way.offers))
    assert counts[0] < counts[-1] == len(graph.nodes)


def test_the_more_instructions_may_be_added_the_smaller_the_arena() -> None:
    graph, schedule = residual_network(blocks=2, height=24)
    arenas = [plan(graph, schedule, o).arena_bytes for o in (Optimize.FLASH, Optimize.BALANCED, Optimize.RAM)]
    assert arenas == sorted(arenas, reverse=True)
    assert arenas[2] < 0.75 * arenas[0]
    assert plan(graph, schedule, Optimize.FLASH).steps == whole(graph, schedule).steps


def test_what_a_sum_takes_is_made_where_the_sum_will_lie() -> None:
    graph, schedule = residual_network(blocks=2, height=16)
    steps = steps_of(network_of(graph, schedule), [Group(0, len(graph.nodes))])
    views = place(graph, schedule, steps).views
    sums = [node for node in graph.nodes if node.op.name == "ADD"]
    assert len(sums) == 2
    for node in sums:
        assert views[node.input(1).index] == views[node.output.index] != views[node.input(0).index]


@pytest.mark.parametrize("optimize", [Optimize.BALANCED, Optimize.RAM])
def test_plans_are_deterministic(optimize: Optimize) -> None:
    one, other = (plan(*residual_network(blocks=2, height=16), optimize) for _ in range(2))
    assert (one.views, one.steps, one.scratch_offsets) == (other.views, other.steps, other.scratch_offsets)


@pytest.mark.parametrize("edit", SHORTER_RINGS)
def test_a_ring_that_is_a_row_short_is_refused(edit: int) -> None:
    graph, schedule = residual_network(blocks=2, height=16)
    planned = plan(graph, schedule, Optimize.RAM)
    broken = shorter_ring(graph, planned, edit)
    assert spoils(graph, schedule, broken) and not spoils(graph, schedule, planned)
    with pytest.raises(PlanError):
        check(graph, schedule, broken)


# --- calls in short -----------------------------------------------------------------------------------------------


def expand(calls: tuple[Call, ...], runs: tuple[Run, ...]) -> list[Call]:
    return [call for first, count, times in runs for call in calls[first : first + count] * times]


@pytest.mark.parametrize("seed", range(50))
def test_calls_in_short_are_the_same_calls(seed: int) -> None:
    chance = random.Random(seed)
    calls: list[Call] = []
    for _ in range(chance.randrange(1, 6)):
        part = [(chance.randrange(4), chance.randrange(1, 3)) for _ in range(chance.randrange(1, 9))]
        calls += part * chance.randrange(1, 12)
    table, runs = shorten(calls)
    assert expand(table, runs) == calls
    assert len(table) <= len(calls)


def test_repetitions_are_found() -> None:
    period = [(0, 1), (1, 1), (0, 2)]
    assert shorten([*period * 20, (1, 3)]) == ((*period, (1, 3)), ((0, 3, 20), (3, 1, 1)))


def test_blocks_are_cut_where_no_layer_is_on_both_sides() -> None:
    steps = [
        Step(0, 0, 4),
        Step(1, 0, 1),
        Step(2, 0, 1),
        Step(1, 1, 2),
        Step(2, 1, 2),
        Step(3, 0, 1),
        Step(4, 0, 1),
        Step(4, 1, 2),
    ]
    blocks = blocks_of(steps)
    assert [block.layers for block in blocks] == [(0,), (1, 2), (3,), (4,)]
    assert [block.is_single for block in blocks] == [True, False, True, False]
    assert [step for block in blocks for step in block.steps] == steps


def test_a_layer_that_needs_all_of_its_input_ends_no_group() -> None:
    b = ModelBuilder()
    x = b.input((1, 8, 8, 4), scale=0.05)
    y, z = (b.tensor(shape, scale=0.05) for shape in ((1, 8, 8, 4), (1, 2, 2, 4)))
    b.node("RELU", [x], [y])
    window = {"stride_w": 4, "stride_h": 4, "filter_width": 15, "filter_height": 15, "padding": "SAME"}
    b.node("MAX_POOL_2D", [y], [z], **window)
    b.output(z)
    graph = read_model(b.finish())
    network = network_of(graph, select(graph, frozenset()))
    assert network.may_stream(0) and not network.may_stream(1)
