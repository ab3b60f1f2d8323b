"""Writes flatbuffers tables from nested records, with nothing but the schema of the `tflite` package."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

IDENTIFIER = b"TFL3"
DATA_ALIGNMENT_BYTES = 16  # force_align of Buffer.data in the schema

ENUMS = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "mode": "MirrorPadMode",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "kernel_type": "LSTMKernelType",
    "in_data_type": "TensorType",
    "out_data_type": "TensorType",
    "output_type": "TensorType",
    "out_type": "TensorType",
    "idx_out_type": "TensorType",
    "quantized_bias_type": "TensorType",
    "type": "TensorType",
}


@dataclass
class Record:
    """A table of the schema: its name and its fields in snake case. Tests may change any field before writing."""

    table: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """A field of a table as its generated writer sees it. `kind` is `Int32`, `Bool`, `Float32`, `UOffsetTRelative`…"""

    index: int
    name: str
    kind: str
    default: Any


class _Recorder:
    """Stands in for flatbuffers.Builder to learn what a generated `…Add…` function would write."""

    def __init__(self) -> None:
        self.call: tuple[str, int, Any] | None = None

    def __getattr__(self, name: str) -> Callable[[int, Any, Any], None]:
        def prepend(slot: int, value: Any, default: Any) -> None:
            self.call = (name.removeprefix("Prepend").removesuffix("Slot"), slot, default)

        return prepend


def snake(name: str) -> str:
    """`stridedSlice` → `strided_slice`. Digits stay with the letter before: `dilationHFactor` → `dilation_h_factor`."""
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def slots(table: str) -> tuple[Slot, ...]:
    """The fields of a table of the schema, in slot order, as its generated module writes them."""
    module = importlib.import_module(f"tflite.{table}")
    prefix = f"{table}Add"
    found = []
    for name, function in vars(module).items():
        if name.startswith(prefix):
            recorder = _Recorder()
            function(recorder, 0)
            assert recorder.call is not None
            kind, index, default = recorder.call
            found.append(Slot(index, snake(name.removeprefix(prefix)), kind, default))
    return tuple(sorted(found, key=lambda slot: slot.index))


def serialise(root: Record) -> bytes:
    """The bytes of a file whose root table is `root`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, root), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, record: Record) -> int:
    module = importlib.import_module(f"tflite.{record.table}")
    known = {slot.name: slot for slot in slots(record.table)}
    unknown = record.fields.keys() - known.keys()
    assert not unknown, f"{record.table} has no field {sorted(unknown)}; it has {sorted(known)}"
    values = {}
    for name, value in record.fields.items():
        if value is None:
            continue
        if known[name].kind == "UOffsetTRelative":
            values[name] = _write_reference(builder, module, record.table, name, value)
        else:
            values[name] = _scalar(name, value)
    builder.StartObject(len(known))
    for name, value in values.items():
        slot = known[name]
        getattr(builder, f"Prepend{slot.kind}Slot")(slot.index, value, slot.default)
    return int(builder.EndObject())


def _write_reference(builder: flatbuffers.Builder, module: Any, table: str, name: str, value: Any) -> int:
    if isinstance(value, Record):
        return _write(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), DATA_ALIGNMENT_BYTES)
        builder.head -= len(value)
        builder.Bytes[builder.head : builder.head + len(value)] = value
        return int(builder.EndVector())
    items = list(value)
    if items and isinstance(items[0], (Record, str)):
        offsets = [_write_reference(builder, module, table, name, item) for item in items]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())
    element_bytes = _element_bytes(module, table, name)
    if any(isinstance(item, (float, np.floating)) for item in items):
        dtype = {4: np.float32, 8: np.float64}[element_bytes]
    else:
        dtype = {1: np.int8, 4: np.int32, 8: np.int64}[element_bytes]  # type: ignore[assignment]
    return int(builder.CreateNumpyVector(np.array(items, dtype)))


def _element_bytes(module: Any, table: str, name: str) -> int:
    class VectorRecorder:
        def StartVector(self, element_bytes: int, count: int, alignment: int) -> int:
            return element_bytes

    starts = {snake(n): f for n, f in vars(module).items() if n.startswith(f"{table}Start") and n.endswith("Vector")}
    start = starts[f"{snake(f'{table}Start')}_{name}_vector"]
    return int(start(VectorRecorder(), 0))


def _scalar(name: str, value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str):
        return getattr(getattr(tflite, ENUMS[name]), value)
    return value
