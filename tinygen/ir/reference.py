"""The two Python references and the rounding each operator has in them."""

from __future__ import annotations

from enum import Enum


class Reference(Enum):
    """Which Python interpreter's kernels define the right answer."""

    LITERT = "litert"
    TFLM = "tflm"


class Rounding(Enum):
    """How a 32-bit accumulator times a fixed-point multiplier becomes an integer.

    SINGLE rounds the 64-bit product once, half up. DOUBLE rounds twice: to 32 bits (half away from zero in the
    doubling high multiplication), then in the right shift (half away from zero).
    """

    SINGLE = "single"
    DOUBLE = "double"
