"""The planner's values: lives, buffers, views, steps and the finished plan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BEFORE = -1
"""The time at which the caller writes the inputs, and the step that stands for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """Runs of bytes that live alike: run i is bytes ends[i − 1] to ends[i] − 1, from birth[i] to death[i], included."""

    ends: Ints
    birth: Ints
    death: Ints

    @classmethod
    def of_cells(cls, cell_bytes: int, birth: Ints, death: Ints) -> Life:
        """A life from one birth and death a cell; neighbours that agree are joined."""
        changes = np.flatnonzero((np.diff(birth) != 0) | (np.diff(death) != 0)) + 1
        starts = np.concatenate([np.zeros(1, np.int64), changes])
        ends = np.append(changes, len(birth)) * cell_bytes
        return cls(ends, birth[starts], death[starts])

    @classmethod
    def constant(cls, size_bytes: int, birth: int, death: int) -> Life:
        """All bytes live alike."""
        return cls(np.array([size_bytes]), np.array([birth]), np.array([death]))

    @property
    def size_bytes(self) -> int:
        return int(self.ends[-1])

    @property
    def begins(self) -> Ints:
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])

    @property
    def first(self) -> int:
        """The time of the first birth."""
        return int(self.birth.min())

    @property
    def last(self) -> int:
        """The time of the last death."""
        return int(self.death.max())


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Bytes with one place in the arena: a value, under the indices of its tensors, or the scratch of layers.

    Where it has neither it is what an inference keeps between pushed rows. `guests` are tensors whose rows lie in its
    ring while the value's own do not need their slots.
    """

    life: Life
    tensors: tuple[int, ...]
    scratch_of: tuple[int, ...] = ()
    guests: tuple[int, ...] = ()

    @property
    def size_bytes(self) -> int:
        return self.life.size_bytes


@dataclass(frozen=True, slots=True)
class View:
    """How a tensor lies in the arena, as rows of NHWC elements.

    Row r starts at offset_bytes + ((r × pace + turn) mod ring_rows) × row_stride_bytes and is row_bytes long. Only a
    guest in another tensor's ring has a pace or a turn; it is made and read one row a call.
    """

    offset_bytes: int
    row_stride_bytes: int
    ring_rows: int
    row_bytes: int
    pace: int = 1
    turn: int = 0

    @property
    def is_guest(self) -> bool:
        return self.pace != 1 or self.turn != 0

    @property
    def size_bytes(self) -> int:
        return (self.ring_rows - 1) * self.row_stride_bytes + self.row_bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call: rows row_begin..row_end-1 of the output of the node at position `layer`.

    Where the kernel accumulates they are rows of its operand.
    """

    layer: int
    row_begin: int
    row_end: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The arena: a view for every run-time tensor, scratch for the nodes that need it, and the steps in order.

    `times` is when each step begins on the clock of the buffers' lives, and when the last one has ended; `live` the
    most bytes that live at one moment of each step. `progress_offset` is where an inference whose rows are pushed
    keeps how far it has come; None where none are.
    """

    views: Mapping[int, View]
    scratch_offsets: Mapping[int, int]
    steps: tuple[Step, ...]
    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]
    times: tuple[int, ...]
    live: tuple[int, ...]
    arena_bytes: int
    lower_bound_bytes: int
    progress_offset: int | None = None

    def live_bytes(self, layer: int) -> int:
        """The most bytes that live at one moment of a layer's steps."""
        return max((n for n, step in zip(self.live, self.steps, strict=True) if step.layer == layer), default=0)

    def step_at(self, time: int) -> int:
        """The step during which a time is; BEFORE the first, or the number of steps behind the last."""
        return bisect_right(self.times, time) - 1
