"""Boards as data: TOML in, a checked and frozen `Board` out."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from tinygen.board_file import (
    BoardFile,
    Boot,
    Console,
    Emulation,
    Memory,
    MemoryKind,
    ProjectIds,
    RegisterStep,
    UartFamily,
    find_problems,
)
from tinygen.errors import BoardError
from tinygen.resources import resource_path
from tinygen.targets import Target, find_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Board",
    "Boot",
    "Console",
    "Emulation",
    "Memory",
    "MemoryKind",
    "ProjectIds",
    "RegisterStep",
    "UartFamily",
    "board_names",
    "load_board",
]

DEFAULT_STACK_BYTES = 8192
SMALL_RAM_BYTES = 32 * 1024
SMALL_RAM_STACK_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Board:
    """A microcontroller board: target, clock, memories, console, and how tools call and run it."""

    name: str
    title: str
    description: str
    chip: str
    target: Target
    clock_hz: int
    memories: tuple[Memory, ...]
    stack_bytes: int  # what the self-test firmware reserves
    console: Console
    boot: Boot | None  # the boot ROM that wants a loader of its own before the self-test
    emulation: Emulation
    project: ProjectIds

    @property
    def flash(self) -> Memory:
        """The memory that holds code."""
        return self._first(MemoryKind.FLASH)

    @property
    def ram(self) -> Memory:
        """The memory that holds stack and arena."""
        return self._first(MemoryKind.RAM)

    @property
    def flash_bytes(self) -> int:
        """Bytes of flash for code and weights."""
        return self.flash.size_bytes

    @property
    def runs_in_renode(self) -> bool:
        """Whether Renode has a core and a console for the board."""
        has_models = self.emulation.renode_cpu and self.emulation.renode_uart
        return bool(has_models) and self.console.uart is not UartFamily.SEMIHOSTING

    @property
    def ram_bytes(self) -> int:
        """Bytes of the RAM that the arena can use: one contiguous memory."""
        return self.ram.size_bytes

    def window(self, kind: MemoryKind) -> Memory | None:
        """The first memory of a kind, if the board has one."""
        return next((memory for memory in self.memories if memory.kind is kind), None)

    def _first(self, kind: MemoryKind) -> Memory:
        memory = self.window(kind)
        assert memory is not None, kind  # load_board refuses boards without
        return memory


def board_names() -> tuple[str, ...]:
    """The names of the boards that come with tinygen, sorted."""
    return tuple(sorted(path.stem for path in resource_path("boards").glob("*.toml")))


def load_board(name_or_path: str) -> Board:
    """The board of that name, or of the user's own TOML file when the argument is a path (`./mine.toml`)."""
    path = Path(name_or_path)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if not _is_file(path):
            raise BoardError(
                f"{name_or_path}: there is no such board file. Give a name from `tinygen boards` "
                "or the path of a TOML file."
            )
        return _parse(path.stem, path, str(path))
    if name_or_path in board_names():
        path = resource_path("boards") / f"{name_or_path}.toml"
        return _parse(name_or_path, path, f"boards/{path.name}")
    near = difflib.get_close_matches(name_or_path.lower(), board_names(), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise BoardError(
        f"board {name_or_path!r} is unknown. {hint}Known boards: {', '.join(board_names())}. "
        "Your own board is a TOML file: --board ./mine.toml."
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False


def _parse(name: str, path: Path, place: str) -> Board:
    try:
        raw = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BoardError(f"{place}: the file is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{place}: the file is not TOML: {error}.") from error
    except (OSError, RecursionError) as error:
        raise BoardError(f"{place}: the file cannot be read: {error}.") from error
    try:
        file = msgspec.convert(raw, BoardFile)
    except msgspec.ValidationError as error:
        raise BoardError(f"{place}: {_explain(str(error), raw)}") from error
    try:
        target = find_target(file.target)
    except BoardError as error:
        raise BoardError(f"{place}: {error}") from error
    ram = next((m for m in file.memories if m.kind is MemoryKind.RAM), None)
    default = SMALL_RAM_STACK_BYTES if ram and ram.size_bytes <= SMALL_RAM_BYTES else DEFAULT_STACK_BYTES
    stack_bytes = default if file.stack_bytes is None else file.stack_bytes
    problems = find_problems(file, target, stack_bytes)
    if problems:
        raise BoardError(f"{place}: {' '.join(problems)}")
    return Board(
        name=name,
        title=file.title,
        description=file.description,
        chip=file.chip,
        target=target,
        clock_hz=file.clock_hz,
        memories=file.memories,
        stack_bytes=stack_bytes,
        console=file.console,
        boot=file.boot,
        emulation=file.emulation,
        project=file.project,
    )


_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "": BoardFile,
    "memories": Memory,
    "console": Console,
    "setup": RegisterStep,
    "emulation": Emulation,
    "project": ProjectIds,
}
_ENUMS: tuple[type[Enum], ...] = (MemoryKind, UartFamily, Boot)


def _explain(message: str, raw: dict[str, Any]) -> str:
    """Turns msgspec's message into: key path, sentence, what to do."""
    text, _, at = message.partition(" - at `")
    key = at.rstrip("`").removeprefix("$").removeprefix(".")
    table = re.sub(r"\[\d+\]", "", key).rpartition(".")[2]
    unknown = re.search(r"contains unknown field `(.*)`", text)
    missing = re.search(r"missing required field `(.*)`", text)
    if unknown or missing:
        fields = _STRUCTS.get(table, BoardFile).__struct_fields__
        where = f"{key}." if key else ""
        if missing:
            return f"the key {where}{missing[1]} is missing. Add it; see boards/nano33.toml for an example."
        assert unknown
        near = difflib.get_close_matches(unknown[1], fields, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known keys here: {', '.join(fields)}."
        return f"the key {where}{unknown[1]} is unknown. {hint}"
    for enum in _ENUMS:
        field = {"MemoryKind": "kind", "UartFamily": "uart", "Boot": "boot"}[enum.__name__]
        if "enum value" in text and table == field:
            return f"{key}: {text}. Known: {', '.join(str(member.value) for member in enum)}."
    return f"{key or 'the file'}: {text}."
