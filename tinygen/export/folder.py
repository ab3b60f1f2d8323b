"""Writes generated files into a folder: all of them or none, and never over what tinygen did not write."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinygen.errors import UsageError

MANIFEST = "manifest.json"


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, replacing those of an earlier build there. Files that a user added stay.

    Raises UsageError when the folder holds something that is not a tinygen build, or cannot be written; then nothing
    in it has changed.
    """
    stale = _files_of_earlier_build(folder) - set(files)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".tinygen-", dir=folder.parent))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}. Choose another folder with -o.") from error
    try:
        for name, text in files.items():
            (staging / name).write_text(text, encoding="utf-8", newline="\n")
        if not folder.exists():
            staging.chmod(0o777 & ~_umask())
            staging.rename(folder)
            return
        # the manifest goes last, so that it never describes files that are not there yet
        for name in sorted(files, key=lambda name: name == MANIFEST):
            (staging / name).replace(folder / name)
        for name in stale:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}. Choose another folder with -o.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _umask() -> int:
    """The process's mask for new files; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _files_of_earlier_build(folder: Path) -> set[str]:
    """Names that the folder's manifest lists; empty for a new or empty folder."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise UsageError(f"{folder}: this is a file. Choose a folder with -o.")
    if not any(folder.iterdir()):
        return set()
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["tinygen"]
        names = {str(name) for name in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder}: this folder holds files that tinygen did not write. Choose another one with -o, or empty it."
        ) from error
    return {name for name in names if Path(name).name == name}
