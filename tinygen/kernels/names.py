"""The grammar of kernel names: `op_dtype__isa[_tile]`, what before the two underscores and how after them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PATTERN = re.compile(
    r"(?P<op>[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*|_[0-9]d)*?)_(?P<dtype>[suf]\d+(?:_[suf]\d+)*)"
    r"__(?P<isa>[a-z][a-z0-9]*)(?:_(?P<tile>[a-z0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class KernelName:
    """A kernel's name in parts: `conv2d_s8__dsp_4p2c` is conv2d, s8, dsp, 4p2c."""

    op: str
    dtype: str
    isa: str
    tile: str | None

    @classmethod
    def parse(cls, text: str) -> KernelName:
        """Raises ValueError when the text does not follow the grammar."""
        match = PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a kernel name of the form op_dtype__isa[_tile]")
        return cls(match["op"], match["dtype"], match["isa"], match["tile"])


def function_name(kernel: str, switches: Mapping[str, str]) -> str:
    """The C function that a kernel becomes under its switches."""
    return "_".join([kernel, *switches.values()])
