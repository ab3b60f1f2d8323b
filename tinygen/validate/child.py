"""What the child process does that runs a reference interpreter on the jobs of a folder.

Job k is `k.tflite` and `k.in.npz`, which holds `tensors` (the indices to return) and `input0`, `input1`, …
(one array an input of the model, the inferences stacked along a new first axis). Its values are written to `k.npz`,
one array a tensor, stacked likewise; or, where the interpreter refuses the model, its message to `k.error`. What the
interpreter prints goes to `k.log`. A job without any result is the one during which this process died; the parent
marks it with `k.crash`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MISSING_PACKAGE = 3
"""Exit code when the interpreter's Python package is not installed."""

VALUES, ERROR, CRASH = RESULTS = ("npz", "error", "crash")

TFLM_ARENA_BYTES = 1 << 28
"""Memory is only taken where it is touched; an arena that is too small makes the micro interpreter crash."""

Array = npt.NDArray[Any]
Infer = Callable[[Sequence[Array]], dict[int, Array]]
"""Runs one inference on the inputs' values and returns tensors by index."""


def start_litert(data: bytes, tensors: Sequence[int]) -> Infer:
    """The reference kernels of ai-edge-litert, or the same in tensorflow where only that is installed."""
    try:
        module = importlib.import_module("ai_edge_litert.interpreter")
        interpreter_class, resolvers = module.Interpreter, module.OpResolverType
    except ImportError:
        lite = importlib.import_module("tensorflow").lite
        interpreter_class, resolvers = lite.Interpreter, lite.experimental.OpResolverType
    interpreter = interpreter_class(
        model_content=data,
        experimental_op_resolver_type=resolvers.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    inputs = [detail["index"] for detail in interpreter.get_input_details()]

    def infer(values: Sequence[Array]) -> dict[int, Array]:
        for index, value in zip(inputs, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return {index: np.asarray(interpreter.get_tensor(index)) for index in tensors}

    return infer


def start_tflm(data: bytes, tensors: Sequence[int]) -> Infer:
    """TensorFlow Lite Micro's kernels."""
    runtime = importlib.import_module("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(
        data,
        arena_size=TFLM_ARENA_BYTES,
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,  # misspelt upstream
    )

    def infer(values: Sequence[Array]) -> dict[int, Array]:
        for position, value in enumerate(values):
            interpreter.set_input(value, position)
        interpreter.invoke()
        found = {index: interpreter.GetTensor(index, 0) for index in tensors}
        return {index: np.array(tensor["tensor_data"]).reshape(tensor["shape"]) for index, tensor in found.items()}

    return infer


STARTS: dict[str, Callable[[bytes, Sequence[int]], Infer]] = {"litert": start_litert, "tflm": start_tflm}


def run_job(start: Callable[[bytes, Sequence[int]], Infer], folder: Path, number: int) -> None:
    """Runs one job and writes its values. Raises whatever the interpreter raises."""
    with np.load(folder / f"{number}.in.npz") as stored:
        tensors = [int(index) for index in stored["tensors"]]
        inputs = [stored[f"input{position}"] for position in range(len(stored.files) - 1)]
    infer = start((folder / f"{number}.tflite").read_bytes(), tensors)
    inferences = [infer(values) for values in zip(*inputs, strict=True)]
    stacks = {str(index): np.stack([values[index] for values in inferences]) for index in tensors if inferences}
    partial = folder / f"{number}.partial.npz"
    np.savez(partial, **stacks)  # type: ignore[arg-type]
    partial.rename(folder / f"{number}.{VALUES}")  # all or nothing


def main(reference: str, directory: str) -> int:
    """Runs the jobs of the directory that have no result yet, in order. Returns the exit code."""
    folder = Path(directory)
    start = STARTS[reference]
    numbers = sorted(int(path.stem) for path in folder.glob("*.tflite"))
    for number in numbers:
        if any((folder / f"{number}.{kind}").exists() for kind in RESULTS):
            continue
        with (folder / f"{number}.log").open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            run_job(start, folder, number)
        except ImportError as error:
            print(error, file=sys.stderr, flush=True)
            return MISSING_PACKAGE
        except Exception as error:  # the interpreters raise every kind; the parent shows it
            (folder / f"{number}.{ERROR}").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
    return 0
