"""The CI snippets are YAML, and the commands in them are tinygen's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tinygen.arguments import parser
from tinygen.cli import COMMANDS

FOLDER = Path(__file__).parents[2] / "examples" / "ci"
DOCS = (*sorted((Path(__file__).parents[2] / "docs").glob("*.md")), *sorted(FOLDER.iterdir()))
FILES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_snippet_is_yaml(name: str) -> None:
    yaml = pytest.importorskip("yaml", reason='pip install "tinygen[dev]"')
    assert yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_its_commands_are_understood(name: str) -> None:
    commands = re.findall(r"tinygen (?:build|validate) .*", (FOLDER / name).read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        parser(COMMANDS).parse_args(shlex.split(command)[1:])


def test_every_renode_test_is_bounded_in_real_time() -> None:
    found = 0
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for command in re.findall(r"renode-test [^`\n]*\.robot", text):
            assert " --test-timeout 600 " in command, f"{path.name}: {command}"
            found += 1
        for step in re.findall(r"uses: antmicro/renode-test-action.*(?:\n {8,}.*)*", text):
            assert '\n          renode-arguments: "--test-timeout 600"' in step, f"{path.name}: {step}"
            found += 1
    assert found >= 4
