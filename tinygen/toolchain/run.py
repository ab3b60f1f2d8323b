"""Calls a compiler and turns its failure into an error with its last lines."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinygen.errors import ToolError
from tinygen.toolchain.find import compiler_environment

COMPILE_TIMEOUT_S = 900.0
SHOWN_LINES = 12
_TELLING = re.compile(r"error|undefined reference|overflowed|will not fit|cannot|No such", re.IGNORECASE)


def call(command: Sequence[str], directory: Path) -> str:
    """Runs one compiler command in `directory`; its stderr. Raises `ToolError` with the first errors."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=compiler_environment(directory),
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{command[0]}: no result within {COMPILE_TIMEOUT_S:.0f} s; command: {_text(command)}."
        ) from error
    except OSError as error:
        raise ToolError(f"{command[0]}: cannot be started: {error.strerror}.") from error
    if done.returncode != 0:
        raise ToolError(
            f"{Path(command[0]).name} failed with exit code {done.returncode} in {directory}:\n"
            f"{excerpt(done.stderr or done.stdout)}\ncommand: {_text(command)}"
        )
    return done.stderr


def call_all(commands: Sequence[Sequence[str]], directory: Path) -> None:
    """Runs independent commands, as many at once as there are processors; raises the first failure."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for result in [pool.submit(call, command, directory) for command in commands]:
            result.result()


def excerpt(text: str) -> str:
    """The lines that say what went wrong: from the first error on, else the last ones."""
    lines = text.strip().splitlines()
    start = next((i for i, line in enumerate(lines) if _TELLING.search(line)), None)
    shown = lines[start : start + SHOWN_LINES] if start is not None else lines[-SHOWN_LINES:]
    return "\n".join(shown)


def _text(command: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in command)
