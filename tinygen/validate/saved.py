"""A validation saved to one file: model, settings, inputs and expected tensors, to be replayed anywhere."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tinygen.errors import UsageError
from tinygen.ir import Array, Reference
from tinygen.validate.inputs import Inference

FORMAT = 1


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
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        settings = json.loads(arrays.pop("settings").tobytes())
        if settings.pop("format") != FORMAT:
            raise ValueError("it has another format number")
        if not isinstance(settings["name"], str):
            raise ValueError("its name is no text")
        Reference(settings["reference"])
        model = arrays.pop("model").tobytes()
        inputs = [arrays.pop(f"input_{i}") for i in range(sum(name.startswith("input_") for name in arrays))]
        tensors = {int(name.removeprefix("tensor_")): array for name, array in arrays.items()}
        count = len(inputs[0])
        if count == 0:
            raise ValueError("it holds no inference")
        return SavedRun(
            model,
            settings,
            tuple(tuple(array[n] for array in inputs) for n in range(count)),
            tuple({index: array[n] for index, array in tensors.items()} for n in range(count)),
        )
    except OSError as error:
        raise UsageError(f"{path}: the saved run cannot be read: {error.strerror or error}.") from error
    except (ArithmeticError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: this is not a saved tinygen run: {error}.") from error
    except (BadZipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: this is not a saved tinygen run: {error}.") from error
