"""Every real model is equal to the Python reference, on every layer, on boards of four kinds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import Compiled, Options, Reference, compile_model, load_board, read_model, validate
from tinygen.validate.inputs import random_inputs
from tinygen.validate.run import Comparison, reference_tensors

BOARDS = {"nano33": 16, "pico": 5, "nucleo-h743zi": 5, "esp32c3": 5}
"""Boards, and inputs on each: those behind the first show that its C is right on another core."""


@lru_cache(maxsize=2)
def compiled_for(path: Path, board: str, reference: Reference) -> Compiled:
    return compile_model(read_model(path), load_board(board), Options(reference))


@lru_cache(maxsize=2)
def expected(path: Path, reference: Reference):  # type: ignore[no-untyped-def]
    """Inputs and the reference's tensors: the same for every board."""
    compiled = compiled_for(path, "nano33", reference)
    inputs = random_inputs(compiled.program.graph, max(BOARDS.values()), seed=0)
    return inputs, reference_tensors(compiled, inputs)


def check(path: Path, board: str, reference: Reference) -> Comparison:
    inputs, tensors = expected(path, reference)
    compiled = compiled_for(path, board, reference)
    count = BOARDS[board]
    comparison = validate(compiled, inputs=inputs[:count], expected=tensors[:count])
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
