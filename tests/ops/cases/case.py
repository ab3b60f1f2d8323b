"""What a row of the table of operators is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.support.models import ModelBuilder
from tinygen.ir import Reference

LITERT, TFLM = Reference.LITERT, Reference.TFLM


@dataclass(frozen=True)
class Case:
    """An operator's row: `add` puts one random node with its own inputs and outputs into a model.

    `references` are the interpreters that have the operator in this form; `count` nodes make a model.
    """

    name: str
    add: Callable[[ModelBuilder, np.random.Generator], None]
    references: tuple[Reference, ...] = (LITERT, TFLM)
    count: int = 200
