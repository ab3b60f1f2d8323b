"""A bad model ends in one paragraph and exit code 1: quickly, in little memory, and with nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.models import ModelBuilder
from tests.support.samples import two_convolutions
from tinygen.cli import main

SECONDS = 3.0
"""Of processor time, the start of Python included: ten times what it takes, so that only a hang fails."""

MEBIBYTES = 500

CHILD = """
import json, resource, sys, time
from tinygen.cli import main
code = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps([code, time.process_time(), peak]))
"""


def edited(edit: Callable[[ModelBuilder], object]) -> bytes:
    """A sound model with one fault."""
    builder = two_convolutions()
    edit(builder)
    return builder.finish()


def flipped(data: bytes) -> bytes:
    """The highest bit of the root's offset."""
    return data[:3] + bytes([data[3] ^ 0x80]) + data[4:]


SOUND = two_convolutions().finish()
MODELS: dict[str, tuple[bytes, str]] = {
    "truncated": (SOUND[: len(SOUND) // 2], "truncated or damaged"),
    "bit flipped": (flipped(SOUND), "truncated or damaged"),
    "wrong magic": (SOUND[:4] + b"TFL9" + SOUND[8:], "not a .tflite file"),
    "cyclic": (edited(lambda b: b.operators[0].fields.update(inputs=[5, 1, 2])), "acyclic"),
    "huge shape": (edited(lambda b: b.tensors[0].fields.update(shape=[2**31 - 1] * 4)), "tinygen reads up to"),
    "negative size": (edited(lambda b: b.tensors[0].fields.update(shape=[1, -6, 6, 3])), "every dimension"),
    "index out of range": (edited(lambda b: b.operators[0].fields.update(inputs=[0, 99, 2])), "tensor 99"),
    "zero length": (b"", "has 0 bytes"),
    "name not UTF-8": (edited(lambda b: b.tensors[3].fields.update(name=b"\xff\xfe")), "not UTF-8"),
    "name ends a comment": (edited(lambda b: b.tensors[3].fields.update(name="*/ evil")), "would end a comment"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model_is_one_paragraph_and_exit_1(name: str, tmp_path: Path) -> None:
    data, sentence = MODELS[name]
    model = tmp_path / "bad.tflite"
    model.write_bytes(data)
    arguments = ["build", str(model), "--board", "nano33", "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    code, seconds, mebibytes = json.loads(done.stdout)
    assert code == 1
    assert done.stderr.startswith(f"error: {model}: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1, "one paragraph"
    assert seconds < SECONDS and mebibytes < MEBIBYTES
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tflite"]


def huge_relu() -> bytes:
    """A sound model of 448 bytes whose tensors would take 400 MB each."""
    builder = ModelBuilder("huge")
    x = builder.input((1, 20000, 20000), scale=0.1)
    y = builder.tensor((1, 20000, 20000), scale=0.1)
    builder.node("RELU", [x], [y])
    builder.output(y)
    return builder.finish()


@pytest.mark.parametrize("command", ["build", "inspect", "validate"])
def test_a_sound_model_that_is_far_too_large_is_refused_before_anything_of_its_size(
    command: str, tmp_path: Path
) -> None:
    model = tmp_path / "huge.tflite"
    model.write_bytes(huge_relu())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, command, str(model), "--board", "nucleo-h743zi"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    code, seconds, mebibytes = json.loads(done.stdout.splitlines()[-1])
    assert code == 1
    assert "does not fit the RAM of board nucleo-h743zi" in done.stderr
    assert seconds < SECONDS and mebibytes < MEBIBYTES
    assert [path.name for path in tmp_path.iterdir()] == ["huge.tflite"]


def test_square_brackets_are_text_and_no_markup(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    builder = two_convolutions()
    builder.tensors[0].fields["name"] = "[red]image[/red] :smile:"
    path = tmp_path / "names.tflite"
    path.write_bytes(builder.finish())
    assert main(["inspect", str(path), "--board", "nano33"]) == 0
    assert "[red]image[/red] :smile:" in capsys.readouterr().out
    assert main(["doctor"]) == 0
