"""Runs the Python reference interpreters, each in a child process, because they can crash."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinygen
from tinygen.errors import ToolError
from tinygen.ir import Array, Reference
from tinygen.tflite import computed_tensors, repaired
from tinygen.toolchain import Tool
from tinygen.validate import child

EXTRAS = {Reference.LITERT: "reference", Reference.TFLM: "tflm"}
PACKAGES = {Reference.LITERT: ("ai-edge-litert", "tensorflow"), Reference.TFLM: ("tflite-micro",)}
OTHER = {Reference.LITERT: Reference.TFLM, Reference.TFLM: Reference.LITERT}
SHOWN_LINES = 5
STARTUP_LOG = "log"
START = "import sys; from tinygen.validate import child; sys.exit(child.main(*sys.argv[1:]))"

Values = dict[int, Array]
"""The tensors of one inference by their index in the file: the inputs and every operator's outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A model's bytes, and for each inference one array an input of the model, of its shape and dtype."""

    data: bytes
    inputs: Sequence[Sequence[Array]]


def run_reference(
    data: bytes, reference: Reference, inputs: Sequence[Sequence[Array]], *, timeout_s: float
) -> list[Values]:
    """The values of every computed tensor in each inference, in their tensors' shapes and dtypes.

    Inferences follow each other in one interpreter, so state carries over. Raises ToolError when the interpreter is
    not installed, refuses the model, crashes or takes longer than `timeout_s`, and ModelError for a malformed file.
    """
    (outcome,) = run_many([Job(data, inputs)], reference, timeout_s=timeout_s)
    if isinstance(outcome, ToolError):
        raise outcome
    return outcome


def run_many(jobs: Sequence[Job], reference: Reference, *, timeout_s: float) -> list[list[Values] | ToolError]:
    """`run_reference` for many models in one child process; a job that fails yields its ToolError instead of values.

    A crash costs one more child. Raises ToolError when the interpreter is not installed or all jobs together take
    longer than `timeout_s`.
    """
    with tempfile.TemporaryDirectory(prefix="tinygen-") as name:
        folder = Path(name)
        for number, job in enumerate(jobs):
            _write_job(folder, number, job)
        deadline = time.monotonic() + timeout_s
        while _first_open(folder, len(jobs)) is not None:
            code = _run_child(folder, reference, deadline - time.monotonic())
            pending = _first_open(folder, len(jobs))
            if pending is None:
                break
            log = folder / f"{pending}.log"
            if code is None:
                raise _failure(reference, f"it did not finish within {timeout_s:g} s", log)
            if code == child.MISSING_PACKAGE:
                raise _missing(reference, log)
            (folder / f"{pending}.{child.CRASH}").write_text(_cause(code), encoding="utf-8")
        return [_outcome(folder, number, job, reference) for number, job in enumerate(jobs)]


def survey() -> tuple[Tool, ...]:
    """Both reference interpreters, found or not."""
    rows = []
    for reference, packages in PACKAGES.items():
        versions = [(package, found) for package in packages if (found := _version(package))]
        rows.append(
            Tool(
                name=f"{reference.value} reference",
                version=versions[0][1] if versions else None,
                path="",
                purpose=f"says what is right: --reference {reference.value}",
                install=f'pip install "tinygen[{EXTRAS[reference]}]"',
            )
        )
    return tuple(rows)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _write_job(folder: Path, number: int, job: Job) -> None:
    (folder / f"{number}.tflite").write_bytes(repaired(job.data))
    stacked = {f"input{position}": np.stack(arrays) for position, arrays in enumerate(zip(*job.inputs, strict=True))}
    tensors = np.array(computed_tensors(job.data), np.int64)
    np.savez(folder / f"{number}.in.npz", tensors=tensors, **stacked)  # type: ignore[arg-type]


def _first_open(folder: Path, jobs: int) -> int | None:
    """The first job that has neither values nor a failure."""
    for number in range(jobs):
        if not any((folder / f"{number}.{kind}").exists() for kind in child.RESULTS):
            return number
    return None


def _run_child(folder: Path, reference: Reference, timeout_s: float) -> int | None:
    """The child's exit code, negative for a signal, or None when the time ran out."""
    package_root = str(Path(tinygen.__file__).parents[1])  # the child must find tinygen even if it is not installed
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", START, reference.value, str(folder)]
    try:
        with (folder / STARTUP_LOG).open("wb") as log:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                timeout=max(timeout_s, 0),
                check=False,
            ).returncode
    except subprocess.TimeoutExpired:
        return None


def _outcome(folder: Path, number: int, job: Job, reference: Reference) -> list[Values] | ToolError:
    log = folder / f"{number}.log"
    for kind in (child.ERROR, child.CRASH):
        file = folder / f"{number}.{kind}"
        if file.exists():
            return _failure(reference, file.read_text(encoding="utf-8"), log)
    with np.load(folder / f"{number}.{child.VALUES}") as stored:
        stacks = {int(index): stored[index] for index in stored.files}
    # The ellipsis keeps a scalar tensor an array.
    return [{index: stack[inference, ...] for index, stack in stacks.items()} for inference in range(len(job.inputs))]


def _cause(code: int) -> str:
    """What ended the child, in words."""
    if code >= 0:
        return f"it ended with exit code {code}"
    names = {member.value: member.name for member in signal.Signals}
    return f"it crashed ({names.get(-code, f'signal {-code}')})"


def _missing(reference: Reference, log: Path) -> ToolError:
    command = f'pip install "tinygen[{EXTRAS[reference]}]"'
    return ToolError(
        f"the reference interpreter {reference.value} is not installed: run `{command}`.{_last_lines(log)}"
    )


def _failure(reference: Reference, what: str, log: Path) -> ToolError:
    other = OTHER[reference].value
    return ToolError(
        f"the reference interpreter {reference.value} failed on this model: {what.rstrip('.')}. "
        f"Try --reference {other}."
        f"{_last_lines(log)}"
    )


def _last_lines(log: Path) -> str:
    """The end of what the child printed for a job, or at its start-up; indented below a message."""
    file = log if log.exists() else log.parent / STARTUP_LOG
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()][-SHOWN_LINES:]
    return "".join(f"\n  {line}" for line in lines)
