"""Operators are reordered only as their inputs allow, and only where that lowers the peak."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import SCALE, chain, pointwise, random_graph
from tests.support.hosted import COMPILER, Hosted, wrong_values
from tests.support.models import ModelBuilder
from tinygen.boards import load_board
from tinygen.compile import compile_model
from tinygen.ir import Graph, Reference
from tinygen.kernels import Optimize, applicable, flash_budget
from tinygen.passes.edges import is_input_edge, is_output_edge
from tinygen.plan import arrange, arrange_in_best_order
from tinygen.plan.order import with_fewest_live_bytes
from tinygen.tflite import read, read_model

SEEDS = range(300)


def peak(graph: Graph) -> int:
    """The most bytes that live between two operators, counted afresh from the definition."""
    root = {t.index: t.index for t in graph.tensors()}
    for node in graph.nodes:
        source = node.op.view_of(node)
        if source is not None and not node.input(source).is_constant:
            root[node.output.index] = root[node.input(source).index]
    born = {root[t.index]: 0 for t in graph.inputs}
    last = {root[t.index]: len(graph.nodes) for t in graph.inputs}
    sizes = {t.index: t.size_bytes for t in graph.tensors() if not t.is_constant}
    for at, node in enumerate(graph.nodes):
        for tensor in node.outputs:
            born.setdefault(root[tensor.index], at + 1)
    for value in born:
        users = [at for at, n in enumerate(graph.nodes) for t in n.inputs if t is not None and root[t.index] == value]
        if users:
            last[value] = max(users)
        elif value not in last:
            last[value] = -1
    for tensor in graph.outputs:
        last[root[tensor.index]] = len(graph.nodes)
    return max(sum(sizes[v] for v in born if born[v] <= at <= last[v]) for at in range(len(graph.nodes) + 1))


def is_executable(graph: Graph) -> bool:
    made = {t.index for t in graph.inputs}
    for node in graph.nodes:
        if any(t is not None and not t.is_constant and t.index not in made for t in node.inputs):
            return False
        made |= {t.index for t in node.outputs}
    return True


def branches(count: int) -> bytes:
    """4×4×2 into so many branches of 32 channels, all of them made before the first is narrowed to 2 and joined."""
    b = ModelBuilder()
    start = b.input((1, 4, 4, 2), scale=SCALE)
    wide = [pointwise(b, start, 32) for _ in range(count)]
    narrow = [pointwise(b, at, 2) for at in wide]
    joined = b.tensor((1, 4, 4, 2 * count), scale=SCALE)
    b.node("CONCATENATION", narrow, [joined], axis=-1)
    b.output(joined)
    return b.finish()


def test_wide_branches_live_one_at_a_time() -> None:
    graph = read_model(branches(4))
    better = with_fewest_live_bytes(graph)
    assert peak(graph) == 4 * 16 * 32
    assert peak(better) == 16 * 32 + 3 * 16 * 2
    program = compile_model(read(branches(4)), load_board("nano33")).program
    assert [node.index for node in program.graph.nodes] == [node.index for node in better.nodes]
    assert program.plan.arena_bytes < peak(graph) // 2


def test_a_chain_keeps_its_order() -> None:
    graph, _ = chain(2, 8, 4, 16, 2)
    assert with_fewest_live_bytes(graph) is graph


def test_random_graphs_stay_executable_and_never_get_a_higher_peak() -> None:
    changed = 0
    for seed in SEEDS:
        graph, _ = random_graph(seed, largest_side=8)
        better = with_fewest_live_bytes(graph)
        assert sorted(map(id, better.nodes)) == sorted(map(id, graph.nodes))
        assert is_executable(better)
        assert (peak(better) < peak(graph)) == (better is not graph)
        kinds = [(is_input_edge(better, n), is_output_edge(better, n)) for n in better.nodes]
        assert kinds == sorted(kinds, key=lambda kind: (not kind[0], kind[1]))
        changed += better is not graph
    assert changed > 50


def test_small_graphs_get_the_best_order_there_is() -> None:
    looked_at = 0
    for seed in SEEDS:
        graph, _ = random_graph(seed, largest_side=8)
        if len(graph.nodes) > 6 or any(is_input_edge(graph, n) or is_output_edge(graph, n) for n in graph.nodes):
            continue
        orders = (replace(graph, nodes=order) for order in itertools.permutations(graph.nodes))
        lowest = min(peak(order) for order in orders if is_executable(order))
        assert peak(with_fewest_live_bytes(graph)) == lowest, seed
        looked_at += 1
    assert looked_at > 30


@pytest.mark.skipif(COMPILER is None, reason="there is no native C compiler: apt install gcc")
def test_irregular_graphs_need_less_arena_none_needs_more_and_every_value_is_right(tmp_path: Path) -> None:
    before, after, models = [], [], []
    for seed in SEEDS[:60]:
        graph, _ = random_graph(seed, largest_side=8)
        if with_fewest_live_bytes(graph) is graph:
            continue
        rows = applicable(graph, frozenset(), Reference.LITERT)
        before.append(arrange(graph, rows, Optimize.RAM, flash_budget(graph))[1].arena_bytes)
        ordered = arrange_in_best_order(graph, rows, Optimize.RAM, flash_budget(graph))
        after.append(ordered[2].arena_bytes)
        if ordered[0] is not graph:
            models.append(Hosted(*ordered))
    gains = np.array(before) - np.array(after)
    assert (gains >= 0).all()
    assert (gains > 0).sum() > len(gains) // 3
    assert len(models) > 4
    assert wrong_values(models, tmp_path) == [0] * len(models)
