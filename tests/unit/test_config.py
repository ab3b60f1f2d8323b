"""tinygen.toml: what it may say, what it says wrong, and that the command line wins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES
from tinygen.cli import main
from tinygen.config import FILE_NAME, LARGEST_FILE_BYTES, read_config
from tinygen.errors import UsageError

KWS, GESTURE, _ = map(Path, EXAMPLES)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model in a folder of its own."""
    path = tmp_path / "model" / "gesture.tflite"
    path.parent.mkdir()
    shutil.copy(GESTURE, path)
    return path


def configure(model: Path, text: str) -> None:
    (model.parent / FILE_NAME).write_text(text, encoding="utf-8")


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> dict[str, object]:
    """What inspect --json says."""
    assert main(["inspect", *map(str, arguments), "--json"]) == code
    printed: dict[str, object] = json.loads(capsys.readouterr().out)
    return printed


def test_every_key_is_read_and_told_with_its_source(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(
        model,
        'board = "pico"\noptimize = "flash"\nreference = "tflm"\nname = "hand"\nexport = "cmake"\n'
        'input = "whole"\n'
        '[budgets]\nmax_ram = "8K"\nmax_flash = 100_000\nmax_stack = 1024\n',
    )
    out = model.parent / "out"
    assert main(["build", str(model), "-o", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "manifest.json").read_text())
    assert [printed[key] for key in ("board", "optimize", "reference", "name", "export", "input")] == [
        "pico", "flash", "tflm", "hand", "cmake", "whole",
    ]  # fmt: skip
    assert printed["budgets"] == {"max_ram": 8192, "max_flash": 100_000, "max_stack": 1024, "max_instructions": None}
    keys = ("board", "optimize", "reference", "name", "export", "input", "max_ram", "max_flash", "max_stack")
    assert printed["settings"] == dict.fromkeys(keys, FILE_NAME)


def test_the_command_line_wins_and_the_rest_is_default(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(model, 'board = "pico"\noptimize = "flash"\n[budgets]\nmax_ram = 1\n')
    printed = inspected(capsys, model, "--board", "nano33", "--max-ram", "8K")
    assert (printed["board"], printed["optimize"], printed["reference"]) == ("nano33", "flash", "litert")
    assert printed["settings"] == {
        "board": "command line", "optimize": FILE_NAME, "reference": "default", "input": "default",
        "max_ram": "command line",
    }  # fmt: skip


def test_no_config_leaves_the_file_unread_and_config_names_another(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(model, "this is no TOML")
    other = tmp_path / "ci.toml"
    other.write_text('board = "pico"')
    assert inspected(capsys, model, "--board", "nano33", "--no-config")["board"] == "nano33"
    printed = inspected(capsys, model, "--config", other)
    assert (printed["board"], printed["settings"]["board"]) == ("pico", "ci.toml")  # type: ignore[index]
    assert main(["inspect", str(model)]) == 2
    assert "not TOML" in capsys.readouterr().err
    assert main(["inspect", str(model), "--config", str(tmp_path / "absent.toml")]) == 2
    assert "--no-config does without one" in capsys.readouterr().err


def test_a_board_file_is_looked_for_beside_the_file_that_names_it(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(model, 'board = "./mine.toml"')
    (model.parent / "mine.toml").write_text(
        'title = "mine"\nchip = "none"\ntarget = "cortex-m4f"\nclock_hz = 1000000\n'
        '[[memories]]\nname = "FLASH"\nkind = "flash"\norigin = 0\nsize_bytes = 1048576\n'
        '[[memories]]\nname = "RAM"\nkind = "ram"\norigin = 0x20000000\nsize_bytes = 65536\n'
    )
    assert inspected(capsys, model)["board"] == "mine"


def test_without_any_board_the_message_says_both_ways(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("build", "validate", "profile"):
        assert main([command, str(model)]) == 2
        error = capsys.readouterr().err
        assert "--board NAME" in error and FILE_NAME in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bord = 'pico'", "the key bord is unknown. Did you mean 'board'?"),
        ("[budget]\nmax_ram = 1", "the key budget is unknown. Did you mean 'budgets'?"),
        ("[budgets]\nmax_arm = 1", "the key budgets.max_arm is unknown. Did you mean 'max_ram'?"),
        ("max_ram = 1", "put it under [budgets]"),
        ("[budgets]\nboard = 'pico'", "Put it before [budgets]"),
        (
            "wholly = 1",
            "Known keys here: board, optimize, reference, name, export, input,",
        ),
        ("board = 3", "board is 3; text in quotes is expected"),
        ("name = ''", "name is ''; text in quotes is expected"),
        ("optimize = 'fast'", "optimize is 'fast'; one of balanced, speed, ram, flash is expected"),
        ("optimize = 'Balance'", "did you mean 'balanced'?"),
        ("reference = true", "reference is True; one of litert, tflm is expected"),
        ("export = 'platform-io'", "did you mean 'platformio'?"),
        ("budgets = 5", "budgets is 5; a table is expected"),
        ("[budgets]\nmax_ram = '8 kB'", "budgets.max_ram is '8 kB'; a number of bytes is expected"),
        ("[budgets]\nmax_flash = -1", "budgets.max_flash is -1; a number of bytes"),
        ("[budgets]\nmax_stack = true", "budgets.max_stack is True"),
        ("[budgets]\nmax_stack = 1.5", "budgets.max_stack is 1.5"),
        ("[budgets]\nmax_instructions = '3M'", "budgets.max_instructions is '3M'; a whole number"),
        ("[budgets]\nmax_instructions = nan", "budgets.max_instructions is nan"),
        ("board = 1\noptimize = 2", "board is 1; text in quotes is expected. optimize is 2;"),
        ("= 3", "the file is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_found(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * (LARGEST_FILE_BYTES + 1), b"a = " + b"[" * 100_000])
def test_a_file_that_is_no_file_of_settings_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_config(path)


def test_models_that_do_not_share_a_file_are_asked_which_counts(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(model, 'board = "pico"')
    arguments = ["build", str(model), str(KWS), "-o", str(tmp_path / "out")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "--config" in error and "--no-config" in error and f"{KWS}: none" in error
    assert main([*arguments, "--config", str(model.parent / FILE_NAME)]) == 0


def test_a_name_for_one_model_does_not_name_two(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(model, 'board = "pico"\nname = "hand"')
    shutil.copy(KWS, model.parent / "kws.tflite")
    both = [str(model), str(model.parent / "kws.tflite")]
    assert main(["build", *both]) == 2
    assert "names one model, hand, and there are 2" in capsys.readouterr().err
    out = str(model.parent / "out")
    assert main(["build", *both, "--name", "a", "--name", "b", "-o", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["name"] == "command line"
