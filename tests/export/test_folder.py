"""Writing a project into a folder: all or nothing, nested, never over what somebody else put there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinygen.errors import UsageError
from tinygen.export import MANIFEST, write_folder


def project(*names: str, text: str = "ours\n") -> dict[str, str]:
    manifest = json.dumps({"tinygen": "0", "files": sorted(names)})
    return {**dict.fromkeys(names, text), MANIFEST: manifest}


def snapshot(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_stale_files_and_the_folders_they_leave_empty_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project("lib/old/src/a.c", "lib/old/b.h", "src/main.c"))
    (out / "src" / "mine.c").write_text("mine")
    write_folder(out, project("lib/new/a.c"))
    assert set(snapshot(out)) == {"lib/new/a.c", "src/mine.c", MANIFEST}
    assert not (out / "lib" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "no scratch folder stays"


def test_a_file_that_the_user_added_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project("a.c"))
    (out / "src").mkdir()
    (out / "src" / "main.c").write_text("precious")
    before = snapshot(out)
    with pytest.raises(UsageError, match=r"main\.c: tinygen needs this name and did not write"):
        write_folder(out, project("a.c", "b.c", "src/main.c", text="new\n"))
    assert snapshot(out) == before


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_where_a_folder_is_needed_is_refused(kind: str, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write_folder(out, project("a.c"))
    elsewhere.mkdir()
    if kind == "file":
        (out / "lib").write_text("a file")
    else:
        (out / "lib").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="tinygen needs a folder here"):
        write_folder(out, project("a.c", "lib/net/net.c"))
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["../victim.txt", "/victim.txt", "sub/../../victim.txt", "..\\victim.txt", "out/.."])
def test_a_manifest_that_names_files_elsewhere_deletes_nothing_there(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project("a.c"))
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    listed = name if not name.startswith("/") else str(victim)
    (out / MANIFEST).write_text(json.dumps({"tinygen": "0", "files": ["a.c", listed]}))
    write_folder(out, project("b.c"))
    assert victim.read_text() == "precious"
    assert set(snapshot(out)) == {"b.c", MANIFEST}


def test_a_linked_folder_named_in_the_manifest_is_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write_folder(out, project("a.c"))
    elsewhere.mkdir()
    (elsewhere / "victim.c").write_text("precious")
    (out / "lib").symlink_to(elsewhere)
    (out / MANIFEST).write_text(json.dumps({"tinygen": "0", "files": ["a.c", "lib/victim.c"]}))
    write_folder(out, project("b.c"))
    assert (elsewhere / "victim.c").read_text() == "precious"


def test_a_write_that_fails_half_way_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_folder(out, project("lib/old.c", "src/main.c"))
    before = snapshot(out)
    real, moves = Path.replace, []

    def fail_once(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 5:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    with pytest.raises(UsageError, match="No space left"):
        write_folder(out, project("deep/er/new.c", "src/main.c", "z.c", text="new\n"))
    assert snapshot(out) == before
    assert {path.name for path in out.iterdir()} == {"lib", "src", MANIFEST}


def test_a_build_goes_on_where_an_interrupted_one_left_files_without_a_manifest_entry(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project("a.c"))
    (out / "lib").mkdir()
    (out / "lib" / "b.c").write_text("ours\n")
    write_folder(out, project("a.c", "lib/b.c"))
    assert set(snapshot(out)) == {"a.c", "lib/b.c", MANIFEST}
