"""The generated C equals numpy on this machine: every compiler there is, sanitizers on, every warning an error."""

from __future__ import annotations

import itertools
import os
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


def variants(case: Case) -> list[tuple[Reference, Graph, Sources]]:
    """The different texts that references and boards lead to, each with the graph it is for."""
    texts = {}
    for reference, board in itertools.product(case.references, BOARDS):
        nodes = min(case.count, SPECIALISED) if "dsp" in board.target.features else case.count
        graph = model_of(case, nodes).graph
        sources = generate(graph, board, reference)
        code = "".join(sources.files.values()).replace(reference.value, "").replace(board.target.name, "")
        texts.setdefault(code, (reference, graph, sources))
    return list(texts.values())


COMPILERS = {"gcc": ("g++", "apt install gcc g++"), "clang": ("clang++", "apt install clang libclang-rt-dev")}
"""Each with its C++ compiler and how to get them."""


@pytest.fixture
def compilers() -> tuple[str, ...]:
    """The paths of all compilers; skips the test where one is missing."""
    return tuple(map(sanitizing, COMPILERS))


def sanitizing(name: str) -> str:
    """The path of a compiler that links its sanitizers."""
    path = shutil.which(name)
    sanitizers = [path or "", "-fsanitize=address,undefined", "-x", "c", "-", "-o", os.devnull]
    probe = "int main(void) { return 0; }"
    if path is None or subprocess.run(sanitizers, input=probe, text=True, capture_output=True, check=False).returncode:
        pytest.skip(f"{name} with its sanitizers is not installed: {COMPILERS[name][1]}")
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_c_equals_numpy_on_the_host_and_is_valid_cpp(
    case: Case, compilers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = find_emulator(BOARDS[0], "host")
    monkeypatch.setattr("tinygen.toolchain.firmware.HOST_OPTIMIZATION", "-O0")  # compiles eight times as fast
    for number, (reference, graph, sources) in enumerate(variants(case)):
        inputs = inputs_of(graph)
        expected = [evaluate(graph, values, reference) for values in inputs]
        for path in compilers:
            monkeypatch.setattr("tinygen.toolchain.firmware.find_host_compilers", lambda path=path: ((path,),))
            folder = tmp_path / f"{number}_{Path(path).name}"
            assert_equal(case, graph, expected, run_c(sources, graph, inputs, BOARDS[0], host, Platform.HOST, folder))
            check_cpp(sources, COMPILERS[Path(path).name][0], folder)


def check_cpp(sources: Sources, compiler: str, folder: Path) -> None:
    """The generated files, which lie in the folder, compile without a warning as C++."""
    units = [name for name in sources.files if name.endswith(".c")]
    command = [compiler, *CPP17, "-x", "c++", *units]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
