"""Numbers as C literals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygen.ir import Array
from tinygen.program import Constant, Value

INT32_MIN = -(2**31)
INT64_MIN = -(2**63)
LINE = 112


def literal(value: Value) -> str:
    """A parameter as C: an integer, a float literal, or the name of an array."""
    if isinstance(value, Constant):
        return value.symbol
    if isinstance(value, float):
        return float_literal(value)
    # -2147483648 is a negated constant that does not fit an int
    if value in (INT32_MIN, INT64_MIN):
        return f"({int(value) + 1} - 1)"
    return str(int(value))


def float_literal(value: float) -> str:
    """The shortest decimal that reads back as this float32, with a point or exponent and the suffix f."""
    text = str(np.float32(value))
    return (text if any(mark in text for mark in ".en") else text + ".0") + "f"


def call_lines(rows: Sequence[tuple[int, ...]]) -> str:
    """Rows of small numbers as initialisers, in lines of bounded length."""
    texts = ["{ " + ", ".join(map(str, row)) + " }" for row in rows]
    per_line = LINE // (max(map(len, texts)) + 2)
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "        " + ",\n        ".join(lines)


def array_lines(values: Array) -> str:
    """The elements of a one-dimensional array, in lines of bounded length."""
    if values.dtype == np.float32:
        texts = [float_literal(v) for v in values.tolist()]
    elif values.dtype in (np.int32, np.int64):
        texts = [literal(v) for v in values.tolist()]
    else:
        texts = [str(v) for v in values.tolist()]
    widest = max(map(len, texts), default=1)
    per_line = max(1, 1 << ((LINE // (widest + 2)).bit_length() - 1))
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "    " + ",\n    ".join(lines)
