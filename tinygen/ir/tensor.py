"""Element types, quantisation and tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Array = npt.NDArray[Any]


class DType(Enum):
    """Element type of a tensor; the value is numpy's name for it."""

    BOOL = "bool"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.value)

    @property
    def size_bytes(self) -> int:
        return int(self.numpy.itemsize)

    @property
    def c_type(self) -> str:
        return "float" if self is DType.FLOAT32 else f"{self.value}_t"


@dataclass(frozen=True, slots=True)
class Quant:
    """Affine quantisation: real = scale × (q − zero_point), for the whole tensor or for each index along `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def is_per_tensor(self) -> bool:
        return len(self.scales) == 1

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantisation."""
        (scale,) = self.scales
        return scale

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantisation."""
        (zero_point,) = self.zero_points
        return zero_point


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of the graph. `index` is unique in its graph and is the tensor's index in the model file.

    `data` is a read-only array for constants and None for values computed at run time.
    """

    index: int
    name: str
    shape: Shape
    dtype: DType
    quant: Quant | None = None
    data: Array | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.elements * self.dtype.size_bytes

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def nhwc(self) -> tuple[int, int, int, int]:
        """The shape as (batch, height, width, channels): leading ones added, or leading dimensions merged."""
        padded = (1,) * (4 - len(self.shape)) + self.shape
        return (math.prod(padded[:-3]), *padded[-3:])  # type: ignore[return-value]

    @property
    def rows(self) -> int:
        """How many rows kernels and the planner see: batch × height."""
        batch, height, _, _ = self.nhwc
        return batch * height

    @property
    def row_bytes(self) -> int:
        """Bytes of one row: width × channels × element size."""
        _, _, width, channels = self.nhwc
        return width * channels * self.dtype.size_bytes

    @property
    def scale(self) -> float:
        """The per-tensor scale, rounded to float32 as the model file holds it."""
        assert self.quant is not None
        return self.quant.scale

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point."""
        assert self.quant is not None
        return self.quant.zero_point

    def describe(self) -> str:
        """Type and shape as a person writes them: `int8 1x49x10x1`."""
        return f"{self.dtype.value} {'x'.join(map(str, self.shape)) or 'scalar'}"
