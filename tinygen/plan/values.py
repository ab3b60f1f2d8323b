"""The planner's values: buffers, views, steps and the finished plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BEFORE = -1
"""The step before the first one, at which the caller writes the inputs."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that live together, from step `birth` to step `death`, both included; `tensors` are the indices in it."""

    size_bytes: int
    birth: int
    death: int
    tensors: tuple[int, ...]
    scratch_of: int | None = None

    def meets(self, other: Buffer) -> bool:
        """Whether both live at some step."""
        return self.birth <= other.death and other.birth <= self.death


@dataclass(frozen=True, slots=True)
class View:
    """How a tensor lies in the arena, as rows of NHWC elements.

    Row r starts at offset_bytes + (r mod ring_rows) × row_stride_bytes and is row_bytes long.
    """

    offset_bytes: int
    row_stride_bytes: int
    ring_rows: int
    row_bytes: int

    @property
    def size_bytes(self) -> int:
        return (self.ring_rows - 1) * self.row_stride_bytes + self.row_bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call: the output rows row_begin..row_end-1 of the node at position `layer`."""

    layer: int
    row_begin: int
    row_end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The arena: a view for every run-time tensor, scratch for the nodes that need it, and the steps in order."""

    views: Mapping[int, View]
    scratch_offsets: Mapping[int, int]
    steps: tuple[Step, ...]
    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]
    arena_bytes: int
    lower_bound_bytes: int

    def live_bytes(self, step: int) -> int:
        """Bytes alive at a step."""
        return sum(buffer.size_bytes for buffer in self.buffers if buffer.birth <= step <= buffer.death)
