"""Two thousand random graphs are planned and run in C, each in a guarded arena that was painted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import random_graph
from tests.support.hosted import COMPILER, Hosted, wrong_values
from tests.support.streams import SHORTER_RINGS, random_groups, residual_network, shorter_ring
from tinygen.ir import Graph, Kernel
from tinygen.kernels import Optimize, Schedule, kernels_for
from tinygen.plan import Plan, plan
from tinygen.plan.check import PlanError, check
from tinygen.plan.place import place
from tinygen.plan.stream import Group, Network, steps_of
from tinygen.plan.units import layers_of

GRAPHS, MADE_UP, SIDE = 2000, 400, 8
FEATURES = (frozenset[str](), frozenset({"dsp"}))

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no native C compiler: apt install gcc")


def planned(seed: int, graph: Graph, schedule: Schedule) -> Hosted:
    """In turn with groups drawn at random, with whole layers, and as the planner wants it; checked by byte and unit."""
    if seed % 4 < 2:
        found = place(graph, schedule, random_groups(graph, schedule, seed))
        check(graph, schedule, found)
    else:
        leanest = Optimize.FLASH if seed % 4 == 2 else Optimize.RAM
        found = plan(graph, schedule, Optimize.BALANCED if seed // 8 % 2 else leanest)
    return Hosted(graph, schedule, found)


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is a little larger is as good a test."""
    monkeypatch.setattr("tinygen.plan.pack.ROUNDS", 20)


@needs_compiler
@pytest.mark.parametrize("part", range(20))
def test_two_thousand_random_graphs_compute_every_value_in_c(part: int, tmp_path: Path) -> None:
    models = [executable(seed) for seed in range(part * GRAPHS // 20, (part + 1) * GRAPHS // 20)]
    assert all(m.plan.lower_bound_bytes <= m.plan.arena_bytes for m in models)
    assert sum(len(m.plan.steps) > len(m.graph.nodes) for m in models) > 20
    assert wrong_values(models, tmp_path) == [0] * len(models)


@pytest.mark.parametrize("part", range(4))
def test_random_graphs_with_made_up_scratch_and_orders_of_access_are_planned(part: int) -> None:
    streams = 0
    for seed in range(part * MADE_UP // 4, (part + 1) * MADE_UP // 4):
        found = planned(seed, *random_graph(seed, FEATURES[seed // 4 % 2], SIDE))
        assert found.plan.lower_bound_bytes <= found.plan.arena_bytes
        streams += len(found.plan.steps) > len(found.graph.nodes)
    assert streams > 20


def executable(seed: int) -> Hosted:
    """The graph with kernels as they are: made-up orders of access and scratch are for plans alone."""
    graph, schedule = random_graph(seed, FEATURES[seed // 4 % 2], SIDE, varied=True)
    kernels = {layer: real(node.op.kernels, schedule.kernels[layer]) for layer, node in enumerate(graph.nodes)}
    for layer, node in enumerate(graph.nodes):
        sums = [k for k in kernels_for(node, FEATURES[seed // 4 % 2]) if k.access.accumulates]
        if sums and seed % 2:
            kernels[layer] = sums[seed // 8 % len(sums)]
    return planned(seed, graph, Schedule(kernels))


def real(kernels: tuple[Kernel, ...], chosen: Kernel | None) -> Kernel | None:
    return None if chosen is None else next(kernel for kernel in kernels if kernel.name == chosen.name)


@needs_compiler
def test_rows_of_a_depthwise_output_take_the_place_of_input_rows_that_die(tmp_path: Path) -> None:
    graph, schedule = residual_network(blocks=2, height=32, features=FEATURES[1])
    network = Network(graph, layers_of(graph, schedule))
    found = place(graph, schedule, steps_of(network, [Group(0, len(graph.nodes))]))
    check(graph, schedule, found)
    guests = [t for t, view in found.views.items() if view.is_guest]
    assert len(guests) >= 2
    assert {found.views[t].pace for t in guests} == {1, 2}
    for tensor in guests:  # in the slot of a row that the next output row still needs
        view = found.views[tensor]
        views = {**found.views, tensor: dataclasses.replace(view, turn=(view.turn + view.pace) % view.ring_rows)}
        assert not passes(Hosted(graph, schedule, found), dataclasses.replace(found, views=views))
    assert wrong_values([Hosted(graph, schedule, found)], tmp_path) == [0]


# --- negative controls --------------------------------------------------------------------------------------------


def streamed_network() -> Hosted:
    graph, schedule = residual_network(blocks=2, height=32)
    return Hosted(graph, schedule, plan(graph, schedule, Optimize.RAM))


def moved(model: Hosted, tensor: int, by: int) -> Plan:
    view = model.plan.views[tensor]
    views = {**model.plan.views, tensor: dataclasses.replace(view, offset_bytes=view.offset_bytes + by)}
    return dataclasses.replace(model.plan, views=views, arena_bytes=model.plan.arena_bytes + 64)


@needs_compiler
def test_a_ring_a_row_short_and_an_offset_moved_are_caught_in_c_and_by_the_check(tmp_path: Path) -> None:
    sound = streamed_network()
    controls = {f"ring {i}": shorter_ring(sound.graph, sound.plan, i) for i in SHORTER_RINGS}
    rng = np.random.default_rng(0)
    for tensor in rng.permutation([n.output.index for n in sound.graph.nodes])[:8].tolist():
        by = -8 if sound.plan.views[tensor].offset_bytes >= 8 else 8
        controls[f"tensor {tensor} by {by}"] = moved(sound, tensor, by)
    broken = {name: control for name, control in controls.items() if not passes(sound, control)}
    assert {name for name in controls if name.startswith("ring")} <= broken.keys()
    assert len(broken) > len(SHORTER_RINGS) + 3
    models = [sound, *(dataclasses.replace(sound, plan=control) for control in controls.values())]
    wrong, *rest = wrong_values(models, tmp_path)
    assert wrong == 0
    assert {name for name, count in zip(controls, rest, strict=True) if count > 0} == broken.keys()


def passes(model: Hosted, control: Plan) -> bool:
    try:
        check(model.graph, model.schedule, control)
    except PlanError:
        return False
    return True
