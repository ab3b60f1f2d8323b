"""One small model on every core with DSP, by GCC and by zig, in every mode; and the same C on cores without DSP."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest

from tests.support.paths import EXAMPLES
from tinygen import (
    Board,
    Compiled,
    Optimize,
    Options,
    Reference,
    compile_model,
    load_board,
    profile,
    read_model,
    validate,
)
from tinygen.emulate import find_emulator
from tinygen.errors import ToolError
from tinygen.targets import Family
from tinygen.toolchain import find_toolchain
from tinygen.validate.inputs import random_inputs
from tinygen.validate.run import reference_tensors

GESTURE = EXAMPLES[1]
INPUTS = 1  # and three corners
COMPILERS = (Family.ARM_GCC, Family.RISCV_GCC), (Family.ZIG,)
CORES = (
    ("nano33", "unicorn"),  # M4
    ("nucleo-h743zi", "unicorn"),  # M7
    ("nucleo-u575zi", "unicorn"),  # M33
    ("mps2-an505", "qemu"),  # M33
)
compilers = pytest.mark.parametrize("families", COMPILERS, ids=("gcc", "zig"))
references = pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)


@cache
def modes(reference: Reference) -> tuple[Compiled, ...]:
    """What the modes make of the model for Cortex-M4, each text once."""
    model, board = read_model(GESTURE), load_board("nano33")
    made = [compile_model(model, board, Options(reference, optimize=mode)) for mode in Optimize]
    return tuple({"".join(compiled.sources.files.values()): compiled for compiled in made}.values())


@cache
def expected(reference: Reference):  # type: ignore[no-untyped-def]
    """Inputs and the reference's tensors."""
    compiled = modes(reference)[0]
    inputs = random_inputs(compiled.program.graph, INPUTS, seed=0)
    return inputs, reference_tensors(compiled, inputs)


def built_by(name: str, families: tuple[Family, ...]) -> Board:
    """The board, whose firmware only these compilers may build; a skip where there is none."""
    board = load_board(name)
    own = tuple(family for family in board.target.families if family in families)
    board = dataclasses.replace(board, target=dataclasses.replace(board.target, families=own))
    try:
        find_toolchain(board.target)
    except ToolError as missing:
        pytest.skip(str(missing))
    return board


def assert_equal_on(board: Board, emulator: str, reference: Reference) -> None:
    try:
        find_emulator(board, emulator)
    except ToolError as missing:
        pytest.skip(str(missing))
    inputs, tensors = expected(reference)
    for compiled in modes(reference):
        there = dataclasses.replace(compiled, board=board)
        comparison = validate(there, emulator=emulator, inputs=inputs, expected=tensors)
        assert comparison.first_difference is None, compiled.options.optimize
        assert comparison.totals.values_compared > 0


@references
@compilers
@pytest.mark.parametrize(("board", "emulator"), CORES, ids=lambda name: name)
def test_every_mode_is_equal_on_every_core_with_dsp(
    board: str, emulator: str, families: tuple[Family, ...], reference: Reference
) -> None:
    assert_equal_on(built_by(board, families), emulator, reference)


@references
@compilers
@pytest.mark.parametrize("board", ["pico", "esp32c3"])
def test_what_was_made_for_dsp_is_equal_on_cores_without(
    board: str, families: tuple[Family, ...], reference: Reference
) -> None:
    assert any(names_dsp(compiled) for compiled in modes(reference))
    assert_equal_on(built_by(board, families), "unicorn", reference)


@pytest.mark.parametrize(("level", "families"), [("-Og", COMPILERS[0]), ("-Os", COMPILERS[1])], ids=("gcc", "zig"))
def test_kernels_for_dsp_are_equal_in_a_users_own_build(
    level: str, families: tuple[Family, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arduino builds with -Os, debuggers want -Og: there functions begin at any half-word."""
    monkeypatch.setattr("tinygen.toolchain.options.KERNELS", (level, "-fno-align-functions"))
    vision = compile_model(read_model(EXAMPLES[2]), built_by("nano33", families))
    assert any("dsp_loop" in instance.function for instance in vision.program.instances)
    try:
        comparison = validate(vision, emulator="unicorn", inputs=random_inputs(vision.program.graph, 1, seed=0))
    except ToolError as missing:
        pytest.skip(str(missing))
    assert comparison.equal


def names_dsp(compiled: Compiled) -> bool:
    """Whether the C holds a kernel for DSP."""
    return any("__dsp" in instance.function for instance in compiled.program.instances)


def test_zigs_code_is_about_as_fast_as_gccs() -> None:
    """A quarter slower once, when it called memcpy for every word."""
    compiled = modes(Reference.LITERT)[0]
    gcc, zig = (
        profile(dataclasses.replace(compiled, board=built_by("nano33", families))).instructions
        for families in COMPILERS
    )
    assert gcc and zig and zig < 1.1 * gcc
