"""Fills an operator's typed fields from its options table."""

from __future__ import annotations

import dataclasses
import math
import sys
from enum import Enum
from functools import cache
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from tinygen.ir import DType, Op
from tinygen.tflite import schema
from tinygen.tflite.bounded import Table, Wire
from tinygen.tflite.schema import OperatorSlot


@dataclasses.dataclass(frozen=True, slots=True)
class OptionField:
    """One field of an operator: its slot in the options table, its annotated type and the schema's default."""

    slot: int
    name: str
    type: Any
    default: Any

    @property
    def wire(self) -> Wire | None:
        """How the file stores it; None for vectors and strings.

        Enumerations are bytes in the schema's options, and so are element types, which operators may hold as int.
        """
        if self.type is bool:
            return Wire.BOOL
        if self.type is float:
            return Wire.FLOAT32
        if self.type is int:
            return Wire.BYTE if self.is_type_code else Wire.INT32
        return Wire.BYTE if isinstance(self.type, type) and issubclass(self.type, Enum) else None

    @property
    def is_type_code(self) -> bool:
        """Whether it holds a TensorType of the schema."""
        return self.type is DType or (self.type is int and (self.name == "type" or self.name.endswith("_type")))


@cache
def option_fields(op: type[Op]) -> tuple[OptionField, ...]:
    """The fields of an operator, in slot order."""
    # The class's own hints cannot be resolved: those of its class variables need names that only type checkers import.
    own = SimpleNamespace(__annotations__={field.name: field.type for field in dataclasses.fields(op)})
    hints = get_type_hints(own, vars(sys.modules[op.__module__]))
    stored = {name: _stored(hint) for name, hint in hints.items()}
    return tuple(
        OptionField(slot, field.name, stored[field.name], _default(field, stored[field.name]))
        for slot, field in enumerate(dataclasses.fields(op))
    )


def read_options(op: type[Op], operator: Table) -> Op:
    """The operator with its attributes. An absent table, or an absent field, means the schema's defaults.

    Raises ModelError where the table is another operator's, an attribute is unknown or its value is.
    """
    if operator.number(OperatorSlot.BUILTIN_OPTIONS2_TYPE, Wire.UBYTE):
        raise operator.fault("it carries attributes of the second kind (builtin_options_2), which tinygen cannot read.")
    code = operator.number(OperatorSlot.BUILTIN_OPTIONS_TYPE, Wire.UBYTE)
    if code == 0:
        return op()
    found = schema.OPTIONS_NAMES.get(code, f"number {code}")
    if found != op.options:
        raise operator.fault(f"its attributes must be {op.options or 'absent'}. Found {found}: the file is damaged.")
    table = operator.table(OperatorSlot.BUILTIN_OPTIONS, operator.place)
    if table is None:
        return op()
    fields = option_fields(op)
    unknown = [slot for slot in table.set_slots() if slot >= len(fields)]
    if unknown:
        raise operator.fault(
            f"attribute {unknown[0]} of its {op.options} is set, but unknown to tinygen, which knows "
            f"{len(fields)}. Convert the model with an older TensorFlow, or upgrade tinygen."
        )
    return op(**{field.name: _read(table, field) for field in fields})


def _stored(annotation: Any) -> Any:
    """Of a union the first type: the others are what passes put in its place."""
    return get_args(annotation)[0] if isinstance(annotation, UnionType) else annotation


def _default(field: dataclasses.Field[Any], annotation: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if get_origin(annotation) is tuple:
        return ()
    return annotation(0) if issubclass(annotation, (int, float, Enum)) else annotation()


def _read(table: Table, field: OptionField) -> Any:
    if not table.is_set(field.slot):
        return field.default
    if field.wire is Wire.FLOAT32:
        value = table.real(field.slot)
        if not math.isfinite(value):
            raise table.fault(f"{field.name} must be finite. Found {value}.")
        return value
    if field.wire is None:
        return _read_reference(table, field)
    number = table.number(field.slot, field.wire)
    if field.is_type_code:
        return _element_type(table, field, number)
    if field.type in (int, bool):
        return field.type(number)
    known = {member.value: member for member in field.type}
    if number not in known:
        raise table.fault(
            f"{field.name} has the unknown value {number}; known are "
            f"{', '.join(f'{value} ({member.name})' for value, member in known.items())}."
        )
    return known[number]


def _element_type(table: Table, field: OptionField, code: int) -> int | DType:
    if code not in schema.TYPE_NAMES:
        raise table.fault(f"{field.name} has the unknown element type {code}.")
    if field.type is int:
        return code
    if code not in schema.DTYPES:
        raise table.fault(f"{field.name} is {schema.TYPE_NAMES[code]}, which tinygen cannot compute.")
    return schema.DTYPES[code]


def _read_reference(table: Table, field: OptionField) -> str | tuple[int, ...]:
    if field.type is str:
        return table.string(field.slot) or ""
    assert get_args(field.type) == (int, ...), f"{field.name}: {field.type} has no form in the schema"
    return table.integers(field.slot, Wire.INT32)
