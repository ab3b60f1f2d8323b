"""Models of hundreds of layers: their run function comes in parts, so that compilers end, and computes the same."""

from __future__ import annotations

import re

import pytest

from tests.support.models import ModelBuilder
from tinygen import compile_model, load_board, read_model, validate

MOST_IN_ONE_FUNCTION = 256


def relus(count: int, *, floats: bool) -> bytes:
    """RELUs one after the other, each with another scale; with `floats` between a QUANTIZE and a DEQUANTIZE."""
    b = ModelBuilder()
    shape = (1, 2, 2, 4)
    if floats:
        given = b.input(shape, dtype="FLOAT32", name="given")
        x = b.tensor(shape, scale=0.1, zero_point=0, name="image")
        b.node("QUANTIZE", [given], [x])
    else:
        x = b.input(shape, scale=0.1, zero_point=0, name="image")
    for index in range(count):
        y = b.tensor(shape, scale=0.1 if index % 2 else 0.11, zero_point=0, name=f"between_{index}")
        b.node("RELU", [x], [y])
        x = y
    if floats:
        y = b.tensor(shape, dtype="FLOAT32", name="scores")
        b.node("DEQUANTIZE", [x], [y])
        x = y
    b.output(x)
    return b.finish()


@pytest.mark.parametrize("floats", [False, True], ids=["integers", "floats"])
@pytest.mark.parametrize("count", [MOST_IN_ONE_FUNCTION, MOST_IN_ONE_FUNCTION + 1, 3 * MOST_IN_ONE_FUNCTION])
def test_every_layer_runs_once_and_in_order(count: int, floats: bool) -> None:
    compiled = compile_model(read_model(relus(count, floats=floats), name="many"), load_board("mps2-an386"))
    source = compiled.sources.files["many.c"]
    bodies = dict(
        re.findall(r"^(?:static )?void ((?:steps|many_run)\w*)\(void \*arena\)\n{\n(.*?)^}", source, re.M | re.S)
    )
    assert (len(bodies) > 1 + floats) == (count > MOST_IN_ONE_FUNCTION)

    def layers(function: str) -> list[int]:
        found: list[int] = []
        for name, number in re.findall(
            r"^    (layer_(\d+)|steps_\w+|many_run_quantized)\(arena", bodies[function], re.M
        ):
            found += [int(number)] if number else layers(name)
        return found

    assert layers("many_run") == list(range(count + 2 * floats))
    assert max(len(re.findall(r"layer_", body)) for body in bodies.values()) <= MOST_IN_ONE_FUNCTION


def test_a_run_in_parts_equals_the_reference() -> None:
    compiled = compile_model(read_model(relus(300, floats=False), name="many"), load_board("mps2-an386"))
    comparison = validate(compiled, emulator="unicorn", inputs=2)
    assert comparison.equal and comparison.totals.tensors_compared == 300
