"""Builds .tflite files for tests from the schema alone, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from tests.support.tables import Record, serialise

_OPTIONS_OF_OTHER_NAME = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
    "BIDIRECTIONAL_SEQUENCE_RNN": "BidirectionalSequenceRNNOptions",
}

Operand = int
"""A tensor of the model under construction: its index in the file."""


def options_table(operator: str) -> str | None:
    """The schema's options table of a builtin operator, or None where it has none."""
    if operator in _OPTIONS_OF_OTHER_NAME:
        return _OPTIONS_OF_OTHER_NAME[operator]
    wanted = operator.replace("_", "").lower() + "options"
    for union in (tflite.BuiltinOptions, tflite.BuiltinOptions2):
        for name in vars(union):
            if name.lower() == wanted:
                return name
    return None


class ModelBuilder:
    """A model under construction. Operands are tensor indices.

        b = ModelBuilder()
        x = b.input((1, 8, 8, 3), scale=0.05, zero_point=-3)
        w = b.constant(weights, scales=[...], zero_points=[...], axis=0)
        y = b.tensor((1, 8, 8, 4), scale=0.1, zero_point=5)
        b.node("CONV_2D", [x, w, bias], [y], version=3, stride_w=1, stride_h=1, padding="SAME")
        b.output(y)
        data = b.finish()

    `tensors`, `operators`, `codes`, `buffers`, `subgraphs` (beyond the first) and `model` are records that a test may
    change before `finish`, to make a file that no converter would write.
    """

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.tensors: list[Record] = []
        self.operators: list[Record] = []
        self.codes: list[Record] = []
        self.buffers: list[Record] = [Record("Buffer")]  # buffer 0 is the empty one, by convention
        self.subgraphs: list[Record] = []
        self.inputs: list[Operand] = []
        self.outputs: list[Operand] = []
        self.model = Record("Model", {"version": 3, "description": "tinygen test"})

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int = 0,
        *,
        name: str | None = None,
    ) -> Operand:
        """A tensor computed at run time. `dtype` is numpy's or the schema's name; no `scale`: not quantised."""
        quantization = None if scale is None else _quantization([scale], [zero_point], 0)
        return self._add_tensor(shape, dtype, 0, quantization, name)

    def input(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int = 0,
        *,
        name: str | None = None,
    ) -> Operand:
        """An input of the graph; the arguments are `tensor`'s."""
        operand = self.tensor(shape, dtype, scale, zero_point, name=name)
        self.inputs.append(operand)
        return operand

    def constant(
        self,
        array: npt.NDArray[Any],
        *,
        scales: Sequence[float] | float | None = None,
        zero_points: Sequence[int] | int = 0,
        axis: int = 0,
        name: str | None = None,
    ) -> Operand:
        """A constant of the array's shape and dtype. Several `scales` quantise per index along `axis`."""
        array = np.ascontiguousarray(array) if array.ndim else array
        quantization = None
        if scales is not None:
            several = list(np.atleast_1d(scales))
            points = list(np.broadcast_to(np.atleast_1d(zero_points), len(several)))
            quantization = _quantization(several, points, axis)
        self.buffers.append(Record("Buffer", {"data": array.astype(array.dtype.newbyteorder("<")).tobytes()}))
        return self._add_tensor(array.shape, str(array.dtype), len(self.buffers) - 1, quantization, name)

    def node(
        self,
        operator: str,
        inputs: Sequence[Operand | None],
        outputs: Sequence[Operand],
        *,
        version: int = 1,
        custom_code: str | None = None,
        **options: Any,
    ) -> int:
        """An operator; its index is returned. None omits an optional input.

        `options` are the fields of its options table in snake case; enumerations also by name. The table is always
        written, as converters do. `operator` is a BuiltinOperator, or CUSTOM with `custom_code`.
        """
        table = options_table(operator)
        fields: dict[str, Any] = {
            "opcode_index": self._code(operator, version, custom_code),
            "inputs": [-1 if operand is None else operand for operand in inputs],
            "outputs": list(outputs),
        }
        if table is None:
            assert not options, f"{operator} has no options table for {sorted(options)}"
        else:
            union = "builtin_options" if hasattr(tflite.BuiltinOptions, table) else "builtin_options2"
            types = tflite.BuiltinOptions if union == "builtin_options" else tflite.BuiltinOptions2
            fields[f"{union}_type"] = getattr(types, table)
            fields[union] = Record(table, dict(options))
        self.operators.append(Record("Operator", fields))
        return len(self.operators) - 1

    def output(self, *operands: Operand) -> None:
        """Marks tensors as outputs of the graph, in order."""
        self.outputs += operands

    def finish(self) -> bytes:
        """The file."""
        main = Record(
            "SubGraph",
            {
                "tensors": self.tensors,
                "inputs": self.inputs,
                "outputs": self.outputs,
                "operators": self.operators,
                "name": self.name,
            },
        )
        fields = {"operator_codes": self.codes, "subgraphs": [main, *self.subgraphs], "buffers": self.buffers}
        return serialise(Record("Model", {**fields, **self.model.fields}))

    def _code(self, operator: str, version: int, custom_code: str | None) -> int:
        builtin = getattr(tflite.BuiltinOperator, operator)
        placeholder = tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        code = Record(
            "OperatorCode",
            {
                "deprecated_builtin_code": min(builtin, placeholder),
                "builtin_code": builtin,
                "custom_code": custom_code,
                "version": version,
            },
        )
        if code not in self.codes:
            self.codes.append(code)
        return self.codes.index(code)

    def _add_tensor(
        self, shape: Sequence[int], dtype: str, buffer: int, quantization: Record | None, name: str | None
    ) -> Operand:
        index = len(self.tensors)
        fields = {
            "shape": [int(size) for size in shape],
            "type": dtype.upper(),
            "buffer": buffer,
            "name": f"t{index}" if name is None else name,
            "quantization": quantization,
        }
        self.tensors.append(Record("Tensor", fields))
        return index


def _quantization(scales: Sequence[float], zero_points: Sequence[int], axis: int) -> Record:
    return Record(
        "QuantizationParameters",
        {
            "scale": [float(scale) for scale in scales],
            "zero_point": [int(point) for point in zero_points],
            "quantized_dimension": axis,
        },
    )
