"""A validation saved to a file comes back as it was; a file that is something else is refused."""

from __future__ import annotations

import json
import pickle
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tinygen.cli import main
from tinygen.errors import UsageError
from tinygen.validate.saved import FORMAT, SavedRun, load_run, save_run

Arrays = dict[str, Any]


def a_run() -> SavedRun:
    """Two inferences of two inputs; one tensor is a scalar, one holds NaNs of two kinds."""
    floats = np.array([[0x7FC0_0000, 0xFFC0_1234, 0x8000_0000]], np.uint32).view(np.float32)
    inputs = tuple((np.full((1, 2), n, np.int8), floats + np.float32(n)) for n in range(2))
    expected = tuple({3: np.array(n, np.int8), 11: floats, 7: np.full((2, 2), n, np.uint8)} for n in range(2))
    return SavedRun(b"\x00TFL3\xff", {"name": "größe", "reference": "tflm"}, inputs, expected)


def test_a_run_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "run"  # numpy would add .npz to a bare name
    saved = a_run()
    save_run(path, saved)
    found = load_run(path)
    assert found.model == saved.model
    assert dict(found.settings) == dict(saved.settings)
    pairs = list(zip(found.inputs, saved.inputs, strict=True))
    assert [(a.tobytes(), a.dtype, a.shape) for ours, _ in pairs for a in ours] == [
        (a.tobytes(), a.dtype, a.shape) for _, theirs in pairs for a in theirs
    ]
    for ours, theirs in zip(found.expected, saved.expected, strict=True):
        assert ours.keys() == theirs.keys()
        for index in theirs:
            assert (ours[index].tobytes(), ours[index].dtype) == (theirs[index].tobytes(), theirs[index].dtype)
            assert ours[index].shape == theirs[index].shape


def test_saving_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the run cannot be saved there"):
        save_run(tmp_path / "absent" / "run.npz", a_run())


def settings(**values: object) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: array for key, array in arrays.items() if key != name}


EDITS: dict[str, Callable[[Arrays], Arrays]] = {
    "no settings": without("settings"),
    "no model": without("model"),
    "no inputs": lambda a: without("input_1")(without("input_0")(a)),
    "a gap in the inputs": without("input_0"),
    "another format": lambda a: {**a, "settings": settings(format=FORMAT + 1, name="m", reference="litert")},
    "no format": lambda a: {**a, "settings": settings(name="m", reference="litert")},
    "settings that are a list": lambda a: {**a, "settings": np.frombuffer(b"[1]", np.uint8)},
    "settings that are no JSON": lambda a: {**a, "settings": np.frombuffer(b"{", np.uint8)},
    "settings nested without end": lambda a: {**a, "settings": np.frombuffer(b"[" * 100_000, np.uint8)},
    "settings without a name": lambda a: {**a, "settings": settings(format=FORMAT, reference="litert")},
    "settings without a reference": lambda a: {**a, "settings": settings(format=FORMAT, name="m")},
    "an unknown reference": lambda a: {**a, "settings": settings(format=FORMAT, name="m", reference="torch")},
    "a name that is a number": lambda a: {**a, "settings": settings(format=FORMAT, name=3, reference="litert")},
    "fewer tensors than inputs": lambda a: {**a, "tensor_3": a["tensor_3"][:1]},
    "a tensor that is no list": lambda a: {**a, "tensor_3": np.array(5)},
    "an input that is no list": lambda a: {**a, "input_0": np.array(5)},
    "a tensor without a number": lambda a: {**a, "tensor_x": a["tensor_3"]},
    "a stranger": lambda a: {**a, "image": a["tensor_3"]},
    "objects": lambda a: {**a, "tensor_3": np.array([None, None])},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_file_with_another_content_is_refused(edit: Callable[[Arrays], Arrays], tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    save_run(path, a_run())
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(path, **edit(arrays))
    assert_plain(path)


def assert_plain(path: Path) -> None:
    """Refused in a sentence for people who never heard of numpy's options, with what to do."""
    with pytest.raises(UsageError, match=r"this is not a saved tinygen run: [a-z]") as caught:
        load_run(path)
    message = str(caught.value)
    assert message.endswith(". Give a file that `tinygen validate --save-run` wrote.")
    assert not re.search(r"\.\.|pickle|object has no|index out of|\bint\(\)|context manager", message), message


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("settings", "model", "input_0"):
            archive.writestr(name, b"{}")


def damaged(path: Path) -> None:
    save_run(path, a_run())
    data = bytearray(path.read_bytes())
    data[70:100] = b"\xff" * 30
    path.write_bytes(data)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "one array": one_array,
    "another zip": other_zip,
    "pickled": lambda path: path.write_bytes(pickle.dumps({"settings": 1})),
    "cut": lambda path: (save_run(path, a_run()), path.write_bytes(path.read_bytes()[:-50])),
    "damaged": damaged,
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "run.npz")
    assert_plain(tmp_path / "run.npz")


def test_whatever_is_damaged_the_file_is_read_or_refused(tmp_path: Path) -> None:
    path, chance = tmp_path / "run.npz", random.Random(2)
    save_run(path, a_run())
    sound = path.read_bytes()
    outcomes = set()
    for _ in range(500):
        data = bytearray(sound)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            load_run(path)
            outcomes.add("read")
        except UsageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


# --- replayed by the command line ---------------------------------------------------------------------------------


def replayable(expected: Callable[[dict[int, Any]], dict[int, Any]], inputs: Any) -> SavedRun:
    """x → DEQUANTIZE → z, one inference of zeros; `expected` edits what the reference says."""
    b = ModelBuilder()
    x, z = b.input((1, 2), scale=0.5), b.tensor((1, 2), "float32")
    b.node("DEQUANTIZE", [x], [z])
    b.output(z)
    tensors = expected({z: np.zeros((1, 2), np.float32)})
    return SavedRun(b.finish(), {"name": "m", "reference": "litert"}, ((inputs,),), (tensors,))


ZEROS = np.zeros((1, 2), np.int8)


@pytest.mark.parametrize(
    ("expected", "inputs"),
    [
        (lambda t: {}, ZEROS),
        (lambda t: {99: t[1]}, ZEROS),
        (lambda t: {1: t[1][:, :1]}, ZEROS),
        (lambda t: {1: t[1].astype(np.int8)}, ZEROS),
        (lambda t: t, ZEROS[:, :1]),
        (lambda t: t, ZEROS.astype(np.float32)),
    ],
    ids=["no tensor", "another tensor", "a short tensor", "another type", "a short input", "another input type"],
)
def test_a_replay_whose_arrays_do_not_fit_its_model_is_a_usage_error(
    expected: Callable[[dict[int, Any]], dict[int, Any]],
    inputs: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "run.npz"
    save_run(path, replayable(expected, inputs))
    assert main(["validate", "--replay", str(path), "--board", "nano33"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_difference_to_what_is_no_number_is_still_json(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.npz"
    save_run(path, replayable(lambda t: {1: t[1] + np.float32(value)}, ZEROS))
    assert main(["validate", "--replay", str(path), "--board", "nano33", "--json"]) == 1

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(capsys.readouterr().out, parse_constant=refuse)["equal"] is False
