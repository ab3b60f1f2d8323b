"""Projects for the tests of exports: compiled once, exported often."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.support.paths import EXAMPLES
from tinygen import compile_model, load_board, read_model
from tinygen.compile import InputForm, Options
from tinygen.export import MANIFEST, Bundle, ProjectKind, export_project, write_folder
from tinygen.ledger import CodeSize
from tinygen.validate.vectors import make_vectors, selftest_sources

KWS, GESTURE, VISION = map(str, EXAMPLES)


@cache
def bundle(
    board: str,
    *models: str,
    shared_arena: bool = False,
    inferences: int = 1,
    name: str | None = None,
    input_form: InputForm = InputForm.WHOLE,
    sizes: tuple[CodeSize | None, ...] = (),
) -> Bundle:
    """The models compiled for a board, with their self-tests, and the sizes that a compiler is said to have made."""
    options = Options(name=name, input_form=input_form)
    compiled = tuple(compile_model(read_model(model), load_board(board), options) for model in models)
    selftests = tuple(selftest_sources(c, make_vectors(c, inferences)) for c in compiled)
    return Bundle(compiled, selftests, shared_arena, inferences, sizes)


def write_project(kind: ProjectKind, project: Bundle, folder: Path) -> Path:
    """The project as a folder."""
    files = export_project(kind, project)
    write_folder(folder, {**files, MANIFEST: '{"tinygen": "0", "files": []}'})
    return folder
