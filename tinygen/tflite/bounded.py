"""Bounds-checked access to flatbuffers: no offset or length is believed before it is held against the file's."""

from __future__ import annotations

import struct
from enum import Enum

from tinygen.errors import ModelError

_INT32 = struct.Struct("<i")
_UINT32 = struct.Struct("<I")
_UINT16_PAIR = struct.Struct("<HH")
_SHOWN_CHARACTERS = 60
END_OF_COMMENT = "*/"


class Wire(Enum):
    """Scalars of the file; the value is struct's letter."""

    BOOL = "?"
    BYTE = "b"
    UBYTE = "B"
    INT32 = "i"
    UINT32 = "I"
    INT64 = "q"
    UINT64 = "Q"
    FLOAT32 = "f"

    @property
    def size_bytes(self) -> int:
        return struct.calcsize(f"<{self.value}")


def shown(text: str) -> str:
    """`text` from a file as errors print it: quoted, control characters escaped, not too long."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…")


class File:
    """The bytes of a model, what errors call it, and how much of it may still be decoded.

    In an honest file every table and vector is decoded about once. A hostile one points at a long vector from a
    thousand places, so all that is decoded is counted and ends at a few times the file's length.
    """

    def __init__(self, label: str, data: bytes) -> None:
        self.label = label
        self.data = data
        self._allowance_bytes = 4 * len(data) + (1 << 20)

    def fault(self, place: str, sentence: str) -> ModelError:
        """The error that names the file and the place in it."""
        return ModelError(f"{self.label}: {place}: {sentence}" if place else f"{self.label}: {sentence}")

    def check(self, position: int, size_bytes: int, place: str) -> None:
        """Raises ModelError unless `size_bytes` from `position` on lie in the file."""
        if position < 0 or size_bytes < 0 or position + size_bytes > len(self.data):
            raise self.fault(
                place,
                f"the file is truncated or damaged: it points at bytes {position} to {position + size_bytes}, "
                f"but ends at {len(self.data)}. Copy or export the model again.",
            )

    def spend(self, size_bytes: int, place: str) -> None:
        """Counts decoded bytes. Raises ModelError where parts of the file are shared beyond reason."""
        self._allowance_bytes -= size_bytes
        if self._allowance_bytes < 0:
            raise self.fault(place, "the file is damaged: its tables share the same bytes far too often.")


class Table:
    """One table of the file. Fields are addressed by slot, as the schema numbers them.

    Every method raises ModelError, naming `place`, where the file is damaged.
    """

    def __init__(self, file: File, position: int, place: str) -> None:
        self.file, self.position, self.place = file, position, place
        file.check(position, _INT32.size, place)
        vtable = position - _INT32.unpack_from(file.data, position)[0]
        file.check(vtable, _UINT16_PAIR.size, place)
        vtable_bytes, self._table_bytes = _UINT16_PAIR.unpack_from(file.data, vtable)
        if vtable_bytes < 4 or vtable_bytes % 2:
            raise self.fault(f"the file is damaged: a table of fields has {vtable_bytes} bytes.")
        file.check(vtable, vtable_bytes, place)
        file.check(position, self._table_bytes, place)
        file.spend(vtable_bytes + self._table_bytes, place)
        self._offsets: tuple[int, ...] = struct.unpack_from(f"<{(vtable_bytes - 4) // 2}H", file.data, vtable + 4)

    def fault(self, sentence: str) -> ModelError:
        """The error that names the file and this table's place."""
        return self.file.fault(self.place, sentence)

    def is_set(self, slot: int) -> bool:
        """Whether the field is written, be it with its default."""
        return slot < len(self._offsets) and self._offsets[slot] != 0

    def set_slots(self) -> list[int]:
        """The slots of all written fields, ascending."""
        return [slot for slot, offset in enumerate(self._offsets) if offset]

    def position_of(self, slot: int, size_bytes: int) -> int | None:
        """Where in the file the field of `size_bytes` lies, or None where it is not written."""
        if not self.is_set(slot):
            return None
        offset = self._offsets[slot]
        if offset < 4 or offset + size_bytes > self._table_bytes:
            raise self.fault(f"the file is damaged: field {slot} lies outside its table.")
        return self.position + offset

    def number(self, slot: int, wire: Wire, default: int = 0) -> int:
        """An integer or boolean scalar."""
        position = self.position_of(slot, wire.size_bytes)
        return default if position is None else int(struct.unpack_from(f"<{wire.value}", self.file.data, position)[0])

    def real(self, slot: int, default: float = 0.0) -> float:
        """A float32 scalar; it may be infinite or not a number."""
        position = self.position_of(slot, Wire.FLOAT32.size_bytes)
        return default if position is None else float(struct.unpack_from("<f", self.file.data, position)[0])

    def table(self, slot: int, place: str) -> Table | None:
        """A nested table, or None where it is not written."""
        target = self._target(slot)
        return None if target is None else Table(self.file, target, place)

    def vector(self, slot: int, element_bytes: int) -> tuple[int, int]:
        """Position and number of elements of a vector, all inside the file; (0, 0) where it is not written."""
        target = self._target(slot)
        if target is None:
            return 0, 0
        self.file.check(target, _UINT32.size, self.place)
        count = int(_UINT32.unpack_from(self.file.data, target)[0])
        self.file.check(target + _UINT32.size, count * element_bytes, self.place)
        return target + _UINT32.size, count

    def integers(self, slot: int, wire: Wire) -> tuple[int, ...]:
        """A vector of integers; empty where it is not written."""
        return tuple(int(value) for value in self._elements(slot, wire))

    def reals(self, slot: int) -> tuple[float, ...]:
        """A vector of float32; empty where it is not written."""
        return self._elements(slot, Wire.FLOAT32)

    def string(self, slot: int) -> str | None:
        """A string, or None where it is not written."""
        if not self.is_set(slot):
            return None
        position, count = self.vector(slot, 1)
        self.file.spend(count, self.place)
        raw = self.file.data[position : position + count]
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise self.fault(
                f"its name is not UTF-8: found {raw[:_SHOWN_CHARACTERS]!r}. Rename it in the training script."
            ) from error
        # The emitter escapes names as well. No converter writes this one: it is an attack or damage.
        if END_OF_COMMENT in text:
            raise self.fault(
                f"its name holds {END_OF_COMMENT!r}, which would end a comment in C: found {shown(text)}. "
                "Rename it in the training script."
            )
        return text

    def tables(self, slot: int, most: int, noun: str) -> list[Table]:
        """A vector of tables, no more than `most`; errors call element i `noun i`."""
        position, count = self.vector(slot, _UINT32.size)
        if count > most:
            raise self.fault(f"it has {count} {noun}s; tinygen reads up to {most}.")
        offsets = struct.unpack_from(f"<{count}I", self.file.data, position)
        return [Table(self.file, position + 4 * i + offset, f"{noun} {i}") for i, offset in enumerate(offsets)]

    def _target(self, slot: int) -> int | None:
        position = self.position_of(slot, _UINT32.size)
        return None if position is None else position + int(_UINT32.unpack_from(self.file.data, position)[0])

    def _elements(self, slot: int, wire: Wire) -> tuple[float, ...]:
        position, count = self.vector(slot, wire.size_bytes)
        self.file.spend(count * wire.size_bytes, self.place)
        return struct.unpack_from(f"<{count}{wire.value}", self.file.data, position)
