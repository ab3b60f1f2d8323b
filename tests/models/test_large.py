"""A model of MobileNetV2's size goes through the whole pipeline."""

from __future__ import annotations

from tests.support.mobilenet import mobilenet_v2
from tinygen import compile_model, load_board, read_model
from tinygen.plan.check import check


def test_mobilenet_v2_is_planned_into_what_lives_at_one_time() -> None:
    compiled = compile_model(read_model(mobilenet_v2(), name="mobilenet_v2"), load_board("mps2-an386"))
    program = compiled.program
    assert program.plan.arena_bytes == program.plan.lower_bound_bytes
    assert program.plan.arena_bytes <= 1_204_352
    assert program.weights_bytes > 3_400_000
    check(program.graph, program.schedule, program.plan)
