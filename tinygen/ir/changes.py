"""What passes left out of a graph: channels that are not computed, tensors that no longer exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir.tensor import Array, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """A tensor that is not computed, because the operator that made or read it became part of another one.

    tensor    as the model file has it
    op        name and `operator` index in the model file of the operator that is gone
    into      index in the model file of the operator that does its work; its tensor is the next one compared
    """

    tensor: Tensor
    op: str
    operator: int
    into: int


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """A tensor of which only some channels (indices along the last axis) are computed.

    full        the tensor as the model file has it
    kept        the channels that are computed, ascending; the graph's tensor has these alone
    constants   of the others, those proved to hold one value for every input: channel → value
    fillers     of the kept ones those that hold one value too, and are computed to fill words or borders
    """

    full: Tensor
    kept: tuple[int, ...]
    constants: Mapping[int, int]
    fillers: tuple[int, ...] = ()

    @property
    def dropped(self) -> int:
        """How many channels are not computed."""
        return self.full.shape[-1] - len(self.kept)

    @property
    def unused(self) -> tuple[int, ...]:
        """Channels that are neither computed nor constant: no value that is computed depends on them."""
        computed = set(self.kept)
        return tuple(c for c in range(self.full.shape[-1]) if c not in computed and c not in self.constants)

    def of(self, values: Array) -> Array:
        """The kept channels of the full tensor's values."""
        result: Array = values[..., list(self.kept)]
        return result
