"""A pointwise convolution and the depthwise one behind it as one operator: what lies between them never exists.

The first of them widens in most networks, so its output is what fills an arena. Here the rows that an output row's
window needs are computed a few channels at a time, into scratch, and again for each call: work is spent on memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tinygen.ir import (
    Access,
    Array,
    Cost,
    Int8Array,
    Int32,
    Int32Array,
    Kernel,
    Node,
    Op,
    Params,
    Reference,
    Shape,
    Unit,
)
from tinygen.ops import expand_depthwise_dsp, expand_depthwise_taps, expand_parts
from tinygen.ops.constants import clamp_bounds, multipliers_and_shifts
from tinygen.ops.costs import CONSTANTS_A_CHANNEL
from tinygen.ops.expand_parts import depthwise_of, expand_of
from tinygen.ops.filters import bias_values, channel_factors
from tinygen.ops.window import filter_geometry

PER_MAC, PER_EXPANDED = 5, 80
PER_TAP, PER_TAP_ROW, PER_OUTPUT = 7, 30, 45
"""Instructions, fitted to counts on a Cortex-M4, GCC 12.2 at -O2."""

CODE_BYTES = 1050


@dataclass(frozen=True, slots=True)
class ExpandDepthwiseParams(Params):
    input_height: Int32
    input_width: Int32
    input_channels: Int32
    output_height: Int32
    output_width: Int32
    output_channels: Int32
    filter_height: Int32
    filter_width: Int32
    stride_h: Int32
    stride_w: Int32
    dilation_h: Int32
    dilation_w: Int32
    pad_top: Int32
    pad_left: Int32
    input_offset: Int32
    expanded_zero_point: Int32
    expanded_min: Int32
    expanded_max: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    expand_weights: Int8Array
    expand_bias: Int32Array
    expand_multiplier: Int32Array
    expand_shift: Int8Array
    weights: Int8Array
    bias: Int32Array
    multiplier: Int32Array
    shift: Int8Array


def params(node: Node, reference: Reference) -> ExpandDepthwiseParams:
    """What expand_depthwise_s8__c is given."""
    expand, depthwise = expand_of(node), depthwise_of(node)
    between, output = expand.output, depthwise.output
    expand_weights, weights = expand.input(1).data, depthwise.input(1).data
    assert expand_weights is not None and weights is not None
    expand_multiplier, expand_shift = multipliers_and_shifts(channel_factors(expand))
    multiplier, shift = multipliers_and_shifts(channel_factors(depthwise))
    expanded_min, expanded_max = clamp_bounds(expand_parts.activation(expand), between)
    clamp_min, clamp_max = clamp_bounds(expand_parts.activation(depthwise), output)
    return ExpandDepthwiseParams(
        **filter_geometry(depthwise) | {"input_channels": node.input(0).shape[3]},
        input_offset=-node.input(0).zero_point,
        expanded_zero_point=between.zero_point,
        expanded_min=expanded_min,
        expanded_max=expanded_max,
        output_zero_point=output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        expand_weights=expand_weights,
        expand_bias=bias_values(expand),
        expand_multiplier=expand_multiplier,
        expand_shift=expand_shift,
        weights=weights,
        bias=bias_values(depthwise),
        multiplier=multiplier,
        shift=shift,
    )


def scratch_bytes(node: Node) -> int:
    """The rows of one channel that a window spans."""
    return expand_parts.window_rows(node) * node.input(0).shape[2]


def call_instructions(node: Node, rows: int) -> int:
    """Of a call on so many rows: plain code, one channel after the other."""
    _, taps_h, taps_w, channels = depthwise_of(node).input(1).shape
    _, _, width, depth = node.input(0).shape
    made = expand_parts.needed_rows(node, rows) * width * (PER_MAC * depth + PER_EXPANDED)
    read = rows * node.output.shape[2] * (PER_TAP * taps_h * taps_w + PER_TAP_ROW * taps_h + PER_OUTPUT)
    return channels * (made + read)


def cost(node: Node, reference: Reference) -> Cost:
    """Of one call on all rows; constants are as they are in the file."""
    batch, rows, _, channels = node.output.shape
    constants = sum(part.input(1).size_bytes for part in (expand_of(node), depthwise_of(node)))
    return Cost(
        batch * call_instructions(node, rows), constants + 2 * CONSTANTS_A_CHANNEL * channels, code_bytes=CODE_BYTES
    )


IN_SLICES = Access(Unit.TENSOR, expand_parts.input_rows)
"""Some channels after the other, in each all rows of a call: until the last of them every row of input is needed."""


@dataclass(frozen=True, slots=True)
class ExpandDepthwise(Op):
    """Made by a pass, never read from a file. Inputs: those of `expand`, then the constants of `depthwise`."""

    expand: Node
    depthwise: Node

    name: ClassVar[str] = "EXPAND_DEPTHWISE"
    version: ClassVar[int] = 1
    arity: ClassVar[tuple[int, int]] = (3, 5)
    kernels = (
        *expand_depthwise_dsp.kernels(IN_SLICES),
        *expand_depthwise_taps.kernels(IN_SLICES),
        Kernel(
            "expand_depthwise_s8__c",
            access=IN_SLICES,
            params=params,
            scratch_bytes=scratch_bytes,
            cost=cost,
            call_cost=call_instructions,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        return (self.depthwise.output.shape,)

    def macs(self, node: Node) -> int:
        return self.expand.op.macs(self.expand) + self.depthwise.op.macs(self.depthwise)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        count = len(self.expand.inputs)
        (between,) = self.expand.op.reference(self.expand, values[:count], reference)
        return self.depthwise.op.reference(self.depthwise, [between, *values[count:]], reference)
