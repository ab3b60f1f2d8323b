"""A plan played byte by byte, from what kernels state in `Access` alone: slow, plain, apart from the planner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinygen.ir import Access, Direction, Graph, Node, Tensor, Unit
from tinygen.kernels import Schedule
from tinygen.plan import Plan, Step

Byte = tuple[int, int]
"""A value and a byte of it."""


SUMS = -2
"""Stands for a value in bytes that hold a layer's sums."""


class Spoiled(Exception):
    """A byte is gone before its last read."""


class Replay:
    """The arena as a mapping of address → the byte it holds."""

    def __init__(self, graph: Graph, schedule: Schedule, planned: Plan) -> None:
        self.graph, self.schedule, self.plan = graph, schedule, planned
        self.arena: dict[int, Byte] = {}
        self.root = {t.index: t.index for t in graph.tensors()}
        for layer, node in enumerate(graph.nodes):
            if schedule.kernels[layer] is None:
                source = node.op.view_of(node)
                assert source is not None
                self.root[node.output.index] = self.root[node.input(source).index]

    def run(self) -> None:
        """Raise Spoiled when a value is read or shown that is not there."""
        for tensor in self.graph.held_inputs:
            self.write(tensor, range(tensor.size_bytes))
        for step in self.plan.steps:
            rows = range(step.row_begin, step.row_end)
            node, kernel = self.graph.nodes[step.layer], self.schedule.kernels[step.layer]
            if kernel is not None:
                size = kernel.scratch_bytes(node)
                scratch = (
                    range(self.plan.scratch_offsets[step.layer], self.plan.scratch_offsets[step.layer] + size)
                    if size
                    else range(0)
                )
                if any(not 0 <= address < self.plan.arena_bytes for address in scratch):
                    raise Spoiled("scratch outside")
                operands = [i for i in kernel.operands(node) if not node.input(i).is_constant]
                apart = kernel.access.keeps_channels and _same_pixels(node, operands)
                units = list(_units(node, kernel.access, step.row_begin, step.row_end, apart))
                if apart and kernel.access.unit is Unit.CHANNEL:
                    self.expect_own_channels(node, [cell for unit in units for cell in unit], operands, kernel.access)
                self.rows_read: set[tuple[int, int]] = set()
                if kernel.access.accumulates:
                    self.accumulate(node, step, scratch)
                    if step.row_end < node.input(0).rows:
                        continue
                    rows = range(node.output.rows)
                else:
                    for number, unit in enumerate(units):
                        self.unit(node, unit, operands, kernel.access, scratch, apart)
                        if kernel.access.unit is Unit.ELEMENT and not apart:  # those that may be made together
                            for earlier in units[max(0, number + 1 - kernel.access.pixels) : number]:
                                for tensor, span in self.touched(node, earlier, operands, kernel.access)[0]:
                                    self.read(tensor, span)
            for tensor in node.outputs:
                self.read(tensor, [b for r in rows for b in range(r * tensor.row_bytes, (r + 1) * tensor.row_bytes)])
        for tensor in self.graph.outputs:
            self.read(tensor, range(tensor.size_bytes))

    def address(self, tensor: Tensor, byte: int) -> int:
        view = self.plan.views[tensor.index]
        row, column = divmod(byte, tensor.row_bytes)
        slot = (row * view.pace + view.turn) % view.ring_rows
        return view.offset_bytes + slot * view.row_stride_bytes + column

    def write(self, tensor: Tensor, span: Iterable[int]) -> None:
        for byte in span:
            address = self.address(tensor, byte)
            if not 0 <= address < self.plan.arena_bytes:
                raise Spoiled("outside")
            self.arena[address] = self.root[tensor.index], byte

    def read(self, tensor: Tensor, span: Iterable[int]) -> None:
        for byte in span:
            if self.arena.get(self.address(tensor, byte)) != (self.root[tensor.index], byte):
                raise Spoiled(f"tensor {tensor.index}, byte {byte}")

    def touched(
        self, node: Node, cells: list[tuple[int, int]], operands: list[int], access: Access
    ) -> tuple[list[tuple[Tensor, list[int]]], list[tuple[Tensor, list[int]]]]:
        """The bytes that cells of the output read and write."""
        reads = [
            (node.input(i), [b for r, c in cells for b in _operand_bytes(node, i, access, r, c)]) for i in operands
        ]
        writes = [(t, [b for r, c in cells for b in _output_bytes(t, access, r, c)]) for t in node.outputs]
        return reads, writes

    def expect_own_channels(
        self, node: Node, cells: list[tuple[int, int]], operands: list[int], access: Access
    ) -> None:
        """What is written may lie over what the same cells read only where the channel is the same."""
        reads, writes = self.touched(node, cells, operands, access)
        for tensor, span in reads:
            channel_of = {self.address(tensor, b): _channel(tensor, b) for b in span}
            for sink, written in writes:
                if any(channel_of.get(self.address(sink, b), _channel(sink, b)) != _channel(sink, b) for b in written):
                    raise Spoiled("another channel is overwritten")

    def accumulate(self, node: Node, step: Step, scratch: range) -> None:
        """A call that adds rows of its operand to sums in the scratch, and makes the output of them after the last."""
        operand, sums = node.input(0), (SUMS, step.layer)
        self.read(operand, range(step.row_begin * operand.row_bytes, step.row_end * operand.row_bytes))
        if step.row_begin and any(self.arena.get(address) != sums for address in scratch):
            raise Spoiled("sums are overwritten")
        for address in scratch:
            self.arena[address] = sums
        self.read(operand, range(step.row_begin * operand.row_bytes, step.row_end * operand.row_bytes))
        if step.row_end == operand.rows:
            self.write(node.output, range(node.output.size_bytes))
            if any(self.arena[address] != sums for address in scratch):
                raise Spoiled("scratch is overwritten")

    def unit(
        self,
        node: Node,
        cells: list[tuple[int, int]],
        operands: list[int],
        access: Access,
        scratch: range,
        apart: bool,
    ) -> None:
        """One unit: what it reads must be there before it writes and, where it may still read, after."""
        reads, writes = self.touched(node, cells, operands, access)
        if access.reads_once:
            reads = [(t, [b for b in span if (t.index, b // t.row_bytes) not in self.rows_read]) for t, span in reads]
            self.rows_read |= {(t.index, b // t.row_bytes) for t, span in reads for b in span}
        for address in scratch:
            self.arena[address] = (-1, address)
        for tensor, span in reads:
            self.read(tensor, span)
        if any(self.address(t, b) in scratch for t, span in writes for b in span):
            raise Spoiled("scratch is overwritten")
        if apart:
            self.expect_own_channels(node, cells, operands, access)
        for tensor, span in writes:
            self.write(tensor, span)
        if not access.reads_first and not apart:
            for tensor, span in reads:
                self.read(tensor, span)


def _same_pixels(node: Node, operands: list[int]) -> bool:
    tensors = [*(node.input(i) for i in operands), *node.outputs]
    return len({tensor.nhwc[3] * tensor.dtype.size_bytes for tensor in tensors}) == 1


def spoils(graph: Graph, schedule: Schedule, planned: Plan) -> bool:
    """Whether a value is lost."""
    try:
        Replay(graph, schedule, planned).run()
    except Spoiled:
        return True
    return False


def _units(node: Node, access: Access, begin: int, end: int, apart: bool) -> Iterator[list[tuple[int, int]]]:
    """The cells (row, column) of each unit, in order of time."""
    output = node.outputs[0]
    _, _, width, channels = output.nhwc
    columns = width * channels if access.elementwise else width
    cells = [(row, column) for row in range(begin, end) for column in range(columns)]
    if access.direction is Direction.BACKWARD:
        cells.reverse()
    if access.elementwise or access.unit is Unit.ELEMENT:
        size = 1
    else:
        rows = access.rows(node) * columns
        sizes = {Unit.PIXEL: access.pixels, Unit.ROW: rows, Unit.TENSOR: len(cells)}
        size = sizes.get(access.unit, rows if apart else len(cells))
    for first in range(0, len(cells), size):
        yield cells[first : first + size]


def _output_bytes(tensor: Tensor, access: Access, row: int, column: int) -> range:
    size = tensor.dtype.size_bytes if access.elementwise else tensor.nhwc[3] * tensor.dtype.size_bytes
    return range(row * tensor.row_bytes + column * size, row * tensor.row_bytes + (column + 1) * size)


def _operand_bytes(node: Node, operand: int, access: Access, row: int, column: int) -> list[int]:
    tensor = node.input(operand)
    first, last = access.input_rows(node, operand, row, row + 1)
    size = tensor.nhwc[3] * tensor.dtype.size_bytes
    if access.elementwise and tensor.elements == node.outputs[0].elements:
        size = tensor.dtype.size_bytes
        low, high = column, column + 1
    elif access.elementwise:
        low, high = 0, tensor.nhwc[2]
    else:
        low, high = access.input_columns(node, operand, column, column + 1)
    return [
        b
        for y in range(first, last)
        for b in range(y * tensor.row_bytes + low * size, y * tensor.row_bytes + high * size)
    ]


def _channel(tensor: Tensor, byte: int) -> int:
    return byte // tensor.dtype.size_bytes % tensor.nhwc[3]
