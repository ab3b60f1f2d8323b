"""What works without any extra: everything but compilers, emulators and reference interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES

OPTIONAL = ("unicorn", "elftools", "ziglang", "ai_edge_litert", "tensorflow", "tflite_micro", "serial")

WITHOUT = f"""
import importlib.abc, importlib.metadata, importlib.util, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def find_spec(name, package=None, found=importlib.util.find_spec):
    return None if name.partition(".")[0] in {OPTIONAL!r} else found(name, package)

def version(name, found=importlib.metadata.version):
    if name not in ("pyelftools", "unicorn", "ai-edge-litert", "tensorflow", "tflite-micro", "pyserial"):
        return found(name)
    raise importlib.metadata.PackageNotFoundError(name)

sys.meta_path.insert(0, Refuse())
importlib.metadata.version = version
importlib.util.find_spec = find_spec
from tinygen.cli import main
sys.exit(main(sys.argv[1:]))
"""


def tinygen(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that has none of the optional packages, and no compiler on the PATH."""
    environment = {"PATH": str(cwd), "HOME": str(cwd)}
    command = [sys.executable, "-c", WITHOUT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_build_works_and_leaves_its_sizes_open(tmp_path: Path) -> None:
    done = tinygen("build", str(EXAMPLES[0]), "--board", "nano33", "-o", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["code_bytes"] is None
    assert (tmp_path / "out" / "kws.c").is_file()


@pytest.mark.parametrize("command", [["inspect", str(EXAMPLES[0])], ["boards"], ["ops"], ["doctor"]])
def test_what_needs_no_tool_works(command: list[str], tmp_path: Path) -> None:
    done = tinygen(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_validate_says_what_to_install(tmp_path: Path) -> None:
    done = tinygen("validate", str(EXAMPLES[0]), "--board", "nano33", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install" in done.stderr and "Traceback" not in done.stderr
