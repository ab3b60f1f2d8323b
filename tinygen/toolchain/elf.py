"""ELF files, read by pyelftools, which comes with the extra `emulate`."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygen.errors import ToolError

WRITE, ALLOC, EXECUTE = 1, 2, 4
"""Section flags, from the ELF specification."""

INSTALL = 'pip install "tinygen[emulate]"'


def elf_reader_version() -> str | None:
    """The version of pyelftools, or None where it is not installed."""
    try:
        return importlib.metadata.version("pyelftools")
    except importlib.metadata.PackageNotFoundError:
        return None


@contextmanager
def open_elf(path: Path) -> Iterator[Any]:
    """The file as pyelftools' ELFFile. Raises ToolError when pyelftools is missing or the file is no sound ELF file."""
    if elf_reader_version() is None:
        raise ToolError(f"pyelftools is not installed: {INSTALL}.")
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            yield ELFFile(file)
    except ELFError as error:
        raise ToolError(f"{path.name}: this is not a sound ELF file: {error}.") from error
