"""What tinygen knows of the schema: slot numbers of its tables and names of its codes."""

from __future__ import annotations

from enum import IntEnum

import tflite

from tinygen.ir import DType

IDENTIFIER = b"TFL3"
VERSION = 3


class ModelSlot(IntEnum):
    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    BUFFERS = 4


class OperatorCodeSlot(IntEnum):
    DEPRECATED_BUILTIN_CODE = 0
    CUSTOM_CODE = 1
    VERSION = 2
    BUILTIN_CODE = 3


class SubGraphSlot(IntEnum):
    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3


class TensorSlot(IntEnum):
    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    VARIANT_TENSORS = 9


class QuantizationParametersSlot(IntEnum):
    SCALE = 2
    ZERO_POINT = 3
    DETAILS_TYPE = 4
    QUANTIZED_DIMENSION = 6


class BufferSlot(IntEnum):
    DATA = 0
    OFFSET = 1
    SIZE = 2


class OperatorSlot(IntEnum):
    OPCODE_INDEX = 0
    INPUTS = 1
    OUTPUTS = 2
    BUILTIN_OPTIONS_TYPE = 3
    BUILTIN_OPTIONS = 4
    MUTATING_VARIABLE_INPUTS = 7
    INTERMEDIATES = 8
    BUILTIN_OPTIONS2_TYPE = 11


def _names(codes: type) -> dict[int, str]:
    return {value: name for name, value in vars(codes).items() if isinstance(value, int)}


OPERATOR_NAMES = _names(tflite.BuiltinOperator)
OPTIONS_NAMES = _names(tflite.BuiltinOptions)
TYPE_NAMES = {code: name.lower() for code, name in _names(tflite.TensorType).items()}
DTYPES = {code: DType(name) for code, name in TYPE_NAMES.items() if name in {dtype.value for dtype in DType}}
CUSTOM = "CUSTOM"
