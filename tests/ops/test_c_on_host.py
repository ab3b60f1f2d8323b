"""The generated C equals numpy on this machine: every compiler there is, sanitizers on, every warning an error."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ops.cases import CASES, Case
from tests.ops.harness import assert_equal, generate, inputs_of, model_of, run_c
from tinygen.boards import load_board
from tinygen.emit import Sources
from tinygen.emulate import find_emulator
from tinygen.ir import Graph, Reference
from tinygen.toolchain import Platform
from tinygen.validate.evaluate import evaluate

CPP17 = ("-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror", "-fsyntax-only")
BOARDS = tuple(map(load_board, ("microbit", "nano33")))
"""An instruction set without features, which gets portable kernels, and one with DSP, whose kernels have C beside."""


SPECIALISED = 12
"""Nodes at most with DSP: each has code of its own there, which takes a compiler with its sanitizers long."""


def variants(case: Case, count: int) -> list[tuple[Reference, Graph, Sources]]:
    """The different texts that references and boards lead to, each with the graph it is for."""
    texts = {}
    for reference, board in itertools.product(case.references, BOARDS):
        nodes = min(count, SPECIALISED) if "dsp" in board.target.features else count
        graph = model_of(case, nodes).graph
        sources = generate(graph, board, reference)
        code = "".join(sources.files.values()).replace(reference.value, "").replace(board.target.name, "")
        texts.setdefault(code, (reference, graph, sources))
    return list(texts.values())


SECOND_COMPILER = 40
"""Nodes at most that GCC compiles too, after clang had them all."""

COMPILERS = {"gcc": "apt install gcc", "clang": "apt install clang libclang-rt-dev"}


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    path = shutil.which(request.param)
    sanitizers = [path or "", "-fsanitize=address,undefined", "-x", "c", "-", "-o", str(tmp_path / "probe")]
    probe = "int main(void) { return 0; }"
    if path is None or subprocess.run(sanitizers, input=probe, text=True, capture_output=True, check=False).returncode:
        pytest.skip(f"{request.param} with its sanitizers is not installed: {COMPILERS[request.param]}")
    monkeypatch.setattr("tinygen.toolchain.firmware.find_host_compilers", lambda: ((path,),))
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_c_equals_numpy_on_the_host(case: Case, compiler: str, tmp_path: Path) -> None:
    host = find_emulator(BOARDS[0], "host")
    count = min(case.count, SECOND_COMPILER) if Path(compiler).name == "gcc" else case.count
    for number, (reference, graph, sources) in enumerate(variants(case, count)):
        inputs = inputs_of(graph)
        found = run_c(sources, graph, inputs, BOARDS[0], host, Platform.HOST, tmp_path / str(number))
        assert_equal(case, graph, [evaluate(graph, values, reference) for values in inputs], found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_c_is_valid_cpp(case: Case, tmp_path: Path) -> None:
    compilers = [path for path in map(shutil.which, ("g++", "clang++")) if path]
    if not compilers:
        pytest.skip("there is no C++ compiler: apt install g++")
    for number, (_, _, sources) in enumerate(variants(case, 20)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in sources.files.items():
            (folder / name).write_text(text)
        units = [name for name in sources.files if name.endswith(".c")]
        for path in compilers:
            done = subprocess.run(
                [path, *CPP17, "-x", "c++", *units], cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
