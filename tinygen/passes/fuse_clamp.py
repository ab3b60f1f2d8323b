"""An activation or a shift of the zero point becomes part of the operator in front of it.

Filters, sums, products and pools end with the same three steps: an integer r, found from the sums and the scales alone,
plus the zero point, clamped by the fused activation. An operator that follows and maps one byte to one byte at the same
scale (RELU, RELU6, QUANTIZE to another zero point…) can go where another zero point and another activation, or bounds
that no activation has, map every r to the same value. There are few r to try: beyond the range of a byte, both sides
are constant.

QUANTIZE to another scale stays, for one rounding is not two: of 300 random ADDs with a QUANTIZE behind, each tried on
all 65,536 pairs of operands, none gave the same values when it rounded once, and 10 to 66 % of the pairs differed.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import Activation, Clamp, DType, FusedActivation, Fusion, Graph, Node, Reference, Tensor
from tinygen.ops.lut import is_table
from tinygen.passes.readers import private_tensors

CLAMPS = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1)

_STEPS = np.arange(-1024, 1025)
"""Values of r. Zero points and bounds are bytes, so all that matters lies between −255 and 255."""


def fuse_clamp(graph: Graph, reference: Reference) -> Graph:
    """Take each such operator into the one in front of it, where nothing else needs what lies between them."""
    private = private_tensors(graph)
    nodes: list[Node] = []
    made_at: dict[int, int] = {}
    fusions: list[Fusion] = []
    for node in graph.nodes:
        at = _maker(node, made_at, private)
        fused = None if at is None else _fused(nodes[at], node, reference)
        if at is None or fused is None:
            made_at |= {tensor.index: len(nodes) for tensor in node.outputs}
            nodes.append(node)
            continue
        fusions.append(Fusion(nodes[at].output, node.op.name, node.index, nodes[at].index))
        nodes[at] = fused
        made_at[fused.output.index] = at
    return replace(graph, nodes=tuple(nodes), fusions=(*graph.fusions, *fusions))


def _maker(node: Node, made_at: dict[int, int], private: set[int]) -> int | None:
    """Where the operator stands that makes a table's input for it alone."""
    if not is_table(node.op) or node.input(0).index not in private:
        return None
    return made_at.get(node.input(0).index)


def _fused(maker: Node, table: Node, reference: Reference) -> Node | None:
    """The maker with the table's output, or None where no activation gives every value of it."""
    between, output = table.input(0), table.output
    if "fused_activation_function" not in {field.name for field in fields(maker.op)}:
        return None
    if between.dtype is not DType.INT8 or output.dtype is not DType.INT8 or between.scale != output.scale:
        return None
    (results,) = table.op.reference(table, [np.arange(-128, 128, dtype=np.int8)], reference)
    wanted = results[_clamped(between, maker.op.fused_activation_function) + 128]  # type: ignore[attr-defined]
    for activation in (*CLAMPS, Clamp(int(wanted.min()), int(wanted.max()))):
        if np.array_equal(_clamped(output, activation), wanted):
            op = replace(maker.op, fused_activation_function=activation)  # type: ignore[call-arg]
            fused = replace(maker, op=op, outputs=(output,))
            if all(rule(fused) is None for rule in op.constraints):
                return fused
    return None


def _clamped(output: Tensor, activation: FusedActivation) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """What an operator's last two steps make of every r."""
    bounds = fixedpoint.activation_range(activation, output.scale, output.zero_point, output.dtype)
    return np.clip(_STEPS + output.zero_point, *bounds)
