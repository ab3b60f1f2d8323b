"""EXPAND_DEPTHWISE of any depthwise filter on the Arm DSP extension: expanded by it, the taps added in plain C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir import Access, Cost, Int8Array, Int32, Int32Array, Kernel, Node, Params, Reference
from tinygen.ops import conv2d_costs, conv2d_dsp, dsp, expand_parts, expand_slices
from tinygen.ops.constants import clamp_bounds, multipliers_and_shifts
from tinygen.ops.conv2d_dsp import layer_of
from tinygen.ops.costs import CONSTANTS_A_CHANNEL
from tinygen.ops.expand_parts import depthwise_of, expand_of, of_part
from tinygen.ops.filters import bias_values, channel_factors
from tinygen.ops.window import filter_geometry

WIDEST = 32
"""Channels of a slice."""

WIDE, THIN = 384, 0
"""Bytes that the rows of a slice which a window spans may take, unless they are of the least channels."""

PER_TAP, PER_TAP_ROW, PER_OUTPUT = 7, 9, 120
"""Instructions, counted on a Cortex-M4, GCC 12.2 at -O2."""

CODE_BYTES = 700


@dataclass(frozen=True, slots=True)
class ExpandDepthwiseTapsParams(Params):
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
    slice_words: Int32
    groups: Int32
    expanded_zero_point: Int32
    expand_clamps: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    expand_stream: Int32Array
    weights: Int8Array
    bias: Int32Array
    multiplier: Int32Array
    shift: Int8Array


def params(node: Node, reference: Reference) -> ExpandDepthwiseTapsParams:
    """What expand_depthwise_s8__dsp_taps is given."""
    expand, depthwise = expand_of(node), depthwise_of(node)
    weights = depthwise.input(1).data
    assert weights is not None
    patch = layer_of(expand).patch
    multiplier, shift = multipliers_and_shifts(channel_factors(depthwise))
    clamp_min, clamp_max = clamp_bounds(expand_parts.activation(depthwise), depthwise.output)
    return ExpandDepthwiseTapsParams(
        **filter_geometry(depthwise) | {"input_channels": node.input(0).shape[3]},
        slice_words=patch.words,
        groups=patch.groups,
        expanded_zero_point=expand.output.zero_point,
        expand_clamps=conv2d_dsp.clamps_word(expand),
        output_zero_point=depthwise.output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        expand_stream=conv2d_dsp.stream(expand),
        weights=weights,
        bias=bias_values(depthwise),
        multiplier=multiplier,
        shift=shift,
    )


def slice_channels(node: Node, room: int) -> int:
    """As many channels as there is room for."""
    groups = min(room // _channel_bytes(node), WIDEST) // expand_slices.GROUP
    return expand_slices.no_wider(node, max(1, groups) * expand_slices.GROUP)


def _channel_bytes(node: Node) -> int:
    return expand_parts.window_rows(node) * expand_slices.columns_read(node)


def switches(node: Node, room: int) -> Mapping[str, str]:
    """How a slice is expanded, its size, and whether taps lie side by side."""
    return {
        **expand_slices.switches(node),
        "width": str(expand_slices.columns_read(node)),
        "slice_channels": str(slice_channels(node, room)),
        "line": "down" if depthwise_of(node).input(1).shape[2] == 1 else "across",
    }


def scratch_bytes(node: Node, room: int) -> int:
    """What some pixels read, and the rows of a slice that a window spans."""
    return expand_slices.pixels_bytes(node) + _channel_bytes(node) * slice_channels(node, room)


def call_instructions(node: Node, room: int, rows: int) -> int:
    """Of a call on so many rows."""
    made = expand_parts.needed_rows(node, rows) * expand_slices.row_instructions(node, slice_channels(node, room))
    return round(made) + rows * _tap_instructions(node)


def _tap_instructions(node: Node) -> int:
    _, taps_h, taps_w, _ = depthwise_of(node).input(1).shape
    of_row = PER_TAP_ROW + (PER_TAP * taps_w if taps_w > 1 else 0)
    return node.output.shape[2] * node.output.shape[3] * (PER_OUTPUT + taps_h * of_row)


def cost(node: Node, room: int) -> Cost:
    """Of one call on all rows; the depthwise filter is as it is in the file."""
    batch, rows, _, channels = node.output.shape
    expand = conv2d_costs.cost(expand_of(node), Reference.LITERT)
    filter_bytes = depthwise_of(node).input(1).size_bytes + CONSTANTS_A_CHANNEL * channels
    return Cost(
        batch * call_instructions(node, room, rows),
        expand.constant_bytes + filter_bytes,
        expand.code_bytes + CODE_BYTES,
    )


def kernels(access: Access) -> tuple[Kernel, ...]:
    """The rows of the kernels, that with wider slices first."""
    return _kernel("expand_depthwise_s8__dsp_taps", WIDE, access), _kernel(
        "expand_depthwise_s8__dsp_tapsthin", THIN, access
    )


def _kernel(name: str, room: int, access: Access) -> Kernel:
    return Kernel(
        name,
        access=access,
        params=params,
        scratch_bytes=lambda node: scratch_bytes(node, room),
        switches=lambda node, reference: switches(node, room),
        features=dsp.DSP,
        constraints=(of_part("expand", conv2d_dsp.requantises),),
        cost=lambda node, reference: cost(node, room),
        call_cost=lambda node, rows: call_instructions(node, room, rows),
    )
