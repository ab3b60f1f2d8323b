"""The part of the ledger that a compiler tells, in the project's selftests.c: checked where that is compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.export.projects import GESTURE, KWS, bundle, write_project
from tinygen.emulate.host import find_host_compilers
from tinygen.export import ProjectKind, export_project
from tinygen.ledger import CodeSize

SIZES = CodeSize(9_000, 8_000, 400, compiler="a compiler 1.0"), CodeSize(5_000, 3_000, 300, compiler="a compiler 1.0")
PROGRAM = "src/selftests.c"


def compiles(folder: Path, standard: str, *defines: str) -> tuple[bool, str]:
    """Whether a native compiler takes the file, and what it says."""
    command = next(iter(find_host_compilers()), None)
    if command is None:
        pytest.skip("install a native C compiler: apt install gcc")
    includes = [f"-I{folder / 'src'}", *(f"-I{path}" for path in sorted(folder.glob("lib/*/include")))]
    strict = (f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-DTINYGEN_VALIDATE")
    done = subprocess.run(
        [*command, *strict, *includes, *defines, "-c", str(folder / PROGRAM), "-o", str(folder / "it.o")],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("standard", ["c99", "c11", "c2x"])
@pytest.mark.parametrize("shared", [False, True], ids=["own arenas", "shared arena"])
def test_budgets_of_stack_and_code_are_checked_at_compile_time(standard: str, shared: bool, tmp_path: Path) -> None:
    project = bundle("nano33", KWS, GESTURE, shared_arena=shared, sizes=SIZES)
    folder = write_project(ProjectKind.PLATFORMIO, project, tmp_path / "it")
    for macro, size, what in (
        ("KWS_MAX_STACK_BYTES", 400, "kws_stack_keeps_its_budget"),
        ("KWS_MAX_CODE_BYTES", 9_000, "kws_code_keeps_its_budget"),
        ("GESTURE_MAX_STACK_BYTES", 300, "gesture_stack_keeps_its_budget"),
    ):
        assert compiles(folder, standard, f"-D{macro}={size}") == (True, "")
        fine, said = compiles(folder, standard, f"-D{macro}={size - 1}")
        assert not fine and what in said


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("KWS_STACK_BYTES 400", "KWS_STACK_BYTES 262144", "kws_arenas_and_stack_fit_the_ram"),
        ("GESTURE_CODE_BYTES 5000", "GESTURE_CODE_BYTES 983040", "constants_and_code_fit_the_flash"),
    ],
)
def test_what_does_not_fit_the_board_does_not_compile(old: str, new: str, what: str, tmp_path: Path) -> None:
    project = bundle("nano33", KWS, GESTURE, sizes=SIZES)
    folder = write_project(ProjectKind.PLATFORMIO, project, tmp_path / "it")
    text = (folder / PROGRAM).read_text(encoding="utf-8")
    assert f"#define {old}\n" in text and "a compiler 1.0" in text
    (folder / PROGRAM).write_text(text.replace(old, new), encoding="utf-8")
    fine, said = compiles(folder, "c11")
    assert not fine and what in said


@pytest.mark.parametrize("kind", [ProjectKind.PLATFORMIO, ProjectKind.ZEPHYR, ProjectKind.CMAKE, ProjectKind.ARDUINO])
def test_every_project_has_the_checks_where_a_compiler_told_the_sizes(kind: ProjectKind) -> None:
    def programs(sizes: tuple[CodeSize | None, ...]) -> list[str]:
        files = export_project(kind, bundle("nano33", KWS, sizes=sizes))
        return [text for path, text in files.items() if path.endswith("selftests.c")]

    for sizes, stack, code in (
        (SIZES[:1], True, True),
        ((CodeSize(9_000, 8_000, None),), False, True),
        ((None,), False, False),
        ((), False, False),
    ):
        (text,) = programs(sizes)
        assert ("#define KWS_STACK_BYTES 400" in text) == stack and ("#define KWS_CODE_BYTES 9000" in text) == code
        assert ("_fit_the_ram" in text, "_fit_the_flash" in text) == (stack, code)
