"""Collects everything of a sound model that tinygen cannot compute, to report it all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinygen.ir import Node, Op, Shape, Tensor
from tinygen.tflite.bounded import File, Wire
from tinygen.tflite.operators import RawOperator
from tinygen.tflite.options import read_options
from tinygen.tflite.schema import OperatorSlot
from tinygen.tflite.tensors import Tensors, UnsupportedTensor

MAX_LINES = 50


class Problems:
    """What tinygen cannot compute, one line each in the order found, and below them what to do about it."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}  # dictionaries keep order, sets do not
        self._advice: dict[str, None] = {}

    def add(self, line: str, advice: str = "") -> None:
        """Adds a line, and its advice, unless they are already there."""
        self._lines.setdefault(line)
        if advice:
            self._advice.setdefault(advice)

    def raise_if_any(self, file: File) -> None:
        """Raises one ModelError that holds every line, if there is one."""
        lines = list(self._lines)
        if not lines:
            return
        if len(lines) == 1:
            raise file.fault("", " ".join([*lines, *self._advice]))
        if len(lines) > MAX_LINES:
            lines[MAX_LINES:] = [f"… and {len(lines) - MAX_LINES} more."]
        listed = "\n".join(["tinygen cannot compute this model:", *(f"  {line}" for line in lines), *self._advice])
        raise file.fault("", listed)


def supported_node(raw: RawOperator, ops: Mapping[str, type[Op]], tensors: Tensors, problems: Problems) -> Node | None:
    """The node, or None where it cannot be computed and `problems` says why. Raises ModelError for a damaged file."""
    op = ops.get(raw.name)
    if op is None:
        problems.add(
            f"{raw.describe()}, {_types(raw.inputs, tensors)} to {_types(raw.outputs, tensors)}, is not supported.",
            "Replace unsupported layers in the training script; `tinygen ops` lists the supported operators.",
        )
        return None
    if fault := _operands_fault(raw, op):
        problems.add(f"{raw.describe()}: {fault}")
        return None
    filled = read_options(op, raw.table)
    inputs = [None if operand < 0 else _tensor(operand, tensors, problems) for operand in raw.inputs]
    outputs = [_tensor(operand, tensors, problems) for operand in raw.outputs]
    produced = tuple(tensor for tensor in outputs if tensor is not None)
    if len(produced) < len(outputs) or any(t is None and i >= 0 for t, i in zip(inputs, raw.inputs, strict=True)):
        return None
    node = Node(filled, tuple(inputs), produced, raw.index)
    fault = _broken_constraint(node) or _wrong_shape(node)
    if fault:
        problems.add(f"{raw.describe()}: {fault}")
    return None if fault else node


def _tensor(index: int, tensors: Tensors, problems: Problems) -> Tensor | None:
    try:
        return tensors.get(index)
    except UnsupportedTensor as unsupported:
        problems.add(str(unsupported))
        return None


def _operands_fault(raw: RawOperator, op: type[Op]) -> str | None:
    """What is wrong with the number of operands, if anything; the operator's own rules may then index them."""
    fewest, most = op.arity
    if not fewest <= len(raw.inputs) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        return f"It must have {wanted} inputs. Found {len(raw.inputs)}."
    for position, operand in enumerate(raw.inputs[:fewest]):
        if operand < 0:
            return f"Its input {position} must not be omitted."
    if len(raw.outputs) != op.outputs:
        return f"It must have {op.outputs} output{'s' * (op.outputs != 1)}. Found {len(raw.outputs)}."
    if raw.table.vector(OperatorSlot.INTERMEDIATES, Wire.INT32.size_bytes)[1]:
        return "It must not have intermediate tensors."
    if any(raw.table.integers(OperatorSlot.MUTATING_VARIABLE_INPUTS, Wire.BOOL)):
        return "It must not change its inputs."
    return None


def _broken_constraint(node: Node) -> str | None:
    """The first constraint that the node breaks, and the value found; each may rely on those before it."""
    with np.errstate(all="ignore"):  # extreme scales overflow float32; the rules find that out
        for constraint in node.op.constraints:
            found = constraint(node)
            if found is not None:
                return f"{' '.join((constraint.__doc__ or '').split())} Found {found}."
    return None


def _wrong_shape(node: Node) -> str | None:
    """The first output that has another shape in the file than the operator gives it."""
    try:
        expected = node.op.infer(node)
    except ValueError as error:
        return str(error)
    for position, (shape, output) in enumerate(zip(expected, node.outputs, strict=True)):
        if shape != output.shape:
            return (
                f"Output {position} must have shape {_times(shape)}. Found {_times(output.shape)}. The file is damaged."
            )
    return None


def _types(operands: Sequence[int], tensors: Tensors) -> str:
    return ", ".join("none" if operand < 0 else tensors.type_name(operand) for operand in operands) or "nothing"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"
