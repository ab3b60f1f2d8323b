"""Tables for people: whole numbers at every width of a terminal, and one meaning for each number."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from tests.golden.models import MODELS
from tinygen import Compiled, compile_model, load_board, read_model
from tinygen.ledger import CodeSize
from tinygen.report.profile import COLUMNS, profile_summary
from tinygen.report.tables import layer_table
from tinygen.validate.profile import LayerCost, Profile

INSTRUCTIONS, CYCLES = 12_345_678, 123_456_789


@pytest.fixture(scope="module")
def model() -> Compiled:
    """Has a depthwise convolution, whose name is the longest."""
    return compile_model(read_model(MODELS["classifier"]()), load_board("nano33"))


def printed(what: RenderableType, width: int) -> list[str]:
    """The lines that are not blank."""
    text = io.StringIO()
    Console(width=width, file=text).print(what)
    return [line for line in text.getvalue().splitlines() if line.strip()]


def profile_of(compiled: Compiled) -> Profile:
    """As if every layer took equally many instructions."""
    costs = tuple(LayerCost(layer.index, INSTRUCTIONS, CYCLES) for layer in compiled.program.layers)
    total = len(costs) * INSTRUCTIONS
    return Profile(compiled, "unicorn", "gcc", CodeSize(5000, 50_000, 400), total, total, 400, costs, ())


def test_a_profile_folds_names_rather_than_numbers_where_nothing_is_left_to_leave_out(model: Compiled) -> None:
    lines = printed(profile_summary(profile_of(model)), 60)
    assert sum(f"{INSTRUCTIONS:,}" in line for line in lines) == len(model.program.layers)


@pytest.mark.parametrize("width", [80, 100, 120, 140, 200])
def test_a_profile_has_one_line_a_layer_with_whole_numbers_at_every_width(model: Compiled, width: int) -> None:
    lines = printed(profile_summary(profile_of(model)), width)
    layers = lines[2 : 2 + len(model.program.layers)]
    assert [line.split()[0] for line in layers] == [str(layer.index) for layer in model.program.layers]
    assert all(f"{INSTRUCTIONS:,}" in line and line.rstrip().endswith(("%", f"{CYCLES:,}")) for line in layers)
    assert all(len(line.rstrip()) <= width for line in lines[: 2 + len(layers)])


def test_a_wide_terminal_shows_all_columns_of_a_profile_and_80_columns_the_variant(model: Compiled) -> None:
    wide, narrow = (printed(profile_summary(profile_of(model)), width) for width in (160, 80))
    assert all(column in wide[0] for column in COLUMNS)
    assert "shapes" not in narrow[0] and "kernel" in narrow[0]
    assert any("conv2d_s8__dsp" in line for line in wide)
    assert not any("_s8__dsp" in line for line in narrow)


def test_the_plan_of_layers_has_a_line_a_layer_in_80_columns(model: Compiled) -> None:
    lines = printed(layer_table(model.program), 80)
    rows = [line.split()[0] for line in lines[2:]]
    assert rows == [str(layer.index) for layer in model.program.layers]
