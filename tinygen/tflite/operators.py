"""Decodes operators as far as the file's structure goes: code, operands, order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.tflite import schema
from tinygen.tflite.bounded import File, Table, Wire, shown
from tinygen.tflite.schema import OperatorCodeSlot, OperatorSlot
from tinygen.tflite.tensors import Tensors


@dataclass(frozen=True, slots=True)
class RawOperator:
    """An operator of the file with operands that exist. -1 stands for an omitted input."""

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Table

    def describe(self) -> str:
        """`operator 7 (CONV_2D)`, as errors name it."""
        return self.table.place


def read_operators(file: File, tables: Sequence[Table], codes: Sequence[Table], tensors: int) -> list[RawOperator]:
    """The operators in the file's order. Raises ModelError where a code or operand does not exist."""
    operators = []
    for index, table in enumerate(tables):
        number = table.number(OperatorSlot.OPCODE_INDEX, Wire.UINT32)
        if number >= len(codes):
            raise table.fault(f"its code is entry {number}, but the file has {len(codes)} operator codes.")
        name = _name(codes[number])
        named = Table(file, table.position, f"operator {index} ({name})")
        inputs = named.integers(OperatorSlot.INPUTS, Wire.INT32)
        outputs = named.integers(OperatorSlot.OUTPUTS, Wire.INT32)
        for role, operands, lowest in (("input", inputs, -1), ("output", outputs, 0)):
            for position, operand in enumerate(operands):
                if not lowest <= operand < tensors:
                    raise named.fault(f"{role} {position} is tensor {operand}, but the file has {tensors} tensors.")
        version = codes[number].number(OperatorCodeSlot.VERSION, Wire.INT32, 1)
        operators.append(RawOperator(index, name, version, inputs, outputs, named))
    return operators


def check_order(
    file: File, operators: Sequence[RawOperator], tensors: Tensors, inputs: Sequence[int], outputs: Sequence[int]
) -> None:
    """Raises ModelError unless every tensor is produced once, and before it is read."""
    available = set(inputs)
    producers: dict[int, RawOperator] = {}
    for operator in operators:
        for operand in operator.outputs:
            fault = None
            if operand in producers:
                fault = f"already produced by {producers[operand].describe()}"
            elif operand in available:
                fault = "an input of the model"
            elif tensors.is_constant(operand):
                fault = "a constant"
            if fault:
                raise operator.table.fault(f"it writes {tensors.describe(operand)}, which is {fault}.")
            producers[operand] = operator
    for operator in operators:
        for operand in operator.inputs:
            if operand < 0 or operand in available or tensors.is_constant(operand):
                continue
            producer = producers.get(operand)
            when = "nothing produces" if producer is None else f"{producer.describe()} produces only then or later"
            raise operator.table.fault(
                f"it reads {tensors.describe(operand)}, which {when}. The graph must be acyclic "
                "and in order of execution."
            )
        available.update(operator.outputs)
    for position, operand in enumerate(outputs):
        if operand not in available:
            what = "a constant" if tensors.is_constant(operand) else "a tensor that nothing produces"
            raise file.fault(
                f"output {position}", f"it is {tensors.describe(operand)}, {what}. Remove it from the model's outputs."
            )


def _name(code: Table) -> str:
    """The operator's name in the schema; a custom operator's own name in quotes."""
    # Files from before 2020 have only the first field; newer ones hold 127 there for codes above.
    number = max(
        code.number(OperatorCodeSlot.DEPRECATED_BUILTIN_CODE, Wire.BYTE),
        code.number(OperatorCodeSlot.BUILTIN_CODE, Wire.INT32),
    )
    name = schema.OPERATOR_NAMES.get(number)
    if name is None:
        return f"number {number}"
    if name == schema.CUSTOM:
        return f"{name} {shown(code.string(OperatorCodeSlot.CUSTOM_CODE) or '')}"
    return name
