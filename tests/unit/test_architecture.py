"""The house is as docs/architecture.md draws it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tinygen

PACKAGE = Path(tinygen.__file__).parent

# A module imports only from its own line and the lines above it.
ORDER = (
    ("errors", "resources", "version", "ir"),
    ("fixedpoint", "gemmlowp", "targets"),
    ("ops", "board_file", "boards"),
    ("board_code",),
    ("tflite", "passes", "kernels"),
    ("plan",),
    ("program",),
    ("lower", "ledger", "placement"),
    ("emit",),
    ("compile",),
    ("export",),
)
SIDE = ("toolchain", "emulate", "validate")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


def room(path: Path) -> str:
    """The first-level name a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "tinygen" else [f"tinygen.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("tinygen.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    level = {name: number for number, names in enumerate(ORDER) for name in names}
    here = room(path)
    if here not in level:
        return
    later = {name for name in imported_rooms(path) if name != here and level.get(name, len(ORDER)) > level[here]}
    assert not later, f"{path.name} imports {sorted(later)}"


@pytest.mark.parametrize("path", [p for p in modules() if room(p) in SIDE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_toolchain_emulators_and_validation_do_not_know_operators(path: Path) -> None:
    assert not imported_rooms(path) & {"ops"}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_file_says_what_it_is_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    assert text.count("\n") <= 500
