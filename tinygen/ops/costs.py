"""Costs that kernels state, from a few counts of their structure; measured on Cortex-M4, GCC 12.2 at -O2."""

from __future__ import annotations

from collections.abc import Callable

from tinygen.ir import Cost, Node, Reference

CONSTANTS_A_CHANNEL = 9
"""Bytes of bias, multiplier and shift."""


def weighted(
    per_mac: float, per_tap_row: float, per_output: float, code_bytes: int
) -> Callable[[Node, Reference], Cost]:
    """The cost of a kernel that walks the filter for each output and keeps weights as they are in the file.

    per_mac       instructions a multiplication
    per_tap_row   instructions a row of the window and output; a dense layer has one
    per_output    instructions an output element besides: its address, its requantisation
    """

    def cost(node: Node, reference: Reference) -> Cost:
        filters, outputs = node.input(1), node.output.elements
        tap_rows = filters.shape[1] if len(filters.shape) == 4 else 1
        channels = node.output.shape[-1]
        return Cost(
            round(per_mac * node.op.macs(node) + (per_tap_row * tap_rows + per_output) * outputs),
            filters.size_bytes + CONSTANTS_A_CHANNEL * channels,
            code_bytes,
        )

    return cost
