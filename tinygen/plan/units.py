"""Access at work: which unit of a kernel call reads and writes each cell of its tensors.

A cell is a pixel, or an element where the kernel goes element by element; units are numbered in order of time. This is
the only reading of `Access`: birth and death of bytes, and the check of every plan, follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinygen.ir import Access, Direction, Graph, Kernel, Node, Tensor, Unit
from tinygen.kernels import Schedule
from tinygen.plan.values import Ints

NEVER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The units that touch a block of a tensor: `unit[y, x]` for column x of row `first_row` + y, NEVER where none."""

    tensor: Tensor
    first_row: int
    unit: Ints

    @property
    def cell_bytes(self) -> int:
        return self.tensor.row_bytes // int(self.unit.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """What a call touches. `reads` has the last unit that reads each cell, `writes` the unit that writes it.

    `late` says that a unit may still read when it writes.
    """

    reads: tuple[Cells, ...]
    writes: tuple[Cells, ...]
    late: int


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One kernel call: its number of units, and what they touch.

    `channel` is told for one channel at a time where the kernel keeps channels apart, `whole` for all of them; for
    other kernels the two are one.
    """

    units: int
    channel: Touch
    whole: Touch


class Layer:
    """A node with its kernel; what rows and columns read is found out once. `rows` are those that its steps count."""

    def __init__(self, node: Node, kernel: Kernel) -> None:
        self.node, self.kernel = node, kernel
        self.access: Access = kernel.access
        self.rows = kernel.counted_rows(node)
        self.columns = _columns(node.outputs[0], kernel.access)
        self.scratch_bytes = kernel.scratch_bytes(node)
        self._operands = tuple(
            _Operand(node, kernel.access, position)
            for position in kernel.operands(node)
            if (tensor := node.inputs[position]) is not None and not tensor.is_constant
        )
        assert len({tensor.rows for tensor in node.outputs}) == 1, node.describe()
        pixels = {pixel_bytes(tensor) for tensor in (*self.operands, *node.outputs)}
        self.cells = tuple(
            (tensor, tensor.row_bytes // columns)
            for tensor, columns in (
                *((operand.tensor, operand.columns) for operand in self._operands),
                *((tensor, _columns(tensor, kernel.access)) for tensor in node.outputs),
            )
        )
        self.keeps_channels = kernel.access.keeps_channels and len(pixels) == 1

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """Run-time tensors that it reads."""
        return tuple(operand.tensor for operand in self._operands)

    def rows_read(self, tensor: int, begin: int, end: int) -> tuple[int, int]:
        """The rows of a tensor that steps of rows begin..end-1 read: the first, and one more than the last."""
        if self.access.accumulates:
            return begin, end
        ranges = [o.rows(begin, end) for o in self._operands if o.tensor.index == tensor]
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def rows_made(self, begin: int, end: int) -> tuple[int, int]:
        """The output rows that a step of rows begin..end-1 makes: the first, and one more than the last."""
        if self.access.accumulates:
            return 0, self.node.outputs[0].rows if end == self.rows else 0
        return begin, end

    def steps_until(self, made: int) -> int:
        """How far steps have to count until so many output rows are there."""
        return (self.rows if made else 0) if self.access.accumulates else made

    def call(self, begin: int, end: int) -> Call:
        """The call on rows begin..end-1."""
        if self.access.accumulates:
            return self._accumulate(begin, end)
        units = _units(self.access, self.access.rows(self.node), end - begin, self.columns)
        last = int(units.max())
        late = 0 if self.access.reads_first else 1
        if self.access.unit is Unit.CHANNEL:  # all rows of one channel come before the next channel
            whole = self._touch(np.full_like(units, last), np.zeros_like(units), begin, end, late)
        elif self.access.unit is Unit.ELEMENT:  # a pixel may be read as long as the last one made with it is
            whole = self._touch(np.minimum(units + self.access.pixels - 1, last), units, begin, end, late)
        else:
            whole = self._touch(units, units, begin, end, late)
        channel = self._touch(units, units, begin, end, 0) if self.keeps_channels else whole
        return Call(last + 1, channel, whole)

    def _accumulate(self, begin: int, end: int) -> Call:
        """All rows are read in one unit, before the output is written where they are the last."""
        (operand,) = self._operands
        reads = Cells(operand.tensor, begin, np.zeros((end - begin, operand.columns), np.int64))
        first, last = self.rows_made(begin, end)
        writes = tuple(Cells(t, first, np.zeros((last - first, 1), np.int64)) for t in self.node.outputs if last)
        touch = Touch((reads,), writes, 0)
        return Call(1, touch, touch)

    def _touch(self, reading: Ints, writing: Ints, begin: int, end: int, late: int) -> Touch:
        reads = tuple(operand.reads(reading, begin, end) for operand in self._operands)
        first = np.full((end - begin, 1), writing.min())
        writes = tuple(
            Cells(t, begin, writing if _columns(t, self.access) == self.columns else first) for t in self.node.outputs
        )
        return Touch(reads, writes, late)


def layers_of(graph: Graph, schedule: Schedule) -> tuple[Layer | None, ...]:
    """Every node with its kernel; None where it is a view."""
    kernels = [schedule.kernels[index] for index in range(len(graph.nodes))]
    return tuple(None if k is None else _layer(n, k) for n, k in zip(graph.nodes, kernels, strict=True))


@lru_cache(maxsize=256)
def _layer(node: Node, kernel: Kernel) -> Layer:
    """The planner asks for the same ones for every plan that it weighs."""
    return Layer(node, kernel)


def pixel_bytes(tensor: Tensor) -> int:
    """Bytes of one pixel."""
    return tensor.nhwc[3] * tensor.dtype.size_bytes


def _columns(tensor: Tensor, access: Access) -> int:
    """Cells of one row."""
    _, _, width, channels = tensor.nhwc
    return width * channels if access.by_element else width


def _units(access: Access, unit_rows: int, rows: int, columns: int) -> Ints:
    """The unit of each cell of a call."""
    count = rows * columns
    cells = np.arange(count, dtype=np.int64)
    if access.direction is Direction.BACKWARD:
        cells = cells[::-1]
    if access.by_element or access.unit is Unit.ELEMENT:
        units = cells
    elif access.unit is Unit.PIXEL:
        units = cells // access.pixels
    elif access.unit in (Unit.ROW, Unit.CHANNEL):
        units = cells // columns // unit_rows
    else:
        units = np.zeros(count, np.int64)
    return units.reshape(rows, columns)


class _Operand:
    """One input of a node: the rows that each output row reads, and the last output column that reads each column."""

    def __init__(self, node: Node, access: Access, position: int) -> None:
        self.tensor = node.input(position)
        self._backward = access.direction is Direction.BACKWARD
        self._reads_once = access.reads_once
        output = node.outputs[0]
        self._rows = [access.input_rows(node, position, row, row + 1) for row in range(output.rows)]
        columns = _columns(output, access)
        self._elements: int | None = None
        if access.elementwise and self.tensor.elements == output.elements:
            self._columns = np.arange(columns)
        elif access.in_order:
            assert self.tensor.elements >= output.elements and not self._backward, node.describe()
            self._elements = self.tensor.elements // self.tensor.rows
            self._columns = np.arange(self._elements)
        elif access.elementwise:
            self._columns = np.full(self.tensor.nhwc[2], 0 if self._backward else columns - 1)
        else:
            ranges = [access.input_columns(node, position, column, column + 1) for column in range(columns)]
            self._columns = self._last(ranges, 0, self.tensor.nhwc[2], self._backward)

    @property
    def columns(self) -> int:
        return len(self._columns)

    def rows(self, begin: int, end: int) -> tuple[int, int]:
        ranges = [(first, last) for first, last in self._rows[begin:end] if first < last]
        if not ranges:
            return 0, 0
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def reads(self, units: Ints, begin: int, end: int) -> Cells:
        first, last = self.rows(begin, end)
        if self._elements is not None:
            return self._in_order(units, begin, first, last)
        rows = self._last(self._rows[begin:end], first, last, self._backward != self._reads_once)
        unit = units[rows[:, None], self._columns[None, :]]
        unit[(rows == NEVER)[:, None] | (self._columns == NEVER)[None, :]] = NEVER
        return Cells(self.tensor, first, unit)

    def _in_order(self, units: Ints, begin: int, first: int, last: int) -> Cells:
        """Element i is needed until output element i is written; those behind the last one as long as that."""
        elements = np.arange(first * self.columns, last * self.columns) - begin * units.shape[1]
        unit = units.reshape(-1)[np.clip(elements, 0, units.size - 1)]
        unit[elements < 0] = NEVER
        return Cells(self.tensor, first, unit.reshape(last - first, self.columns))

    def _last(self, ranges: list[tuple[int, int]], first: int, last: int, is_lowest: bool) -> Ints:
        """The highest position, or the lowest, of the ranges that hold each number of first..last-1."""
        found = np.full(last - first, NEVER, np.int64)
        order = range(len(ranges))
        for position in reversed(order) if is_lowest else order:
            begin, end = ranges[position]
            found[max(begin - first, 0) : max(end - first, 0)] = position
        return found
