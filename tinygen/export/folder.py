"""Writes generated files into a folder: all of them or none, and never over what tinygen did not write."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tinygen.errors import UsageError
from tinygen.version import VERSION

MANIFEST = "manifest.json"
SHA256 = "file_sha256"
"""The manifest's key of the files' checksums, by which the next build sees what a user changed."""

LEFT = "left"
"""The manifest's key of files that a user changed and that this build has none of, with the checksums that tinygen's
own had: a build that needs them again knows them."""

RENODE = "renode"
NEW, OLD = "new", "old"
"""In the scratch folder beside the project: files to come, and files that gave way."""

_SOURCES = (".c", ".h", ".S")
_PROGRAMS = ("main", "app")

Content = str | bytes


@dataclass(frozen=True, slots=True)
class Edited:
    """Files of an earlier build that a user had changed.

    kept       stayed so, though this build has its own of that name
    left       stayed so, and this build needs none of that name
    replaced   are tinygen's again
    export     the build system of the earlier build, by its manifest, where files are kept and it is another one
    """

    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    export: str = ""


def write_folder(folder: Path, files: Mapping[str, Content]) -> Edited:
    """Write the files (by relative path with /), replacing those of an earlier build. What a user added stays.

    So does a program or build file that the user changed; changed C of the model, which must fit together, does not.
    Raises UsageError when the folder holds something that is not a tinygen build, when a file of the user's is in the
    way, or when it cannot be written; then, and when the user interrupts it, nothing in it has changed. Where the
    process is killed, the next build knows the files of both.
    """
    earlier, checksums, export = _earlier_build(folder)
    for name in files:
        _check_place(folder, name, files[name], earlier)
    try:
        edited = _edited(folder, files, checksums)
        if edited.kept and export != _export(json.loads(files.get(MANIFEST, "{}"))):
            edited = replace(edited, export=export)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    kept = {*edited.kept, *edited.left}
    files = {name: content for name, content in files.items() if name not in kept}
    if edited.left and MANIFEST in files:
        left = {name: sorted(checksums[name]) for name in edited.left}
        files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), LEFT: left}, indent=2) + "\n"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".tinygen-", dir=folder.parent))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        fresh = staging / NEW
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(_bytes(content))
        if not folder.exists():
            fresh.rename(folder)
            return edited
        stale = earlier - set(files) - kept
        _prepare_manifest(folder, staging, files, earlier, checksums, export)
        _exchange(folder, staging, files, stale)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return edited


def is_for_editing(name: str) -> bool:
    """Whether a file is the user's once they changed it: programs, build files and texts.

    What is made from the model and the board is not: its parts fit together, or fail in ways that puzzle.
    """
    path = PurePosixPath(name)
    if path.suffix in _SOURCES:
        return path.stem in _PROGRAMS
    return path.parts[0] != RENODE


def checksums_of(files: Mapping[str, Content]) -> dict[str, str]:
    """The SHA-256 of each file, as the manifest records them."""
    return {name: _checksum(_bytes(content)) for name, content in sorted(files.items())}


def _checksum(content: bytes) -> str:
    """Of a text with Unix's ends of lines, for version control may have changed them; of anything else as it is."""
    is_text = b"\0" not in content  # by the rule of version control
    return hashlib.sha256(content.replace(b"\r\n", b"\n") if is_text else content).hexdigest()


def _edited(folder: Path, files: Mapping[str, Content], checksums: Mapping[str, frozenset[str]]) -> Edited:
    """What differs from what an earlier build wrote, and from what this one writes."""
    found = []
    for name, written in sorted(checksums.items()):
        if name == MANIFEST or not (folder / name).is_file():
            continue
        now = _checksum((folder / name).read_bytes())
        if now not in written and (name not in files or now != _checksum(_bytes(files[name]))):
            found.append(name)
    stay = [name for name in found if is_for_editing(name)]
    return Edited(
        kept=tuple(name for name in stay if name in files),
        left=tuple(name for name in stay if name not in files),
        replaced=tuple(name for name in found if name not in stay),
    )


def _prepare_manifest(
    folder: Path,
    staging: Path,
    files: Mapping[str, Content],
    earlier: set[str],
    checksums: Mapping[str, frozenset[str]],
    export: str,
) -> None:
    """Write the manifest that holds while files are exchanged, and save the one that is there.

    It lists the files of both builds, and both checksums of each, so that a build after a kill knows what is tinygen's.
    """
    new = {name: content for name, content in files.items() if name != MANIFEST}
    written = {name: set(known) for name, known in checksums.items()}
    for name, checksum in checksums_of(new).items():
        if name in written or name not in earlier:  # an older tinygen's file has no checksum: it counts as unchanged
            written.setdefault(name, set()).add(checksum)
    manifest = {
        "tinygen": VERSION,
        "export": export,
        "files": sorted(earlier | set(new)),
        SHA256: {name: sorted(known) for name, known in sorted(written.items())},
    }
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    (staging / OLD).mkdir()
    if (folder / MANIFEST).exists():
        shutil.copy2(folder / MANIFEST, staging / OLD / MANIFEST)


def _exchange(folder: Path, staging: Path, files: Mapping[str, Content], stale: set[str]) -> None:
    """Put the new files in the old ones' places; when that fails or is interrupted, undo what was done."""
    fresh, old = staging / NEW, staging / OLD
    names = [*sorted(stale), *sorted(name for name in files if name != MANIFEST)]
    try:
        # a manifest replaces another in one step: the folder is never without
        (staging / MANIFEST).replace(folder / MANIFEST)
        for name in names:
            if (folder / name).exists():
                (old / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).replace(old / name)
            if name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).replace(folder / name)
        (fresh / MANIFEST).replace(folder / MANIFEST)
    except BaseException:  # KeyboardInterrupt too
        _undo(folder, staging, files, names)
        raise
    _remove_empty_folders(folder, stale)


def _undo(folder: Path, staging: Path, files: Mapping[str, Content], names: list[str]) -> None:
    """Take an exchange back. What was done shows in the folders alone: an interrupt can come between any two steps."""
    fresh, old = staging / NEW, staging / OLD
    placed = [name for name in names if name in files and not (fresh / name).exists()]
    for name in placed:
        (folder / name).unlink(missing_ok=True)
    for name in names:
        if (old / name).exists():
            (old / name).replace(folder / name)
    _remove_empty_folders(folder, names)
    if (old / MANIFEST).exists():
        (old / MANIFEST).replace(folder / MANIFEST)
    else:
        (folder / MANIFEST).unlink(missing_ok=True)


def _remove_empty_folders(folder: Path, names: list[str] | set[str]) -> None:
    """The folders that those files were in, where nothing else is."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents if parent.parts}
    for parent in sorted(parents, key=lambda parent: -len(parent.parts)):
        place = folder / parent
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _check_place(folder: Path, name: str, content: Content, earlier: set[str]) -> None:
    """Refuse to write where something lies that is not from an earlier build."""
    place = folder / name
    for parent in [place, *place.parents][1 : len(PurePosixPath(name).parts)]:
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            raise UsageError(
                f"{parent}: tinygen needs a folder here and did not make what is there. Move it, or choose another "
                "folder with -o."
            )
    if name in earlier or name == MANIFEST or not (place.exists() or place.is_symlink()):
        return
    if place.is_file() and not place.is_symlink() and place.read_bytes() == _bytes(content):
        return  # of a build that was interrupted before its manifest was written
    raise UsageError(
        f"{place}: tinygen needs this name and did not write what is there. Rename it, or choose another folder "
        "with -o."
    )


def _export(manifest: Mapping[str, object]) -> str:
    """The build system that a manifest says its project is for; empty where it is no word that a warning can print."""
    found = manifest.get("export", "")
    return found if isinstance(found, str) and re.fullmatch("[a-z-]{1,20}", found) else ""


def _earlier_build(folder: Path) -> tuple[set[str], dict[str, frozenset[str]], str]:
    """The files that the folder's manifest lists, the checksums that each may have, and the build system that they are
    for; empty for a new folder.

    After a build that was killed a file may have that build's checksum or the one before.
    """
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{place}: this is a file. Choose a folder with -o.")
    if not folder.exists():
        return set(), {}, ""
    if not any(folder.iterdir()):
        return set(), {}, ""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["tinygen"]
        export = _export(manifest)
        known = {**manifest.get(SHA256, {}), **manifest.get(LEFT, {})}
        names = {str(name) for name in (*manifest["files"], *manifest.get(LEFT, {}))}
        checksums = {
            str(name): frozenset(map(str, sums if isinstance(sums, list) else [sums])) for name, sums in known.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder}: this folder holds files that tinygen did not write. Choose another one with -o, or empty it."
        ) from error
    inside = {name for name in names if _is_inside(folder, name)}
    return inside, {name: known for name, known in checksums.items() if name in inside}, export


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a name of the manifest, which anybody may have edited, is a file in the folder and not elsewhere."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        return False
    parents = [folder / parent for parent in path.parents if parent.parts]
    place = folder / name
    return not any(parent.is_symlink() for parent in parents) and (place.is_symlink() or not place.is_dir())


def _cannot_write(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder}: cannot be written: {error.strerror}. Choose another folder with -o.")
