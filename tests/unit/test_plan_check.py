"""The check refuses every plan that would corrupt a value, and the memory picture shows a plan as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tests.support.graphs import SCALE, pointwise, random_graph
from tests.support.models import ModelBuilder
from tests.support.replay import spoils
from tinygen.ir import Graph
from tinygen.kernels import Schedule, select
from tinygen.plan import Buffer, Plan, Step, View, plan
from tinygen.plan.bound import live_by_step
from tinygen.plan.check import PlanError, check
from tinygen.plan.picture import HEIGHT, LETTERS, WIDTH, memory_picture
from tinygen.plan.values import Life
from tinygen.tflite import read_model

ROW, ROWS = 16, 4  # every tensor is 1×4×4×4 bytes
SIZE = ROW * ROWS
X, A, B, V, R, Y = range(6)
SCRATCH_BYTES = 8


def diamond() -> tuple[Graph, Schedule, Plan]:
    """x → conv → a → conv (with scratch) → b → reshape → v → relu → r; a + r → y. A plan without any sharing."""
    builder = ModelBuilder()
    x = builder.input((1, 4, 4, 4), scale=SCALE)
    a = pointwise(builder, x, 4)
    b = pointwise(builder, a, 4)
    v, r, y = (builder.tensor((1, 4, 4, 4), scale=SCALE) for _ in range(3))
    builder.node("RESHAPE", [b], [v], new_shape=[1, 4, 4, 4])
    builder.node("RELU", [v], [r])
    builder.node("ADD", [a, r], [y])
    builder.output(y)
    graph = read_model(builder.finish())
    kernels = dict(select(graph, frozenset()).kernels)
    assert kernels[1] is not None and kernels[2] is None
    kernels[1] = dataclasses.replace(kernels[1], scratch_bytes=lambda node: SCRATCH_BYTES)
    order = (x, a, b, v, r, y)
    places = (0, 1, 2, 2, 3, 4)
    planned = Plan(
        views={tensor: View(place * SIZE, ROW, ROWS, ROW) for tensor, place in zip(order, places, strict=True)},
        scratch_offsets={1: 5 * SIZE},
        steps=tuple(Step(layer, 0, ROWS) for layer in range(5)),
        buffers=(),
        offsets=(),
        times=(),
        live=(),
        arena_bytes=5 * SIZE + SCRATCH_BYTES,
        lower_bound_bytes=0,
    )
    return graph, Schedule(kernels), planned


def moved(planned: Plan, name: int, offset_bytes: int) -> Plan:
    """The plan with one tensor elsewhere; `name` counts x, a, b, v, r, y."""
    tensor = list(planned.views)[name]
    view = dataclasses.replace(planned.views[tensor], offset_bytes=offset_bytes)
    return dataclasses.replace(planned, views={**planned.views, tensor: view})


def stepped(planned: Plan, *layers: int) -> Plan:
    return dataclasses.replace(planned, steps=tuple(planned.steps[layer] for layer in layers))


def scratched(planned: Plan, offset_bytes: int) -> Plan:
    return dataclasses.replace(planned, scratch_offsets={1: offset_bytes})


def cut(planned: Plan, layer: int, begin: int, end: int) -> Plan:
    steps = [dataclasses.replace(s, row_begin=begin, row_end=end) if s.layer == layer else s for s in planned.steps]
    return dataclasses.replace(planned, steps=tuple(steps))


SOUND: Mapping[str, Callable[[Plan], Plan]] = {
    "as it is": lambda p: p,
    "relu in place": lambda p: moved(p, R, 2 * SIZE),
    "sum in place of a": lambda p: moved(p, Y, 1 * SIZE),
    "sum in place of r": lambda p: moved(p, Y, 3 * SIZE),
    "sum where x was": lambda p: moved(p, Y, 0),
    "scratch where x was": lambda p: scratched(p, 0),
    "scratch where r will be": lambda p: scratched(p, 3 * SIZE),
}
BROKEN: Mapping[str, Callable[[Plan], Plan]] = {
    "b over a, which the sum still needs": lambda p: moved(moved(p, B, SIZE), V, SIZE),
    "a touches the last byte of x": lambda p: moved(p, A, SIZE - 1),
    "a touches the first byte of b": lambda p: moved(p, A, SIZE + 1),
    "r over a": lambda p: moved(p, R, SIZE),
    "relu in place, but a byte late": lambda p: moved(p, R, 2 * SIZE + 1),
    "relu in place, but a byte early": lambda p: moved(p, R, 2 * SIZE - 1),
    "sum across a and b": lambda p: moved(p, Y, SIZE + 4),
    "the view is elsewhere than its source": lambda p: moved(p, V, 4 * SIZE),
    "the source of the view is elsewhere": lambda p: moved(p, B, 4 * SIZE),
    "the input before the arena": lambda p: moved(p, X, -1),
    "the output behind the arena": lambda p: moved(p, Y, 4 * SIZE + SCRATCH_BYTES + 1),
    "the arena ends within y": lambda p: dataclasses.replace(scratched(p, 0), arena_bytes=5 * SIZE - 1),
    "the arena ends within scratch": lambda p: dataclasses.replace(p, arena_bytes=p.arena_bytes - 1),
    "scratch before the arena": lambda p: scratched(p, -SCRATCH_BYTES),
    "scratch behind the arena": lambda p: scratched(p, p.arena_bytes),
    "scratch over the step's input": lambda p: scratched(p, 2 * SIZE - SCRATCH_BYTES),
    "scratch over the step's output": lambda p: scratched(p, 2 * SIZE),
    "two steps swapped": lambda p: stepped(p, 1, 0, 2, 3, 4),
    "the view before its source": lambda p: stepped(p, 0, 2, 1, 3, 4),
    "the first step missing": lambda p: stepped(p, 1, 2, 3, 4),
    "a middle step missing": lambda p: stepped(p, 0, 1, 2, 4),
    "the last step missing": lambda p: stepped(p, 0, 1, 2, 3),
    "no steps": lambda p: stepped(p),
    "the first row of a layer missing": lambda p: cut(p, 0, 1, ROWS),
    "the last row of a layer missing": lambda p: cut(p, 4, 0, ROWS - 1),
}


@pytest.mark.parametrize("edit", SOUND.values(), ids=SOUND.keys())
def test_a_sound_plan_passes(edit: Callable[[Plan], Plan]) -> None:
    graph, schedule, planned = diamond()
    check(graph, schedule, edit(planned))


@pytest.mark.parametrize("edit", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plan_is_refused(edit: Callable[[Plan], Plan]) -> None:
    graph, schedule, planned = diamond()
    with pytest.raises(PlanError):
        check(graph, schedule, edit(planned))


@pytest.mark.parametrize("features", [frozenset(), frozenset({"dsp"})], ids=["c", "dsp"])
@pytest.mark.parametrize("seed", range(25))
def test_wherever_things_are_moved_the_check_refuses_what_spoils_a_byte_and_nothing_else(
    seed: int, features: frozenset[str]
) -> None:
    graph, schedule = random_graph(seed, features)
    planned = plan(graph, schedule)
    rng = np.random.default_rng(seed)
    for tensor, view in planned.views.items():
        offset_bytes = int(rng.integers(0, planned.arena_bytes - view.size_bytes, endpoint=True))
        if rng.random() < 0.5:
            offset_bytes = view.offset_bytes + int(rng.integers(-8, 8, endpoint=True))
        changed = {**planned.views, tensor: dataclasses.replace(view, offset_bytes=offset_bytes)}
        refused_if_spoilt(graph, schedule, dataclasses.replace(planned, views=changed))
    for layer, offset in planned.scratch_offsets.items():
        scratch = {**planned.scratch_offsets, layer: offset + int(rng.integers(-40, 40))}
        refused_if_spoilt(graph, schedule, dataclasses.replace(planned, scratch_offsets=scratch))


def refused_if_spoilt(graph: Graph, schedule: Schedule, planned: Plan) -> None:
    if spoils(graph, schedule, planned):
        with pytest.raises(PlanError):
            check(graph, schedule, planned)
    else:
        check(graph, schedule, planned)


# --- the picture --------------------------------------------------------------------------------------------------


def hand_made(buffers: tuple[Buffer, ...], offsets: tuple[int, ...], layers: int) -> Plan:
    """Steps of ten units of time each."""
    arena_bytes = max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0)
    steps = tuple(Step(layer, 0, 1) for layer in range(layers))
    times = tuple(10 * step for step in range(layers + 1))
    live = live_by_step([b.life for b in buffers], times)
    return Plan({}, {}, steps, buffers, offsets, times, live, arena_bytes, max(live, default=0))


def test_the_picture_is_drawn_as_the_plan_is() -> None:
    dying = Life(np.array([4, 8]), np.array([-1, -1]), np.array([4, 20]))
    buffers = (
        Buffer(dying, (4,)),
        Buffer(Life.constant(4, 5, 30), (5, 7)),
        Buffer(Life.constant(4, 10, 19), (), (1,)),
    )
    drawn = memory_picture(hand_made(buffers, (0, 8, 0), 2), {4: "image", 5: "scores"})
    rows = ["aa.##."] * 4 + ["aaaaaa"] * 4 + ["..bbbb"] * 4
    assert drawn.splitlines() == [
        *(f"{byte:>2} │{cells}│" for byte, cells in enumerate(rows)),
        "       ^^",
        "   peak: step 1, 12 bytes live; arena 12, lower bound 12",
        "  a   0 ..  8  steps  -1 to   2  image",
        "  b   8 .. 12  steps   0 to   2  scores, 7",
        "  #   0 ..  4  steps   1 to   1  scratch of layer 1",
    ]


def test_an_empty_arena_is_said_to_be_empty() -> None:
    assert memory_picture(hand_made((), (), 1), {}) == "The arena is empty."


@pytest.mark.parametrize("seed", range(20))
def test_the_picture_shows_every_buffer_and_tensor_of_a_plan(seed: int) -> None:
    graph, schedule = random_graph(seed)
    planned = plan(graph, schedule)
    names = {tensor.index: f"<{tensor.index}>" for tensor in graph.tensors()}
    lines = memory_picture(planned, names).splitlines()
    grid = [line.partition("│")[2].rstrip("│") for line in lines if "│" in line]
    legend = lines[len(grid) + 2 :]
    assert 0 < len(grid) <= HEIGHT
    assert len({len(row) for row in grid}) == 1
    assert len(legend) == len(planned.buffers)
    for number, (buffer, offset, line) in enumerate(zip(planned.buffers, planned.offsets, legend, strict=True)):
        letter = "#" if buffer.scratch_of else LETTERS[number]
        assert line.startswith(f"  {letter}  ")
        assert f"{offset:,} .. " in line and f"{offset + buffer.size_bytes:,}  steps" in line
        assert all(names[tensor] in line for tensor in buffer.tensors)
        if buffer.size_bytes * HEIGHT >= 2 * (planned.arena_bytes + HEIGHT) and not buffer.scratch_of:  # two slices
            assert any(letter in row for row in grid)


def test_more_buffers_than_letters_are_all_in_the_legend() -> None:
    buffers = tuple(Buffer(Life.constant(4, 10 * i, 10 * i + 12), (i,)) for i in range(len(LETTERS) + 3))
    drawn = memory_picture(hand_made(buffers, tuple(4 * (i % 2) for i in range(len(buffers))), len(buffers)), {})
    assert [line.split()[-1] for line in drawn.splitlines()[-len(buffers) :]] == [str(i) for i in range(len(buffers))]


def test_a_plan_of_many_steps_is_drawn_no_wider_than_a_page() -> None:
    buffers = (Buffer(Life.constant(4, 0, 4000), (0,)),)
    drawn = memory_picture(hand_made(buffers, (0,), 400), {})
    assert max(map(len, drawn.splitlines()[:4])) <= WIDTH + 10
