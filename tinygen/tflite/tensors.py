"""Decodes tensors: type, shape, quantisation, constant data."""

from __future__ import annotations

import math

import numpy as np

from tinygen.errors import ModelError
from tinygen.ir import Array, DType, Quant, Shape, Tensor
from tinygen.tflite import schema
from tinygen.tflite.bounded import File, Table, Wire, shown
from tinygen.tflite.schema import BufferSlot, QuantizationParametersSlot, TensorSlot

MAX_RANK = 8
MAX_BYTES = 2**31 - 1  # offsets in the generated C are int32_t


class UnsupportedTensor(ModelError):
    """A sound tensor of a kind that tinygen cannot compute; the message lacks the file's name."""


class Tensors:
    """The tensors of a subgraph, each decoded when it is first asked for: unused ones may be anything.

    `notes` are the oddities that were tolerated.
    """

    def __init__(self, file: File, tables: list[Table], buffers: list[Table]) -> None:
        self._file, self._tables, self._buffers = file, tables, buffers
        self._decoded: dict[int, Tensor] = {}
        self._constant: dict[int, bool] = {}
        self._bytes_at_run_time = 0
        self.notes: list[str] = []

    def __len__(self) -> int:
        return len(self._tables)

    def type_name(self, index: int) -> str:
        """The element type in the schema's words, known to tinygen or not."""
        code = self._tables[index].number(TensorSlot.TYPE, Wire.BYTE)
        return schema.TYPE_NAMES.get(code, f"type {code}")

    def is_constant(self, index: int) -> bool:
        """Whether the file holds the tensor's values."""
        if index not in self._constant:
            self._constant[index] = self._data_span(self._named(index))[1] > 0
        return self._constant[index]

    def describe(self, index: int) -> str:
        """`tensor 5 'conv/bias'`, as errors name it."""
        return self._named(index).place

    def get(self, index: int) -> Tensor:
        """The tensor. Raises ModelError where it is malformed, UnsupportedTensor where tinygen cannot compute it."""
        if index not in self._decoded:
            self._decoded[index] = self._decode(index)
        return self._decoded[index]

    def _named(self, index: int) -> Table:
        """The tensor's table, whose errors say its name."""
        table = self._tables[index]
        name = table.string(TensorSlot.NAME) or ""
        return Table(self._file, table.position, f"{table.place} {shown(name)}")

    def _decode(self, index: int) -> Tensor:
        table = self._named(index)
        code = table.number(TensorSlot.TYPE, Wire.BYTE)
        if code not in schema.TYPE_NAMES:
            raise table.fault(f"element type {code} does not exist. The file is damaged.")
        _refuse_unsupported(table, code)
        dtype = schema.DTYPES[code]
        shape = _shape(table, dtype)
        tensor = Tensor(
            index=index,
            name=table.string(TensorSlot.NAME) or "",
            shape=shape,
            dtype=dtype,
            quant=self._quant(table, shape, dtype),
            data=self._data(table, shape, dtype),
        )
        if not tensor.is_constant:
            self._bytes_at_run_time += tensor.size_bytes
            if self._bytes_at_run_time > MAX_BYTES:
                raise table.fault(f"with it, the tensors computed at run time take more than {MAX_BYTES} bytes.")
        return tensor

    def _data_span(self, table: Table) -> tuple[int, int]:
        """Position and length in bytes of a tensor's constant data."""
        number = table.number(TensorSlot.BUFFER, Wire.UINT32)
        if number >= len(self._buffers):
            raise table.fault(f"it is stored in buffer {number}, but the file has {len(self._buffers)} buffers.")
        buffer = self._buffers[number]
        position, size_bytes = buffer.vector(BufferSlot.DATA, 1)
        offset = buffer.number(BufferSlot.OFFSET, Wire.UINT64)
        # Offset 1 is the converter's placeholder for "not yet known", as the interpreters read it.
        if size_bytes == 0 and offset > 1:
            position, size_bytes = offset, buffer.number(BufferSlot.SIZE, Wire.UINT64)
            self._file.check(position, size_bytes, buffer.place)
        return position, size_bytes

    def _data(self, table: Table, shape: Shape, dtype: DType) -> Array | None:
        position, size_bytes = self._data_span(table)
        if size_bytes == 0:
            return None
        expected_bytes = math.prod(shape) * dtype.size_bytes
        if size_bytes != expected_bytes:
            raise table.fault(
                f"shape {_times(shape)} of {dtype.value} takes {expected_bytes} bytes, but its buffer has "
                f"{size_bytes}. The file is damaged."
            )
        if dtype is DType.BOOL:
            self._file.spend(size_bytes, table.place)
            largest = np.frombuffer(self._file.data, np.uint8, size_bytes, position).max()
            if largest > 1:
                raise table.fault(f"a bool must be 0 or 1. Found {largest}.")
        stored = np.frombuffer(self._file.data, dtype.numpy.newbyteorder("<"), math.prod(shape), position)
        if stored.flags.aligned and stored.dtype == dtype.numpy:
            return stored.reshape(shape)
        self._file.spend(size_bytes, table.place)
        data = stored.astype(dtype.numpy).reshape(shape)
        data.setflags(write=False)
        return data

    def _quant(self, table: Table, shape: Shape, dtype: DType) -> Quant | None:
        parameters = table.table(TensorSlot.QUANTIZATION, table.place)
        if parameters is None:
            return None
        if parameters.number(QuantizationParametersSlot.DETAILS_TYPE, Wire.UBYTE):
            raise UnsupportedTensor(f"{table.place} has a custom quantisation. Convert it with affine quantisation.")
        _, count = parameters.vector(QuantizationParametersSlot.SCALE, Wire.FLOAT32.size_bytes)
        if count == 0 or dtype in (DType.FLOAT32, DType.BOOL):
            return None  # only observed ranges, or values that no scale applies to
        axis = parameters.number(QuantizationParametersSlot.QUANTIZED_DIMENSION, Wire.INT32)
        if _is_misplaced(axis, shape, count):
            self.notes.append(
                f"{table.place}: quantized_dimension is {axis} in a tensor of {len(shape)} dimensions; read as 0."
            )
            axis = 0
        if count > 1 and not 0 <= axis < len(shape):
            raise table.fault(f"quantized_dimension is {axis} in a tensor of {len(shape)} dimensions.")
        if count > 1 and count != shape[axis]:
            raise table.fault(f"it has {count} scales for {shape[axis]} indices along dimension {axis}.")
        scales = parameters.reals(QuantizationParametersSlot.SCALE)
        _, points = parameters.vector(QuantizationParametersSlot.ZERO_POINT, Wire.INT64.size_bytes)
        if points != count:
            raise table.fault(f"it has {count} scales and {points} zero points.")
        zero_points = parameters.integers(QuantizationParametersSlot.ZERO_POINT, Wire.INT64)
        for scale in scales:
            if not (math.isfinite(scale) and scale > 0):
                raise table.fault(f"a scale must be finite and above zero. Found {scale}.")
        bounds = np.iinfo(dtype.numpy)
        for point in zero_points:
            if not bounds.min <= point <= bounds.max:
                raise table.fault(
                    f"a zero point of {dtype.value} must lie in {bounds.min}…{bounds.max}. Found {point}."
                )
        return Quant(scales, zero_points, axis)


def misplaced_axis(table: Table) -> int | None:
    """The position in the file of a tensor's quantized_dimension (int32) if it must be read as 0, else None."""
    parameters = table.table(TensorSlot.QUANTIZATION, table.place)
    if parameters is None:
        return None
    _, count = parameters.vector(QuantizationParametersSlot.SCALE, Wire.FLOAT32.size_bytes)
    _, rank = table.vector(TensorSlot.SHAPE, Wire.INT32.size_bytes)
    if count == 0 or rank > MAX_RANK:
        return None
    axis = parameters.number(QuantizationParametersSlot.QUANTIZED_DIMENSION, Wire.INT32)
    if not _is_misplaced(axis, table.integers(TensorSlot.SHAPE, Wire.INT32), count):
        return None
    return parameters.position_of(QuantizationParametersSlot.QUANTIZED_DIMENSION, Wire.INT32.size_bytes)


def _is_misplaced(axis: int, shape: Shape, scales: int) -> bool:
    """Whether the axis lies past the last dimension and yet leaves no doubt.

    Old converters copied the filter's axis to the one-dimensional bias. With one scale the axis says nothing.
    """
    return axis >= max(len(shape), 1) and (scales == 1 or len(shape) == 1)


def _refuse_unsupported(table: Table, code: int) -> None:
    if code not in schema.DTYPES:
        raise UnsupportedTensor(
            f"{table.place} is {schema.TYPE_NAMES[code]}, which tinygen cannot compute. Quantise the model to int8."
        )
    if table.number(TensorSlot.IS_VARIABLE, Wire.BOOL):
        raise UnsupportedTensor(
            f"{table.place} is a variable that outlives an inference, which tinygen cannot compute. "
            "Make the state an input and an output of the model."
        )
    if table.is_set(TensorSlot.SPARSITY):
        raise UnsupportedTensor(f"{table.place} is sparse. Convert the model without sparsity.")
    if table.vector(TensorSlot.VARIANT_TENSORS, 4)[1]:
        raise UnsupportedTensor(f"{table.place} is a variant, which tinygen cannot compute.")


def _shape(table: Table, dtype: DType) -> Shape:
    _, rank = table.vector(TensorSlot.SHAPE, Wire.INT32.size_bytes)
    if rank > MAX_RANK:
        raise table.fault(f"it has {rank} dimensions; tinygen reads up to {MAX_RANK}.")
    shape = table.integers(TensorSlot.SHAPE, Wire.INT32)
    if any(size < 1 for size in shape):
        raise table.fault(
            f"every dimension must be at least 1. Found {_times(shape)}. Convert the model with a fixed batch size "
            "and fixed input shapes."
        )
    size_bytes = math.prod(shape) * dtype.size_bytes
    if size_bytes > MAX_BYTES:
        raise table.fault(f"shape {_times(shape)} takes {size_bytes} bytes; tinygen reads up to {MAX_BYTES}.")
    return shape


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"
