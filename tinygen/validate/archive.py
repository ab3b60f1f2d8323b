"""Reads .npz files of anybody's: arrays by name, and nothing in them is executed."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np

from tinygen.ir import Array


class ArchiveError(Exception):
    """Why a file is no .npz file of plain arrays: a clause without a full stop."""


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file. Raises ArchiveError."""
    try:
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise ArchiveError(_what_else(path))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise ArchiveError((error.strerror or str(error)).rstrip(".").lower()) from error
    except MemoryError as error:
        raise ArchiveError("it holds an array that is larger than this machine's memory") from error
    except (ArithmeticError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise ArchiveError("it holds Python objects, or an array whose header is damaged") from error
    except (BadZipFile, EOFError, RuntimeError, LookupError, zlib.error) as error:
        raise ArchiveError(f"it is damaged: {str(error).rstrip('.')}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ArchiveError(f"what it holds as {name} is no array")
    return arrays


def _what_else(path: Path) -> str:
    """What a file that is no archive seems to be."""
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        return "it is a single array; save it with np.savez(file, input=array)"
    return "it is empty" if not start else "it is no .npz archive, or cut short"
