"""Access at work: which unit of a kernel call reads and writes each cell of its tensors.

A cell is a pixel, or an element where the kernel goes element by element; units are numbered in order of time. This is
the only reading of `Access`: birth and death of bytes, and the check of every plan, follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass

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
class Call:
    """One kernel call. `reads` has the last unit that reads each cell, `writes` the unit that writes it."""

    units: int
    reads: tuple[Cells, ...]
    writes: tuple[Cells, ...]


class Layer:
    """A node with its kernel; what rows and columns read is found out once."""

    def __init__(self, node: Node, kernel: Kernel) -> None:
        self.node, self.kernel = node, kernel
        self.access: Access = kernel.access
        self.rows = node.outputs[0].rows
        self.scratch_bytes = kernel.scratch_bytes(node)
        self._operands = tuple(
            _Operand(node, kernel.access, position)
            for position in kernel.operands(node)
            if (tensor := node.inputs[position]) is not None and not tensor.is_constant
        )
        assert all(tensor.rows == self.rows for tensor in node.outputs), node.describe()

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """Run-time tensors that it reads."""
        return tuple(operand.tensor for operand in self._operands)

    def rows_read(self, tensor: int, begin: int, end: int) -> tuple[int, int]:
        """The rows of a tensor that output rows begin..end-1 read: the first, and one more than the last."""
        ranges = [o.rows(begin, end) for o in self._operands if o.tensor.index == tensor]
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def call(self, begin: int, end: int) -> Call:
        """The call on output rows begin..end-1."""
        columns = _columns(self.node.outputs[0], self.access)
        units = _units(self.access, self.access.rows(self.node), end - begin, columns)
        reads = tuple(operand.reads(units, begin, end) for operand in self._operands)
        writes = tuple(
            Cells(t, begin, units if _columns(t, self.access) == columns else np.full((end - begin, 1), units.min()))
            for t in self.node.outputs
        )
        return Call(int(units.max()) + 1, reads, writes)


def layers_of(graph: Graph, schedule: Schedule) -> tuple[Layer | None, ...]:
    """Every node with its kernel; None where it is a view."""
    kernels = [schedule.kernels[index] for index in range(len(graph.nodes))]
    return tuple(None if k is None else Layer(n, k) for n, k in zip(graph.nodes, kernels, strict=True))


def _columns(tensor: Tensor, access: Access) -> int:
    """Cells of one row."""
    _, _, width, channels = tensor.nhwc
    return width * channels if access.elementwise else width


def _units(access: Access, unit_rows: int, rows: int, columns: int) -> Ints:
    """The unit of each cell of a call."""
    count = rows * columns
    cells = np.arange(count, dtype=np.int64)
    if access.direction is Direction.BACKWARD:
        cells = cells[::-1]
    if access.elementwise or access.unit is Unit.ELEMENT:
        units = cells
    elif access.unit is Unit.PIXEL:
        units = cells // access.pixels
    elif access.unit is Unit.ROW:
        units = cells // columns // unit_rows
    else:
        units = np.zeros(count, np.int64)
    return units.reshape(rows, columns)


class _Operand:
    """One input of a node: the rows that each output row reads, and the last output column that reads each column."""

    def __init__(self, node: Node, access: Access, position: int) -> None:
        self.tensor = node.input(position)
        self._backward = access.direction is Direction.BACKWARD
        output = node.outputs[0]
        self._rows = [access.input_rows(node, position, row, row + 1) for row in range(output.rows)]
        columns = _columns(output, access)
        if access.elementwise and self.tensor.elements == output.elements:
            self._columns = np.arange(columns)
        elif access.elementwise:
            self._columns = np.full(self.tensor.nhwc[2], 0 if self._backward else columns - 1)
        else:
            ranges = [access.input_columns(node, position, column, column + 1) for column in range(columns)]
            self._columns = self._last(ranges, 0, self.tensor.nhwc[2])

    def rows(self, begin: int, end: int) -> tuple[int, int]:
        ranges = [(first, last) for first, last in self._rows[begin:end] if first < last]
        if not ranges:
            return 0, 0
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def reads(self, units: Ints, begin: int, end: int) -> Cells:
        first, last = self.rows(begin, end)
        rows = self._last(self._rows[begin:end], first, last)
        unit = units[rows[:, None], self._columns[None, :]]
        unit[(rows == NEVER)[:, None] | (self._columns == NEVER)[None, :]] = NEVER
        return Cells(self.tensor, first, unit)

    def _last(self, ranges: list[tuple[int, int]], first: int, last: int) -> Ints:
        """The position of the range that holds each number of first..last-1 and is visited last."""
        found = np.full(last - first, NEVER, np.int64)
        order = range(len(ranges))
        for position in reversed(order) if self._backward else order:
            begin, end = ranges[position]
            found[max(begin - first, 0) : max(end - first, 0)] = position
        return found
