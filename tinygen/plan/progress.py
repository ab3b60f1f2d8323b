"""What an inference whose rows are pushed keeps in the arena from one row to the next: how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.plan.blocks import Block, blocks_of
from tinygen.plan.values import Step

HEAD_BYTES = 10
"""A mark of 32 bits, and the place in the table of calls: three numbers of 16 bits."""

ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class Progress:
    """The layers of the block that takes the rows, and the bytes in which each one's rows are counted."""

    layers: tuple[int, ...]
    count_bytes: int

    @classmethod
    def of(cls, block: Block) -> Progress:
        most = max(step.row_end for step in block.steps)
        return cls(block.layers, 1 if most < 1 << 8 else 2 if most < 1 << 16 else 4)

    @property
    def slots(self) -> int:
        """Counters, one for each layer from the block's first to its last."""
        return self.layers[-1] - self.layers[0] + 1

    @property
    def size_bytes(self) -> int:
        counters = -(-HEAD_BYTES // self.count_bytes) * self.count_bytes + self.slots * self.count_bytes
        return -(-counters // ALIGNMENT) * ALIGNMENT


def progress_of(steps: Sequence[Step]) -> Progress:
    """That of steps of which the first layer's take the rows."""
    return Progress.of(blocks_of(steps)[0])
