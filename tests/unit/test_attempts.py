"""Budgets: kept by the option that was asked for, or by the first harder one; missed with the layers to blame."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tinygen
from tests.support.paths import EXAMPLES
from tinygen import Compiled, DoesNotFitError, Optimize, Options, ToolError, attempts, load_board
from tinygen.attempts import Choice, choose
from tinygen.boards import Board
from tinygen.budgets import Budget, Budgets, Resource, parse_bytes, parse_count
from tinygen.cli import main
from tinygen.config import FILE_NAME
from tinygen.tflite import ModelFile

KWS, GESTURE, _ = EXAMPLES
BALANCED_BYTES, LEAN_BYTES, GESTURE_BYTES = 12_384, 12_000, 3_200


def budget(most: int, resource: Resource = Resource.RAM) -> Budgets:
    said = Budget(most, resource.option)
    return Budgets(
        ram=said if resource is Resource.RAM else None,
        flash=said if resource is Resource.FLASH else None,
        stack=said if resource is Resource.STACK else None,
        instructions=said if resource is Resource.INSTRUCTIONS else None,
    )


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> list[Optimize]:
    """Arenas of made-up sizes, of which only `ram` has another one for kws. Returns the options that were compiled."""
    asked: list[Optimize] = []
    compile_model = tinygen.compile_model

    def compile_with(model: ModelFile, board: Board, options: Options) -> Compiled:
        asked.append(options.optimize)
        compiled = compile_model(model, board, options)
        size = LEAN_BYTES if options.optimize is Optimize.RAM else BALANCED_BYTES
        size = size if model.graph.name == "kws" else GESTURE_BYTES
        plan = replace(compiled.program.plan, arena_bytes=size)
        return replace(compiled, program=replace(compiled.program, plan=plan))

    monkeypatch.setattr(attempts, "compile_model", compile_with)
    return asked


def choice_of(budgets: Budgets, optimize: Optimize = Optimize.BALANCED) -> Choice:
    return choose([(tinygen.read_model(KWS), Options(optimize=optimize))], load_board("nano33"), budgets)


def test_the_option_that_was_asked_for_is_taken_where_it_fits(lean: list[Optimize]) -> None:
    choice = choice_of(budget(BALANCED_BYTES))
    assert (choice.taken.optimize, choice.why, choice.problem, len(choice.attempts)) == (
        Optimize.BALANCED, None, None, 1,
    )  # fmt: skip
    assert lean == [Optimize.BALANCED]


def test_the_first_harder_option_that_fits_is_taken_and_told(lean: list[Optimize]) -> None:
    choice = choice_of(budget(LEAN_BYTES))
    assert choice.taken.optimize is Optimize.RAM and choice.problem is None
    assert choice.compiled.program.plan.arena_bytes == LEAN_BYTES
    assert choice.why == "balanced → ram: the arena needs 12,384 bytes, --max-ram allows 12,000"
    assert lean == [Optimize.BALANCED, Optimize.RAM]


def test_speed_gives_way_step_by_step(lean: list[Optimize]) -> None:
    choice = choice_of(budget(LEAN_BYTES), Optimize.SPEED)
    assert lean == [Optimize.SPEED, Optimize.BALANCED, Optimize.RAM]
    assert [attempt.fits for attempt in choice.attempts] == [False, False, True]


def test_where_nothing_fits_the_error_names_the_layers_and_what_each_option_needs(lean: list[Optimize]) -> None:
    choice = choice_of(budget(LEAN_BYTES - 1))
    assert choice.taken.optimize is Optimize.BALANCED
    with pytest.raises(DoesNotFitError) as caught:
        choice.check()
    message = str(caught.value)
    assert "the arena needs 12,384 bytes, --max-ram allows 11,999" in message
    assert "The layers that set the peak: " in message
    assert "ram needs 12,000 bytes of arena; flash needs 12,384 bytes of arena" in message


def test_a_board_that_is_too_small_is_a_limit_like_any_other(lean: list[Optimize]) -> None:
    nano33 = load_board("nano33")
    ram = nano33.ram
    memories = tuple(
        type(ram)(name=m.name, kind=m.kind, origin=m.origin, size_bytes=LEAN_BYTES + nano33.stack_bytes)
        if m is ram
        else m
        for m in nano33.memories
    )
    small = replace(nano33, memories=memories)
    choice = choose([(tinygen.read_model(KWS), Options())], small)
    assert choice.taken.optimize is Optimize.RAM
    assert choice.why and "does not fit the RAM of board nano33: needs 20,576 bytes" in choice.why


def test_flash_is_weights_and_code_and_names_the_largest_constants(lean: list[Optimize]) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        choice_of(budget(28_000, Resource.FLASH)).check()
    message = str(caught.value)
    assert "bytes of flash, --max-flash allows 28,000" in message
    assert "The layers with the most constants:" in message and "CONV_2D" in message
    assert lean == [Optimize.BALANCED, Optimize.FLASH, Optimize.RAM]


def test_a_budget_of_stack_is_held_against_the_compilers_bound(lean: list[Optimize]) -> None:
    with pytest.raises(
        DoesNotFitError,
        match=r"needs [0-9,]+ bytes of stack, --max-stack allows 8\. The deepest calls: kws_run .* of the layers \d",
    ):
        choice_of(budget(8, Resource.STACK)).check()
    assert choice_of(budget(1024, Resource.STACK)).problem is None


def test_a_budget_that_cannot_be_checked_is_no_budget_kept(
    lean: list[Optimize], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "measure_code", lambda _: None)
    for resource in (Resource.FLASH, Resource.STACK):
        with pytest.raises(ToolError, match=f"{resource.option} cannot be checked"):
            choice_of(budget(500_000, resource))


def test_models_that_share_an_arena_are_held_against_the_largest(lean: list[Optimize]) -> None:
    models = [(tinygen.read_model(path), Options()) for path in EXAMPLES[:2]]
    board = load_board("nano33")
    assert choose(models, board, budget(BALANCED_BYTES), arena=max).why is None
    together = choose(models, board, budget(LEAN_BYTES + GESTURE_BYTES))
    assert together.taken.optimize is Optimize.RAM
    assert together.why and "2 models: the arenas need 15,584 bytes (kws 12,384, gesture 3,200)" in together.why
    with pytest.raises(DoesNotFitError, match="--shared-arena"):
        choose(models, board, budget(LEAN_BYTES + GESTURE_BYTES - 1)).check()


def test_one_model_shares_no_arena(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["build", str(KWS), "--board", "nano33", "-o", str(out), "--shared-arena"]) == 2
    assert "one model has nothing to share" in capsys.readouterr().err and not out.exists()


def test_build_says_which_option_it_took_and_why(
    lean: list[Optimize], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["build", str(KWS), "--board", "nano33", "-o", str(out), "--max-ram", str(LEAN_BYTES)]
    assert main(arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "optimize balanced → ram: the arena needs 12,384 bytes, --max-ram allows 12,000" in printed
    assert printed.endswith("--board nano33 --optimize ram")
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["optimize"], manifest["arena_bytes"]) == ("ram", LEAN_BYTES)
    tried = [(attempt["optimize"], attempt["fits"], attempt["arena_bytes"]) for attempt in manifest["tried"]]
    assert tried == [("balanced", False, BALANCED_BYTES), ("ram", True, LEAN_BYTES)]
    (missed,) = manifest["tried"][0]["missed"]
    assert (missed["resource"], missed["needs"], missed["has"]) == ("max_ram", BALANCED_BYTES, LEAN_BYTES)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A model that is soon emulated, in a folder of its own."""
    return Path(shutil.copy(GESTURE, tmp_path))


def test_a_missed_budget_of_instructions_fails_build_profile_and_validate(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE_NAME).write_text('board = "nano33"\n[budgets]\nmax_instructions = 1_000\n')
    out = tmp_path / "out"
    for command, extra in (("build", ["-o", str(out)]), ("profile", []), ("validate", ["--inputs", "0"])):
        assert main([command, str(small), *extra]) == 1
        printed = capsys.readouterr()
        assert "max_instructions in tinygen.toml allows 1,000" in printed.err
        assert "The layers with the most instructions: " in printed.err
        # what was measured is shown all the same
        assert ("instructions" in printed.out) is (command != "build")
    assert not out.exists()


def test_a_kept_budget_of_instructions_is_counted_and_told(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["build", str(small), "--board", "nano33", "-o", str(tmp_path / "out"), "--json"]
    assert main([*arguments, "--max-instructions", "9_000_000"]) == 0
    (tried,) = json.loads(capsys.readouterr().out)["tried"]
    assert tried["fits"] and 1_000 < tried["instructions"] < 9_000_000


def test_sizes_and_counts_are_read_as_people_write_them() -> None:
    assert [parse_bytes(text) for text in ("0", "65536", "64K", "2m", "1_000")] == [0, 65536, 65536, 2 << 20, 1000]
    assert parse_count("3_000_000") == 3_000_000
    for text in ("", "K", "-1", "1.5K", "٣", "_", "64 K"):
        with pytest.raises(ValueError, match="whole number"):
            parse_bytes(text)
