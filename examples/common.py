"""Runs an example's int8 model in the reference interpreter and reports its accuracy on held-out data."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

try:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ImportError:  # the same kernels, where the user already has tensorflow
    from tensorflow import lite

    Interpreter, OpResolverType = lite.Interpreter, lite.experimental.OpResolverType

Examples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def open_model(model: Path) -> Interpreter:
    """Load a model on the reference kernels, the ones that tinygen is compared with."""
    interpreter = Interpreter(
        model_path=str(model),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def quantised(interpreter: Interpreter, features: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Turn features into the int8 values that the model's input expects, in the same shape."""
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    values: npt.NDArray[np.float32] = np.round(features / scale) + zero_point
    return values.clip(-128, 127).astype(np.int8)


def predictions(interpreter: Interpreter, inputs: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return the class with the greatest score for each input (count, *input shape)."""
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    classes = np.empty(len(inputs), np.int64)
    for position, values in enumerate(inputs):
        interpreter.set_tensor(input_index, values[None])
        interpreter.invoke()
        classes[position] = interpreter.get_tensor(output_index)[0].argmax()
    return classes


def evaluate(model: Path, class_names: tuple[str, ...], held_out_set: Callable[[int], Examples]) -> None:
    """Be the command line of an example's evaluate.py."""
    parser = argparse.ArgumentParser(description=f"Print the accuracy of {model.name} on held-out data.")
    parser.add_argument("--count", type=int, default=100 * len(class_names), help="held-out examples to run")
    parser.add_argument("--save-inputs", type=Path, metavar="FILE.npz", help="write the int8 inputs there")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error(f"--count must be at least 1, not {arguments.count}")

    interpreter = open_model(model)
    features, labels = held_out_set(arguments.count)
    inputs = quantised(interpreter, features)
    if arguments.save_inputs:
        # tinygen reads one array a model input: its shape, batch dimension included, after a count.
        arrays: dict[str, Any] = {interpreter.get_input_details()[0]["name"]: inputs[:, None]}
        np.savez_compressed(arguments.save_inputs, **arrays)

    counts = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(counts, (labels, predictions(interpreter, inputs)), 1)
    correct = int(np.trace(counts))
    console = Console(width=max(100, Console().width), highlight=False)
    console.print(_confusion_table(class_names, counts))
    console.print(
        f"{model.name}: {correct} of {arguments.count} held-out examples right, "
        f"{100 * correct / arguments.count:.1f} % (chance {100 / len(class_names):.1f} %)"
    )


def _confusion_table(class_names: tuple[str, ...], counts: npt.NDArray[np.int64]) -> Table:
    """Lay out true classes as rows and predicted classes as columns, with each class's accuracy."""
    table = Table("true", caption="one row a true class, one column a predicted class")
    for name in class_names:
        table.add_column(name, justify="right")
    table.add_column("accuracy", justify="right")
    for index, (name, row) in enumerate(zip(class_names, counts, strict=True)):
        share = f"{100 * row[index] / max(1, row.sum()):.0f} %"
        table.add_row(name, *(str(count) if count else "·" for count in row), share)
    return table
