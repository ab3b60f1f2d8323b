"""Firmware whose input is pushed row by row: equal on every layer, and a caller's mistakes of order are harmless."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.golden.models import classifier
from tinygen import load_board
from tinygen.compile import Compiled, InputForm, Options, compile_model
from tinygen.emulate import run_selftest
from tinygen.errors import EmulatorError
from tinygen.tflite import ModelFile, read
from tinygen.toolchain import build_selftest
from tinygen.validate.run import validate
from tinygen.validate.vectors import make_vectors, selftest_sources

ROWS = Options(input_form=InputForm.ROWS)


@pytest.fixture(scope="module")
def model() -> ModelFile:
    return read(classifier(), name="classifier")


def compiled_for(model: ModelFile, board: str) -> Compiled:
    return compile_model(model, load_board(board), ROWS)


@pytest.mark.parametrize(
    ("board", "emulator"), [("nano33", "unicorn"), ("mps2-an500", "qemu"), ("nano33", "host")], ids=str
)
def test_every_layer_of_pushed_rows_equals_the_reference_and_mistakes_are_refused(
    model: ModelFile, board: str, emulator: str
) -> None:
    comparison = validate(compiled_for(model, board), emulator=emulator, inputs=1)
    assert comparison.equal
    assert comparison.totals.tensors_compared == 1 + len(model.graph.nodes)  # the rows themselves are shown too
    assert (comparison.instructions_max is None) == (emulator == "host")


@pytest.mark.parametrize(
    ("check", "without"),
    [
        ("at->mark != BEGUN || at->made[0] == 6", "at->mark != BEGUN"),  # too many rows
        ("at->mark != BEGUN || at->made[0] == 6", "at->made[0] == 6"),  # rows before the beginning
        ("at->mark != BEGUN || at->made[0] != 6", "at->mark != BEGUN"),  # the end too early
        ("at->mark = ~BEGUN;", ""),  # two ends
    ],
)
def test_a_mistake_that_is_taken_is_caught(model: ModelFile, check: str, without: str) -> None:
    compiled = compiled_for(model, "nano33")
    files = compiled.sources.files
    assert check in files["classifier.c"]
    broken = {**files, "classifier.c": files["classifier.c"].replace(check, without)}
    sources = dataclasses.replace(compiled.sources, files=broken)
    with pytest.raises(EmulatorError, match="exit code 6"):
        validate(dataclasses.replace(compiled, sources=sources), emulator="unicorn", inputs=0)


def test_the_selftest_pushes_its_vectors_and_counts_the_inference(model: ModelFile, tmp_path: Path) -> None:
    compiled = compiled_for(model, "nano33")
    sources = {**compiled.sources.files, **selftest_sources(compiled, make_vectors(compiled, 2))}
    result = run_selftest(build_selftest(sources, "classifier", compiled.board, tmp_path), "unicorn", timeout_s=60)
    assert result.lines[-1] == "TINYGEN PASS classifier inputs=2 layers=7"
    assert result.instructions
