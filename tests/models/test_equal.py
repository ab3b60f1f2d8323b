"""Every real model is equal to the Python reference, on every layer, on boards of four kinds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import Options, Reference, compile_model, load_board, read_model, validate
from tinygen.validate.inputs import random_inputs
from tinygen.validate.run import Comparison, reference_tensors

INPUTS = 16
BOARDS = ("nano33", "pico", "nucleo-h743zi", "esp32c3")


@lru_cache(maxsize=2)
def expected(path: Path, reference: Reference):  # type: ignore[no-untyped-def]
    """Inputs and the reference's tensors: the same for every board."""
    compiled = compile_model(read_model(path), load_board(BOARDS[0]), Options(reference))
    inputs = random_inputs(compiled.program.graph, INPUTS, seed=0)
    return inputs, reference_tensors(compiled, inputs)


def check(path: Path, board: str, reference: Reference) -> Comparison:
    inputs, tensors = expected(path, reference)
    compiled = compile_model(read_model(path), load_board(board), Options(reference))
    comparison = validate(compiled, inputs=inputs, expected=tensors)
    assert comparison.first_difference is None
    assert comparison.totals.values_compared > 0
    layers = compiled.program.graph.nodes
    assert comparison.totals.tensors_compared == sum(len(node.outputs) for node in layers)
    return comparison


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)
@pytest.mark.parametrize("name", SHARED_NAMES)
def test_published_models_are_equal(name: str, reference: Reference, board: str) -> None:
    check(shared_model(name), board, reference)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_equal(path: Path, reference: Reference, board: str) -> None:
    check(path, board, reference)
