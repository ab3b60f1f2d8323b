"""A model of MobileNetV2's size goes through the whole pipeline."""

from __future__ import annotations

from tests.support.mobilenet import mobilenet_v2
from tinygen import compile_model, load_board, read_model
from tinygen.plan.check import check


def test_mobilenet_v2_streams_through_a_sixth_of_what_whole_layers_take() -> None:
    compiled = compile_model(read_model(mobilenet_v2(), name="mobilenet_v2"), load_board("mps2-an386"))
    program = compiled.program
    assert program.plan.lower_bound_bytes <= program.plan.arena_bytes <= 193_120
    assert program.weights_bytes > 3_400_000
    check(program.graph, program.schedule, program.plan)
