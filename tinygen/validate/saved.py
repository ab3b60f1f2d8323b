"""A validation saved to one file: model, settings, inputs and expected tensors, to be replayed anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygen.errors import UsageError
from tinygen.ir import Array, Reference
from tinygen.validate.archive import ArchiveError, read_arrays
from tinygen.validate.inputs import Inference

FORMAT = 1
WHAT_TO_DO = "Give a file that `tinygen validate --save-run` wrote."


@dataclass(frozen=True, slots=True, eq=False)
class SavedRun:
    """What a replay needs; with the expected tensors inside, no reference interpreter."""

    model: bytes
    settings: Mapping[str, str]
    inputs: tuple[Inference, ...]
    expected: tuple[Mapping[int, Array], ...]


def save_run(path: Path, run: SavedRun) -> None:
    """Write an .npz file; arrays only, nothing in it is executed on reading."""
    arrays: dict[str, Array] = {
        "model": np.frombuffer(run.model, np.uint8),
        "settings": np.frombuffer(json.dumps({"format": FORMAT, **run.settings}).encode(), np.uint8),
    }
    for position in range(len(run.inputs[0])):
        arrays[f"input_{position}"] = np.stack([arrays_of_run[position] for arrays_of_run in run.inputs])
    for index in run.expected[0]:
        arrays[f"tensor_{index}"] = np.stack([tensors[index] for tensors in run.expected])
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise UsageError(f"{path}: the run cannot be saved there: {error.strerror}.") from error


def load_run(path: Path) -> SavedRun:
    """Read what `save_run` wrote. Raises UsageError when the file is something else."""
    try:
        return _parse(read_arrays(path))
    except ArchiveError as error:
        raise UsageError(f"{path}: this is not a saved tinygen run: {error}. {WHAT_TO_DO}") from error


def _parse(arrays: dict[str, Array]) -> SavedRun:
    settings = _settings(_taken(arrays, "settings").tobytes())
    model = _taken(arrays, "model").tobytes()
    inputs = [_taken(arrays, f"input_{i}") for i in range(max(1, sum(name.startswith("input_") for name in arrays)))]
    tensors = {}
    for name, array in arrays.items():
        if not re.fullmatch(r"tensor_[0-9]{1,9}", name):
            raise ArchiveError(f"it holds an array {name!r}, which no saved run has")
        tensors[int(name.removeprefix("tensor_"))] = array
    counts = {len(array) if array.ndim else 0 for array in (*inputs, *tensors.values())}
    if len(counts) != 1:
        raise ArchiveError(f"its arrays hold different numbers of inferences: {sorted(counts)}")
    count = counts.pop()
    if count == 0:
        raise ArchiveError("it holds no inference")
    return SavedRun(
        model,
        settings,
        tuple(tuple(array[n] for array in inputs) for n in range(count)),
        tuple({index: array[n] for index, array in tensors.items()} for n in range(count)),
    )


def _taken(arrays: dict[str, Array], name: str) -> Array:
    if name not in arrays:
        raise ArchiveError(f"it has no array {name!r}")
    return arrays.pop(name)


def _settings(text: bytes) -> dict[str, str]:
    """The settings but their format number, all of them texts."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArchiveError("its settings are no JSON") from error
    if not isinstance(settings, dict):
        raise ArchiveError("its settings are no JSON object")
    found = settings.pop("format", None)
    if found != FORMAT:
        raise ArchiveError(f"its format is {found!r}, and this tinygen reads {FORMAT}")
    if not all(isinstance(settings.get(key), str) for key in ("name", "reference")):
        raise ArchiveError("its settings name no model and reference")
    if settings["reference"] not in {reference.value for reference in Reference}:
        raise ArchiveError(f"its reference is {settings['reference']!r}, which is unknown")
    return settings
