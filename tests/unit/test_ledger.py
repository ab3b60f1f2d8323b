"""The ledger: parts that add up, in JSON and in C, and a C file that notices what does not fit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tinygen
from tests.support.paths import EXAMPLES
from tests.support.samples import many_operators, two_convolutions
from tinygen import Compiled, load_board
from tinygen.cli import main
from tinygen.ledger import ledger
from tinygen.report.memory import memory_map
from tinygen.toolchain import find_host_compilers

KWS, GESTURE, _ = EXAMPLES
MODELS = {"kws": KWS, "gesture": GESTURE, "many": many_operators().finish(), "two": two_convolutions().finish()}
STANDARDS = ("c99", "c11", "c++17")


def compiled(model: Path | bytes) -> Compiled:
    return tinygen.compile_model(tinygen.read_model(model), load_board("nano33"), tinygen.Options(name="net"))


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_the_arena_add_up_to_it(name: str) -> None:
    program = compiled(MODELS[name]).program
    book = ledger(program)
    parts = book.state_bytes + book.activation_bytes + book.scratch_bytes + book.unused_bytes
    assert parts == book.arena_bytes == program.plan.arena_bytes
    assert book.constant_bytes == program.weights_bytes
    assert min(book.state_bytes, book.scratch_bytes, book.unused_bytes) >= 0 < book.activation_bytes


def test_scratch_is_what_no_tensor_ever_uses() -> None:
    program = compiled(GESTURE).program
    touched = np.zeros(program.plan.arena_bytes, bool)
    for view in program.plan.views.values():
        touched[view.offset_bytes : view.offset_bytes + view.size_bytes] = True
    book = ledger(program)
    assert book.activation_bytes == touched.sum()
    assert book.scratch_bytes + book.unused_bytes == (~touched).sum()


def test_the_manifest_has_the_ledger_with_code_and_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["build", str(GESTURE), "--board", "nano33", "-o", str(out), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    book = manifest["ledger"]
    arena = sum(book[f"{part}_bytes"] for part in ("state", "activation", "scratch", "unused"))
    assert arena == book["arena_bytes"] == manifest["arena_bytes"]
    assert book["code_bytes"] == manifest["code_bytes"] > 0
    assert 0 < book["stack_bytes"] == manifest["stack_bytes"] < 1024
    header = (out / "lib" / "gesture" / "include" / "gesture.h").read_text()
    for macro, part in (("ACTIVATION", "activation"), ("SCRATCH", "scratch"), ("CONSTANT", "constant")):
        assert f"#define GESTURE_{macro}_BYTES {book[f'{part}_bytes']}\n" in header


def compiles(files: dict[str, str], standard: str, folder: Path, *defines: str) -> tuple[bool, str]:
    """Whether a host compiler takes NET.c, and what it says."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = next(iter(find_host_compilers()), None)
    if command is None:
        pytest.skip("install a native C compiler: apt install gcc")
    language = ["-x", "c++"] if standard.startswith("c++") else []
    strict = (f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    done = subprocess.run(
        [*command, *language, *strict, *defines, "-c", "net.c", "-o", "net.o"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_c_says_when_a_budget_of_the_users_is_missed(standard: str, tmp_path: Path) -> None:
    model = compiled(GESTURE)
    files, book = dict(model.sources.files), ledger(model.program)
    for macro, size, what in (
        ("NET_MAX_ARENA_BYTES", book.arena_bytes, "net_arena_keeps_its_budget"),
        ("NET_MAX_CONSTANT_BYTES", book.constant_bytes, "net_constants_keep_their_budget"),
    ):
        assert compiles(files, standard, tmp_path, f"-D{macro}={size}") == (True, "")
        fine, said = compiles(files, standard, tmp_path, f"-D{macro}={size - 1}")
        assert not fine and what in said


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize(
    ("macro", "what"),
    [
        ("ARENA_BYTES", "fits_the_arena"),
        ("SCRATCH_BYTES", "net_ledger_adds_up"),
        ("CONSTANT_BYTES", "net_constants_are_of_this_build"),
    ],
)
def test_a_header_of_another_build_does_not_compile(macro: str, what: str, standard: str, tmp_path: Path) -> None:
    files = dict(compiled(GESTURE).sources.files)
    lines = files["net.h"].splitlines()
    (number,) = [n for n, line in enumerate(lines) if line.startswith(f"#define NET_{macro} ")]
    value = int(lines[number].split()[-1])
    lines[number] = f"#define NET_{macro} {value - 16 if macro == 'ARENA_BYTES' else value + 16}"
    fine, said = compiles({**files, "net.h": "\n".join(lines) + "\n"}, standard, tmp_path)
    assert not fine and what in said


def test_a_build_draws_the_arena_over_time_with_its_rings(tmp_path: Path) -> None:
    assert main(["build", str(KWS), "--board", "nano33", "--optimize", "ram", "-o", str(tmp_path / "out")]) == 0
    options = tinygen.Options(optimize=tinygen.Optimize.RAM)
    program = tinygen.compile_model(tinygen.read_model(KWS), load_board("nano33"), options).program
    text = (tmp_path / "out" / "memory.txt").read_text(encoding="utf-8")
    assert text == f"kws\n\n{memory_map(program)}\n"
    tensors = {t.index: t for t in program.graph.tensors()}
    buffered = {t: b for b in program.plan.buffers for t in (*b.tensors, *b.guests)}
    assert buffered.keys() == program.plan.views.keys()
    rings = {t for t, view in program.plan.views.items() if view.ring_rows < tensors[t].rows}
    assert rings
    for tensor in rings:
        assert f", {program.plan.views[tensor].ring_rows} of {tensors[tensor].rows} rows" in text
    assert ("; in turn " in text) == any(buffer.guests for buffer in program.plan.buffers)
