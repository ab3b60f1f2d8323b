"""The generated C: strict, deterministic, alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES, SHARED_NAMES, shared_model
from tinygen import Compiled, Optimize, Options, Reference, compile_model, load_board, read_model

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
LANGUAGES = {"c99": ("-x", "c", "-std=c99", "-Wstrict-prototypes"), "c++17": ("-x", "c++", "-std=c++17")}
ALLOWED = {"memcpy", "memset"}
HELPERS = ("__", "_GLOBAL_OFFSET_TABLE_")


def compiled(path: Path, reference: Reference = Reference.LITERT) -> Compiled:
    return compile_model(read_model(path), load_board("nano33"), Options(reference))


def write(model: Compiled, folder: Path) -> list[str]:
    for name, text in model.sources.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [name for name in model.sources.files if name.endswith(".c")]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def models() -> list[object]:
    shared = [pytest.param(name, id=name) for name in SHARED_NAMES]
    return [*shared, *(pytest.param(path, id=path.stem) for path in EXAMPLES)]


def find(model: str | Path) -> Path:
    return shared_model(model) if isinstance(model, str) else model


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("model", models())
def test_no_warning_under_strict_flags(model: str | Path, compiler: str, language: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing: apt install {compiler}")
    sources = write(compiled(find(model)), tmp_path)
    for hooks in ((), ("-DTINYGEN_VALIDATE",)):
        run(compiler, *LANGUAGES[language], *STRICT, *hooks, "-O2", "-c", *sources, cwd=tmp_path)


@pytest.mark.parametrize("model", models())
def test_two_builds_are_byte_identical(model: str | Path) -> None:
    path = find(model)
    assert dict(compiled(path).sources.files) == dict(compiled(path).sources.files)


@pytest.mark.parametrize("model", models())
def test_no_symbol_outside_but_the_interface_and_memory_functions(model: str | Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("gcc and nm are missing: apt install gcc binutils")
    result = compiled(find(model))
    name = result.program.name
    write(result, tmp_path)
    run("gcc", "-std=c99", "-O2", "-fno-pic", "-ffreestanding", "-c", f"{name}.c", f"{name}_weights.c", cwd=tmp_path)
    constants = {constant.symbol for constant in result.program.constants}
    interface = {f"{name}_{function}" for function in ("input", "output", "run")}
    quantized = {f"{symbol}_quantized" for symbol in interface}
    defined, undefined = set(), set()
    for line in run("nm", "-P", f"{name}.o", cwd=tmp_path).splitlines():
        symbol, kind = line.split()[:2]
        if kind == "U":
            undefined.add(symbol)
        elif kind.isupper():
            defined.add(symbol)
        assert kind.lower() not in "bd", f"writable global {line}"
    assert defined - quantized == interface
    assert not {s for s in undefined - constants - ALLOWED if not s.startswith(HELPERS)}


def test_code_of_kws_that_saves_flash_stays_under_12_kilobytes() -> None:
    from tinygen.toolchain import find_toolchain, measure

    model = compile_model(read_model(EXAMPLES[0]), load_board("nano33"), Options(optimize=Optimize.FLASH))
    target = model.board.target
    size = measure(model.sources.files, model.sources.name, target, find_toolchain(target))
    assert size.code_bytes < 12 * 1024
