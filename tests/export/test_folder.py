"""Writing a project into a folder: all or nothing, nested, never over what somebody else put there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, bundle
from tinygen.errors import UsageError
from tinygen.export import MANIFEST, Edited, ProjectKind, export_project, write_folder
from tinygen.export.folder import LEFT, SHA256, checksums_of, is_for_editing


def project(*names: str, text: str = "ours\n") -> dict[str, str]:
    files = dict.fromkeys(names, text)
    manifest = json.dumps({"tinygen": "0", "files": sorted(names), SHA256: checksums_of(files)})
    return {**files, MANIFEST: manifest}


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


@pytest.mark.parametrize("below", [".", "sub", "sub/sub"])
def test_a_file_in_the_way_of_the_folder_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "f7").write_text("precious")
    with pytest.raises(UsageError) as refused:
        write_folder(tmp_path / "f7" / below, project("a.c"))
    assert str(refused.value) == f"{tmp_path / 'f7'}: this is a file. Choose a folder with -o."
    assert snapshot(tmp_path) == {"f7": "precious"}


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


OLD_FILES = ("lib/old.c", "src/main.c", "x.c")
NEW_FILES = ("deep/er/new.c", "src/main.c", "x.c", "z.c")


def stop_at(call: int, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Ctrl-C at that move of a file, counted from 1; the moves that were made."""
    real, moves = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == call:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    return moves


MOVES = 9
"""Files out and in, and the manifest twice."""


@pytest.mark.parametrize("call", range(1, MOVES + 1))
def test_ctrl_c_leaves_the_folder_as_it_was(call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write_folder(out, project(*OLD_FILES))
    before = snapshot(out)
    stop_at(call, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        write_folder(out, project(*NEW_FILES, text="new\n"))
    assert snapshot(out) == before
    assert {path.name for path in out.iterdir()} == {"lib", "src", "x.c", MANIFEST}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("call", range(1, MOVES + 1))
def test_after_a_kill_the_next_build_knows_the_files_of_both(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_folder(out, project(*OLD_FILES, "README.md"))
    (out / "README.md").write_text("mine\n")
    with monkeypatch.context() as patch:
        stop_at(call, patch)
        patch.setattr("tinygen.export.folder._undo", lambda *_: None)  # who is killed undoes nothing
        with pytest.raises(KeyboardInterrupt):
            write_folder(out, project(*NEW_FILES, "README.md", text="new\n"))
    assert write_folder(out, project("src/main.c", "q.c", "README.md", text="last\n")) == Edited(kept=("README.md",))
    found = snapshot(out)
    assert {name: found[name] for name in found if name != MANIFEST} == {
        "src/main.c": "last\n", "q.c": "last\n", "README.md": "mine\n",
    }  # fmt: skip


def test_an_exchange_of_these_files_takes_as_many_moves_as_the_tests_stop_it_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "out", project(*OLD_FILES))
    moves = stop_at(0, monkeypatch)
    write_folder(tmp_path / "out", project(*NEW_FILES, text="new\n"))
    assert len(moves) == MOVES


def test_a_build_goes_on_where_an_interrupted_one_left_files_without_a_manifest_entry(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project("a.c"))
    (out / "lib").mkdir()
    (out / "lib" / "b.c").write_text("ours\n")
    write_folder(out, project("a.c", "lib/b.c"))
    assert set(snapshot(out)) == {"a.c", "lib/b.c", MANIFEST}


# --- what a user changed -------------------------------------------------------------------------------------------

PROGRAM, MODEL, SCRIPT = "src/main.cpp", "lib/kws/src/kws.c", "renode/kws.resc"


def test_a_changed_program_stays_and_changed_c_of_the_model_is_written_anew(tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = (PROGRAM, MODEL, SCRIPT, "platformio.ini")
    assert write_folder(out, project(*names)) == Edited()
    for name in (PROGRAM, MODEL, SCRIPT):
        (out / name).write_text("mine\n")
    expected = Edited(kept=(PROGRAM,), replaced=(MODEL, SCRIPT))
    assert write_folder(out, project(*names, text="new\n")) == expected
    found = snapshot(out)
    assert [found[name] for name in names] == ["mine\n", "new\n", "new\n", "new\n"]
    # it stays at every later build, and is named every time
    assert write_folder(out, project(*names, text="newer\n")) == Edited(kept=(PROGRAM,))
    assert snapshot(out)[PROGRAM] == "mine\n"
    (out / PROGRAM).unlink()
    assert write_folder(out, project(*names, text="newer\n")) == Edited()
    assert snapshot(out)[PROGRAM] == "newer\n"


def test_a_changed_program_that_builds_between_do_not_need_is_the_users_when_one_needs_it_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project(PROGRAM, MODEL))
    (out / PROGRAM).write_text("mine\n")
    for _ in range(2):
        assert write_folder(out, project(MODEL)) == Edited(left=(PROGRAM,))
        assert snapshot(out)[PROGRAM] == "mine\n"
    assert write_folder(out, project(PROGRAM, MODEL)) == Edited(kept=(PROGRAM,))
    assert snapshot(out)[PROGRAM] == "mine\n"


def test_a_left_program_that_is_tinygens_again_goes_with_the_next_build_and_a_deleted_one_is_forgotten(
    tmp_path: Path,
) -> None:
    for text in ("ours\n", None):
        out = tmp_path / f"out{text is None}"
        write_folder(out, project(PROGRAM, MODEL))
        (out / PROGRAM).write_text("mine\n")
        write_folder(out, project(MODEL))
        if text is None:
            (out / PROGRAM).unlink()
        else:
            (out / PROGRAM).write_text(text)
        assert write_folder(out, project(MODEL)) == Edited()
        assert set(snapshot(out)) == {MODEL, MANIFEST} and LEFT not in json.loads(snapshot(out)[MANIFEST])


def test_other_ends_of_lines_and_the_new_builds_own_text_are_no_changes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, project(PROGRAM, "CMakeLists.txt"))
    (out / PROGRAM).write_bytes(b"ours\r\n")
    (out / "CMakeLists.txt").write_text("new\n")
    assert write_folder(out, project(PROGRAM, "CMakeLists.txt", text="new\n")) == Edited()
    assert snapshot(out)[PROGRAM] == "new\n"


def test_a_firmwares_checksum_is_the_sha_256_of_its_bytes() -> None:
    elf = b"\x7fELF\0 code \r\n code"
    assert checksums_of({"renode/kws.elf": elf}) == {"renode/kws.elf": hashlib.sha256(elf).hexdigest()}


def test_a_manifest_without_checksums_is_of_an_older_build(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {PROGRAM: "ours\n", MANIFEST: json.dumps({"tinygen": "0", "files": [PROGRAM]})})
    (out / PROGRAM).write_text("mine\n")
    assert write_folder(out, project(PROGRAM, text="new\n")) == Edited()
    assert snapshot(out)[PROGRAM] == "new\n"


@pytest.mark.parametrize("checksums", [[], "x", 3, None])
def test_broken_checksums_are_no_traceback(checksums: object, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a.c": "a", MANIFEST: json.dumps({"tinygen": "0", "files": ["a.c"], SHA256: checksums})})
    with pytest.raises(UsageError, match="holds files that tinygen did not write"):
        write_folder(out, project("a.c"))


FOR_EDITING = {
    ProjectKind.PLATFORMIO: {"README.md", "examples/app.cpp", "lib/gesture/library.json", "lib/kws/library.json",
                             "platformio.ini", "src/main.cpp"},
    ProjectKind.ARDUINO: {"README.md", "gesture/examples/gesture/gesture.ino",
                          "gesture/examples/gesture_app/gesture_app.ino", "gesture/library.properties",
                          "kws/examples/kws/kws.ino", "kws/examples/kws_app/kws_app.ino", "kws/library.properties",
                          "kws_gesture_app/kws_gesture_app.ino"},
    ProjectKind.ZEPHYR: {"CMakeLists.txt", "Kconfig", "README.md", "gesture/CMakeLists.txt", "gesture/Kconfig",
                         "kws/CMakeLists.txt", "kws/Kconfig", "samples/selftest/CMakeLists.txt",
                         "samples/selftest/prj.conf", "samples/selftest/sample.yaml", "samples/selftest/src/main.c",
                         "zephyr/module.yml"},
    ProjectKind.CMAKE: {"CMakeLists.txt", "README.md", "cmake/nano33.cmake", "gesture/CMakeLists.txt",
                        "kws/CMakeLists.txt", "test/CMakeLists.txt", "test/main.c"},
}  # fmt: skip


@pytest.mark.parametrize("kind", FOR_EDITING)
def test_the_programs_and_build_files_of_a_project_are_for_editing_and_say_so(kind: ProjectKind) -> None:
    files = export_project(kind, bundle("nano33", KWS, GESTURE))
    assert {name for name in files if is_for_editing(name)} == FOR_EDITING[kind]
    for name, text in files.items():
        if "Generated by tinygen" in text and not name.endswith((".md", ".properties")):
            assert ("the next build keeps your changes" in text) == is_for_editing(name), name
