"""The reference's child process: whatever it does, the parent says what happened and what to try."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from tests.support.models import ModelBuilder
from tests.support.samples import two_convolutions
from tinygen.errors import ModelError, ToolError
from tinygen.ir import Reference
from tinygen.validate import interpreters
from tinygen.validate.interpreters import Job, run_many, run_reference

# Child programs. `child` is the real one with an interpreter that needs no package: tensor i is full of i.
FAKE = """
import os, signal, sys, time
import numpy as np
from tinygen.validate import child

def start(data, tensors):
    def infer(values):
        return {index: np.full((2, 2), index, np.int8) for index in tensors}
    return infer

child.STARTS = dict.fromkeys(child.STARTS, start)
"""
MAIN = "\nsys.exit(child.main(*sys.argv[1:]))"
CRASH = "\nos.kill(os.getpid(), signal.SIGSEGV)"
# Job 1 crashes, whatever process works on it.
CRASH_ON_1 = """
run_job = child.run_job
def crash_on_1(start, folder, number):
    if number == 1:
        print("about to fall", flush=True)
        os.kill(os.getpid(), signal.SIGABRT)
    run_job(start, folder, number)
child.run_job = crash_on_1
"""
REFUSE = """
def start(data, tensors):
    print("the interpreter's own words", file=sys.stderr, flush=True)
    raise RuntimeError("Didn't find op for builtin opcode 'CONV_2D'.")
child.STARTS = dict.fromkeys(child.STARTS, start)
"""
NO_PACKAGES = "import sys\nfor name in ('ai_edge_litert', 'tensorflow', 'tflite_micro'): sys.modules[name] = None\n"

DATA = two_convolutions().finish()
INPUTS = [[np.zeros((1, 6, 6, 3), np.int8)], [np.ones((1, 6, 6, 3), np.int8)]]
references = pytest.mark.parametrize(
    ("reference", "other", "extra"),
    [(Reference.LITERT, "tflm", "reference"), (Reference.TFLM, "litert", "tflm")],
    ids=["litert", "tflm"],
)


def message_of(program: str, monkeypatch: pytest.MonkeyPatch, reference: Reference, timeout_s: float = 60) -> str:
    monkeypatch.setattr(interpreters, "START", program)
    with pytest.raises(ToolError) as caught:
        run_reference(DATA, reference, INPUTS, timeout_s=timeout_s)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_stand_in_gives_every_computed_tensor_of_every_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "START", FAKE + MAIN)
    found = run_reference(DATA, Reference.LITERT, INPUTS, timeout_s=60)
    assert [sorted(tensors) for tensors in found] == [[0, 3, 5], [0, 3, 5]]
    assert found[1][5].dtype == np.int8 and found[1][5].tolist() == [[5, 5], [5, 5]]


@references
@pytest.mark.parametrize(
    ("program", "what"),
    [
        (FAKE + CRASH, r"it crashed \(SIGSEGV\)"),
        (FAKE + "\nos.kill(os.getpid(), signal.SIGKILL)", r"it crashed \(SIGKILL\)"),
        (FAKE + "\nos._exit(7)", "it ended with exit code 7"),
        (FAKE + "\nos._exit(0)", "it ended with exit code 0"),
        (FAKE + REFUSE + MAIN, "RuntimeError: Didn't find op for builtin opcode 'CONV_2D'"),
        ("raise SystemError('broken')", "it ended with exit code 1"),
    ],
    ids=["segmentation fault", "killed", "exit code 7", "exit code 0", "refused", "traceback"],
)
def test_a_child_that_fails_is_told_with_the_other_reference(
    program: str, what: str, reference: Reference, other: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = message_of(program, monkeypatch, reference)
    assert message.startswith(f"the reference interpreter {reference.value} failed on this model: ")
    assert re.search(what, message), message
    assert f"Try --reference {other}." in message
    assert ".." not in message


@references
def test_a_child_that_hangs_is_stopped(
    reference: Reference, other: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = time.monotonic()
    message = message_of(FAKE + "\ntime.sleep(60)", monkeypatch, reference, timeout_s=0.5)
    assert time.monotonic() - begin < 20
    assert (
        f"{reference.value} failed on this model: it did not finish within 0.5 s. Try --reference {other}." in message
    )


@references
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    reference: Reference, other: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = message_of(NO_PACKAGES + interpreters.START, monkeypatch, reference)
    assert f'{reference.value} is not installed: run `pip install "tinygen[{extra}]"`.' in message
    assert "Traceback" not in message


def test_the_last_lines_that_the_child_printed_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    message = message_of(FAKE + REFUSE + MAIN, monkeypatch, Reference.LITERT)
    assert message.splitlines()[-1] == "  the interpreter's own words"
    lines = "\n".join(f"print({n}, flush=True)" for n in range(9))
    assert message_of(FAKE + lines + CRASH, monkeypatch, Reference.LITERT).splitlines()[1:] == [
        "  4", "  5", "  6", "  7", "  8",
    ]  # fmt: skip


def test_a_job_that_crashes_costs_no_other_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "START", FAKE + CRASH_ON_1 + MAIN)
    first, second, third = run_many([Job(DATA, INPUTS)] * 3, Reference.LITERT, timeout_s=60)
    assert isinstance(first, list) and isinstance(third, list)
    assert [len(first), len(third)] == [2, 2]
    assert isinstance(second, ToolError)
    assert "it crashed (SIGABRT)" in str(second) and "about to fall" in str(second)


def test_no_jobs_start_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "START", "raise SystemExit(3)")
    assert run_many([], Reference.LITERT, timeout_s=60) == []


def test_a_damaged_file_is_refused_before_any_child_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "START", "raise SystemExit(3)")
    with pytest.raises(ModelError):
        run_reference(b"no model", Reference.LITERT, INPUTS, timeout_s=60)


@pytest.mark.parametrize("reference", Reference, ids=lambda r: r.value)
def test_the_real_interpreters_give_inputs_and_outputs_of_every_operator(reference: Reference) -> None:
    b = ModelBuilder()
    x, y, z = b.input((2, 2), scale=0.5), b.tensor((2, 2), scale=0.5), b.tensor((4,), scale=0.5)
    b.node("RELU", [x], [y])
    b.node("RESHAPE", [y, b.constant(np.array([4], np.int32))], [z])
    b.output(z)
    inputs = [np.array([[-1, 2], [3, -4]], np.int8), np.array([[127, -128], [0, 1]], np.int8)]
    try:
        found = run_reference(b.finish(), reference, [[array] for array in inputs], timeout_s=60)
    except ToolError as missing:
        if "is not installed" not in str(missing):
            raise
        pytest.skip(str(missing))
    for tensors, given in zip(found, inputs, strict=True):
        assert {i: array.tolist() for i, array in tensors.items()} == {
            x: given.tolist(), y: given.clip(0).tolist(), z: given.clip(0).ravel().tolist(),
        }  # fmt: skip
