"""tinygen.toml: what the command line need not say again, in a file beside the model.

board = "nano33"         # or the path of a board file, seen from this one
optimize = "balanced"
reference = "litert"
name = "kws"
export = "platformio"
input = "rows"           # or "whole"
arena_memory = "dtcm"
weights_memory = "dtcm"

[budgets]
max_ram = "12K"
max_flash = 60_000
max_stack = 1024
max_instructions = 3_000_000
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from tinygen.budgets import Resource, parse_bytes
from tinygen.compile import InputForm
from tinygen.errors import UsageError
from tinygen.export import ProjectKind
from tinygen.ir import Reference
from tinygen.kernels import Optimize

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "tinygen.toml"
BUDGETS = "budgets"
LARGEST_FILE_BYTES = 1 << 20
MOST = (1 << 63) - 1

Value = str | int


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says, checked: key → value. Budgets stand under their own keys, such as max_ram, in bytes."""

    name: str
    values: Mapping[str, Value]


EMPTY = Config("", {})


class _Problem(Exception):
    """A value that does not suit its key; the message follows the key's name."""


def find_config(models: Iterable[str]) -> Path | None:
    """The file beside the models, or None where there is none.

    Raises UsageError where the models of one build do not share one file or its absence.
    """
    found: dict[Path | None, str] = {}
    for model in models:
        path = Path(model).parent / FILE_NAME
        found.setdefault(path if _is_file(path) else None, model)
    if len(found) > 1:
        beside = ", ".join(f"{model}: {'none' if path is None else path}" for path, model in found.items())
        raise UsageError(
            f"the models do not share one {FILE_NAME} ({beside}). Name the one that counts with --config FILE, or give "
            "--no-config."
        )
    return next(iter(found), None)


def read_config(path: Path) -> Config:
    """Read and check a file. Raises UsageError with everything that is wrong in it."""
    try:
        raw = tomllib.loads(_text(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: the file is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: the file is not TOML: {error}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: the file cannot be read: {error}. --no-config does without one.") from error
    problems: list[str] = []
    values = _table(raw, _KEYS, "", problems)
    if problems:
        raise UsageError(f"{path}: {' '.join(problems)}")
    board = values.get("board")
    if isinstance(board, str) and (board.endswith(".toml") or len(Path(board).parts) > 1):
        values["board"] = str(path.parent / board)
    return Config(path.name, values)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False


def _text(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > LARGEST_FILE_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, which is no file of settings")
    return data.decode("utf-8-sig")


def _table(raw: Mapping[str, Any], keys: Mapping[str, _Check], place: str, problems: list[str]) -> dict[str, Value]:
    """The checked values of one table; what is wrong is added to `problems`."""
    values: dict[str, Value] = {}
    for key, value in raw.items():
        if key == BUDGETS and not place:
            if isinstance(value, dict):
                values |= _table(value, _BUDGET_KEYS, f"{BUDGETS}.", problems)
            else:
                problems.append(f"{BUDGETS} is {_show(value)}; a table is expected: [{BUDGETS}].")
        elif key not in keys:
            problems.append(f"the key {place}{_show(key)[1:-1]} is unknown. {_known(key, place)}")
        else:
            try:
                values[key] = keys[key](value)
            except _Problem as problem:
                problems.append(f"{place}{key} is {_show(value)}; {problem}.")
    return values


def _known(key: str, place: str) -> str:
    """What the user may have meant; a budget that stands outside its table is told where it belongs."""
    if not place and key in _BUDGET_KEYS:
        return f"Budgets stand in their table: put it under [{BUDGETS}]."
    if place and key in _KEYS:
        return f"Put it before [{BUDGETS}], where the file's first lines are."
    keys = list(_BUDGET_KEYS) if place else [*_KEYS, BUDGETS]
    near = difflib.get_close_matches(key, keys, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known keys here: {', '.join(keys)}."


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _string(value: object) -> Value:
    if not isinstance(value, str) or not value:
        raise _Problem("text in quotes is expected")
    return value


def _one_of(choices: type[Enum]) -> _Check:
    known = [str(choice.value) for choice in choices]

    def check(value: object) -> Value:
        if isinstance(value, str) and value in known:
            return value
        near = difflib.get_close_matches(str(value).lower(), known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise _Problem(f"one of {', '.join(known)} is expected{hint}")

    return check


def _bytes(value: object) -> Value:
    try:
        size = parse_bytes(value) if isinstance(value, str) else value
    except ValueError:
        size = None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MOST:
        raise _Problem('a number of bytes is expected, such as 65536 or "64K"')
    return size


def _count(value: object) -> Value:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise _Problem("a whole number is expected, such as 3_000_000")
    return value


_Check = Callable[[object], Value]

_KEYS: dict[str, _Check] = {
    "board": _string,
    "optimize": _one_of(Optimize),
    "reference": _one_of(Reference),
    "name": _string,
    "export": _one_of(ProjectKind),
    "input": _one_of(InputForm),
    "arena_memory": _string,
    "weights_memory": _string,
}
_BUDGET_KEYS: dict[str, _Check] = {
    Resource.RAM.value: _bytes,
    Resource.FLASH.value: _bytes,
    Resource.STACK.value: _bytes,
    Resource.INSTRUCTIONS.value: _count,
}
