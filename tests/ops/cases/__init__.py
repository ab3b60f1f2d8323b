"""Random nodes of every operator: one row each, in the file of its kind."""

from __future__ import annotations

from tests.ops.cases import activations, convolutions, elementwise, pooling, quantise, shape
from tests.ops.cases.case import Case

CASES: tuple[Case, ...] = (
    *convolutions.CASES,
    *pooling.CASES,
    *elementwise.CASES,
    *activations.CASES,
    *quantise.CASES,
    *shape.CASES,
)

__all__ = ["CASES", "Case"]
