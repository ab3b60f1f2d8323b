"""Graph → rows: the kernels that apply to each layer, with what each costs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from tinygen.errors import UsageError
from tinygen.ir import Cost, Direction, Graph, Kernel, Node, Reference, Unit
from tinygen.kernels.names import function_name
from tinygen.targets import FEATURES

UNSTATED_PER_MAC, UNSTATED_PER_ELEMENT, UNSTATED_CODE_BYTES = 8, 20, 600
"""What stands for the cost of a kernel that states none: plain C. Such a kernel is weighed against no other."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel that applies to a layer.

    function      the C function it would be: its name and switches; layers with the same function share its code
    cost          as the kernel states it for this layer
    added_bytes   what it puts into the arena at its own step: scratch, and its outputs unless they may lie in an
                  operand's bytes
    """

    kernel: Kernel
    function: str
    cost: Cost
    added_bytes: int

    @property
    def is_backward(self) -> bool:
        """Whether it goes from the last pixel to the first."""
        return self.kernel.access.direction is Direction.BACKWARD

    @property
    def memory(self) -> tuple[int, int]:
        """What the arena prefers, the smaller the better: fewer bytes, then an output that may overlap an operand more.

        That is, where a byte of the operand is done with when the same byte of the output is written; where all that a
        pixel needs is; the others in the order of the size of what they write before.
        """
        access = self.kernel.access
        order = (Unit.PIXEL, Unit.ELEMENT, Unit.CHANNEL, Unit.ROW, Unit.TENSOR)
        return self.added_bytes, 0 if access.elementwise else 1 + order.index(access.unit)


Rows = tuple[tuple[Row, ...], ...]
"""By layer, in the order of the operator's tuple; empty where the node is a view and needs no kernel."""


def applicable(
    graph: Graph, features: frozenset[str], reference: Reference, overrides: Mapping[int, str] | None = None
) -> Rows:
    """The kernels to choose from, for every layer.

    Where the first that applies states no cost it is the only row: kernels without one are taken in their operator's
    order. Else the rows are all that state one. `overrides` names the one kernel of a layer; it raises UsageError where
    there is no such layer or the kernel does not apply to it.
    """
    wanted = dict(overrides or {})
    for layer in wanted:
        if layer not in range(len(graph.nodes)):
            raise UsageError(f"--kernel {layer}=…: {graph.name} has layers 0 to {len(graph.nodes) - 1}.")
    return tuple(
        _forced(node, layer, wanted[layer], features, reference)
        if layer in wanted
        else _rows(node, features, reference)
        for layer, node in enumerate(graph.nodes)
    )


def one_way(rows: Rows) -> Rows:
    """The rows of each layer that go forward, or all of it where none does."""
    return tuple(tuple(row for row in own if not row.is_backward) or own for own in rows)


def backward_rows(rows: Rows) -> Rows:
    """The rows of each layer that go backward."""
    return tuple(tuple(row for row in own if row.is_backward) for own in rows)


def is_view(node: Node) -> bool:
    """Whether the node is its operand's bytes under another shape, and computes nothing."""
    source = node.op.view_of(node)
    return source is not None and not node.input(source).is_constant


def kernels_for(node: Node, features: frozenset[str]) -> tuple[Kernel, ...]:
    """The kernels that apply to a node, in its operator's order; none where it is a view."""
    if is_view(node):
        return ()
    kernels = tuple(kernel for kernel in node.op.kernels if _obstacle(kernel, node, features) is None)
    if not kernels:
        raise AssertionError(f"{node.describe()}: its last kernel must be portable and apply to every node")
    return kernels


def _rows(node: Node, features: frozenset[str], reference: Reference) -> tuple[Row, ...]:
    kernels = kernels_for(node, features)
    if not kernels:
        return ()
    priced = [kernel for kernel in kernels if kernel.cost is not None]
    return tuple(row_of(kernel, node, reference) for kernel in (priced if kernels[0].cost else kernels[:1]))


def _forced(node: Node, layer: int, name: str, features: frozenset[str], reference: Reference) -> tuple[Row, ...]:
    """The row of the kernel that the user named."""
    place = f"--kernel {layer}={name}: layer {layer} ({node.op.name})"
    if is_view(node):
        raise UsageError(f"{place} is a view of its input: it computes nothing and needs no kernel.")
    obstacles = {kernel.name: _obstacle(kernel, node, features) for kernel in node.op.kernels}
    those = f"Those that apply to this layer: {', '.join(n for n, why in obstacles.items() if why is None)}."
    if name not in obstacles:
        raise UsageError(f"{place} has no such kernel. {those}")
    if (why := obstacles[name]) is not None:
        raise UsageError(f"{place}: the kernel does not apply. {why} {those}")
    return tuple(row_of(kernel, node, reference) for kernel in node.op.kernels if kernel.name == name)


def _obstacle(kernel: Kernel, node: Node, features: frozenset[str]) -> str | None:
    """Why a kernel does not apply, as a sentence, or None when it does."""
    if missing := sorted(kernel.features - features):
        return f"It needs {'; '.join(f'{name} ({FEATURES[name]})' for name in missing)}, which the board lacks."
    for rule in kernel.constraints:
        if (found := rule(node)) is not None:
            return f"{' '.join((rule.__doc__ or '').split())} Found: {found}."
    return None


def row_of(kernel: Kernel, node: Node, reference: Reference) -> Row:
    """What a kernel is for a layer."""
    return Row(
        kernel=kernel,
        function=function_name(kernel.name, kernel.switches(node, reference)),
        cost=kernel.cost(node, reference) if kernel.cost else _unstated(kernel, node, reference),
        added_bytes=kernel.scratch_bytes(node)
        + (0 if _in_place(kernel, node) else sum(tensor.size_bytes for tensor in node.outputs)),
    )


def _in_place(kernel: Kernel, node: Node) -> bool:
    """Whether the first output may lie in the bytes of an operand, should that operand die here."""
    output = node.outputs[0]
    operands = [node.input(position) for position in kernel.operands(node)]
    return kernel.access.elementwise and any(
        not t.is_constant and t.elements == output.elements and t.dtype.size_bytes >= output.dtype.size_bytes
        for t in operands
    )


def _unstated(kernel: Kernel, node: Node, reference: Reference) -> Cost:
    """What stands for a cost that is not stated; its flash is arrays in the parameters, and constants in views."""
    operands = {node.input(position).index: node.input(position) for position in kernel.operands(node)}
    views = sum(tensor.size_bytes for tensor in operands.values() if tensor.is_constant)
    params = kernel.params(node, reference)
    values = (getattr(params, field.name) for field in fields(params))
    arrays = sum(value.nbytes for value in values if isinstance(value, np.ndarray))
    instructions = UNSTATED_PER_MAC * node.op.macs(node) + UNSTATED_PER_ELEMENT * sum(t.elements for t in node.outputs)
    return Cost(instructions, views + arrays, UNSTATED_CODE_BYTES)
