"""The inputs of a validation: seeded random ones with their corners, and the arrays of a user's file."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tinygen.errors import UsageError
from tinygen.ir import Array, Graph
from tinygen.tflite import read_model
from tinygen.validate.inputs import as_bytes, load_inputs, random_inputs


def graph_of_two_inputs(first: str = "a", second: str = "b") -> Graph:
    """int8 1×4 and float 2×3, the latter quantised with scale 0.5 and zero point 10."""
    b = ModelBuilder()
    a = b.input((1, 4), scale=0.5, zero_point=-7, name=first)
    real = b.input((2, 3), "float32", name=second)
    y, z = b.tensor((1, 4), scale=0.5, zero_point=-7), b.tensor((2, 3), scale=0.5, zero_point=10)
    b.node("RELU", [a], [y])
    b.node("QUANTIZE", [real], [z])
    b.output(y, z)
    return read_model(b.finish())


def test_random_inputs_depend_on_the_seed_alone() -> None:
    graph = graph_of_two_inputs()
    first, again, other = (as_bytes(random_inputs(graph, 5, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first[:5] != other[:5] and first[5:] == other[5:]
    assert first[:2] == as_bytes(random_inputs(graph, 2, 1))[:2], "more inputs only add to the first ones"


def test_the_corners_follow_the_random_inputs() -> None:
    inferences = random_inputs(graph_of_two_inputs(), 3, 0)
    assert len(inferences) == 6
    lowest, highest, zero = inferences[3:]
    assert [set(a.ravel().tolist()) for a in lowest] == [{-128}, {(-129 - 10) * 0.5}]
    assert [set(a.ravel().tolist()) for a in highest] == [{127}, {(128 - 10) * 0.5}]
    assert [set(a.ravel().tolist()) for a in zero] == [{-7}, {0.0}]
    for inference in inferences:
        assert [(a.shape, a.dtype) for a in inference] == [((1, 4), np.int8), ((2, 3), np.float32)]


def test_random_inputs_reach_both_ends_of_int8() -> None:
    drawn = np.concatenate([inference[0].ravel() for inference in random_inputs(graph_of_two_inputs(), 2000, 0)[:-3]])
    assert set(drawn.tolist()) == set(range(-128, 128))


A = np.arange(8, dtype=np.int8).reshape(2, 1, 4)
B = np.arange(12, dtype=np.float32).reshape(2, 2, 3)


def loaded(folder: Path, names: tuple[str, str] = ("a", "b"), **arrays: Array) -> tuple[tuple[Array, ...], ...]:
    path = folder / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return load_inputs(graph_of_two_inputs(*names), path)


@pytest.mark.parametrize(
    ("names", "arrays"),
    [
        (("a", "b"), {"a": A, "b": B}),
        (("a", "b"), {"b": B, "a": A}),
        (("a", "b"), {"first": A, "second": B}),
        (("same", "same"), {"x": A, "y": B}),
    ],
    ids=["names", "names in another order", "no names but order", "names that do not tell apart"],
)
def test_arrays_are_taken_by_name_else_in_their_order(
    names: tuple[str, str], arrays: dict[str, Array], tmp_path: Path
) -> None:
    inferences = loaded(tmp_path, names, **arrays)
    assert as_bytes(inferences) == tuple((A[i].tobytes(), B[i].tobytes()) for i in range(2))


def test_an_array_of_the_inputs_own_shape_is_one_inference(tmp_path: Path) -> None:
    (inference,) = loaded(tmp_path, a=A[1], b=B[:1])
    assert [a.tobytes() for a in inference] == [A[1].tobytes(), B[0].tobytes()]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": A, "c": B}, r"the model has no input named 'c'\. Its inputs: a, b\."),
        ({"a": A}, r"holds 1 arrays \(a\), the model has 2 inputs \(a, b\)"),
        ({"a": A, "b": B[:1]}, r"different numbers of inferences: \[1, 2\]"),
        ({"a": A[:, 0], "b": B}, r"input 'a' has shape \(1, 4\), the array \(2, 4\)"),
        ({"a": A[None], "b": B}, r"the array \(1, 2, 1, 4\)"),
        ({"a": A.astype(np.uint8), "b": B}, "input 'a' is int8, the array is uint8"),
        ({"a": A, "b": B.astype(">f4")}, "input 'b' is float32, the array is >f4"),
        ({"a": A, "b": np.array([None, None])}, r"cannot be read as an \.npz file"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Array], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        loaded(tmp_path, **arrays)


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, A)


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "no array")
        archive.writestr("b.txt", "no array")


def broken_member(path: Path) -> None:
    np.savez_compressed(path, a=np.arange(1000) % 7, b=B)
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)


def encrypted(path: Path) -> None:
    np.savez(path, a=A, b=B)
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), bytes(data)):
            data[found.start() + flags] |= 1
    path.write_bytes(data)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "npy": one_array,
    "zip": other_zip,
    "cut": lambda path: (np.savez(path, a=A, b=B), path.write_bytes(path.read_bytes()[:200])),
    "damaged": broken_member,
    "encrypted": encrypted,
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_that_holds_no_arrays_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "data.npz")
    with pytest.raises(UsageError, match=r"data\.npz: "):
        load_inputs(graph_of_two_inputs(), tmp_path / "data.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_whatever_is_damaged_the_file_is_read_or_refused(save: Callable[..., None], tmp_path: Path) -> None:
    path, graph, chance = tmp_path / "data.npz", graph_of_two_inputs(), random.Random(1)
    save(path, a=A, b=B)
    sound = path.read_bytes()
    outcomes = set()
    for _ in range(500):
        data = bytearray(sound)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            load_inputs(graph, path)
            outcomes.add("read")
        except UsageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
