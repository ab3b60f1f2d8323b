"""EXPAND_DEPTHWISE on the Arm DSP extension: the kernels of both parts, through planes of a few channels.

A row of some channels is expanded three pixels and two channels at a time, as conv2d_s8__dsp does, and spread to the
planes from which depthwise_conv2d_s8__dsp_3x3 computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir import Access, Cost, Int32, Int32Array, Kernel, Node, Params, Reference
from tinygen.ops import conv2d_costs, conv2d_dsp, depthwise_dsp, dsp, expand_parts
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.conv2d_dsp import PIXELS, layer_of, straight_and_loop
from tinygen.ops.depthwise_dsp import Tiling, kept_rows_3x3, requantisation, row_bytes_3x3
from tinygen.ops.expand_parts import depthwise_of, expand_of, of_part
from tinygen.ops.window import filter_windows

GROUP = 4
"""Channels that are spread to planes together."""

SPREAD = 5
"""Instructions that a pixel of a group takes longer where rows are spread to blocks one by one."""


@dataclass(frozen=True, slots=True)
class Slices:
    """Channels of a slice at most, a multiple of GROUP, and bytes of planes that more than one output row may take."""

    channels: int
    planes_bytes: int


THIN = Slices(4, 0)
SMALL = Slices(8, 2048)
LARGE = Slices(16, 6144)
"""Wide slices extend the input less often, high planes add rows with fewer instructions."""


@dataclass(frozen=True, slots=True)
class ExpandDepthwise3x3Params(Params):
    input_height: Int32
    input_channels: Int32
    output_height: Int32
    pad_top: Int32
    slice_words: Int32
    groups: Int32
    expanded_zero_point: Int32
    expand_clamps: Int32
    clamp_min: Int32
    clamp_max: Int32
    expand_stream: Int32Array
    stream: Int32Array


def params(node: Node, reference: Reference) -> ExpandDepthwise3x3Params:
    """What expand_depthwise_s8__dsp is given."""
    expand, depthwise = expand_of(node), depthwise_of(node)
    patch = layer_of(expand).patch
    clamp_min, clamp_max = clamp_bounds(expand_parts.activation(depthwise), depthwise.output)
    return ExpandDepthwise3x3Params(
        input_height=node.input(0).shape[1],
        input_channels=node.input(0).shape[3],
        output_height=node.output.shape[1],
        pad_top=filter_windows(depthwise)[0].before,
        slice_words=patch.words,
        groups=patch.groups,
        expanded_zero_point=expand.output.zero_point,
        expand_clamps=conv2d_dsp.clamps_word(expand),
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        expand_stream=conv2d_dsp.stream(expand),
        stream=depthwise_dsp.stream_3x3(depthwise),
    )


def slice_channels(node: Node, slices: Slices) -> int:
    """Channels of a slice: no more than there are, in whole groups."""
    return min(slices.channels, -(-node.output.shape[3] // GROUP) * GROUP)


def strip_rows(node: Node, slices: Slices) -> int:
    """Output rows that are computed from the planes at once."""
    depthwise, channels = depthwise_of(node), slice_channels(node, slices)
    rows = slices.planes_bytes // (channels * row_bytes_3x3(depthwise)) - kept_rows_3x3(depthwise)
    return max(1, min(rows, node.output.shape[1]))


def columns_read(node: Node) -> int:
    """Columns of the input that windows see."""
    _, across = filter_windows(depthwise_of(node))
    return min(node.input(0).shape[2], across.stride * (across.output - 1) + 3 - across.before)


def pixels_together(node: Node) -> int:
    """Pixels that are expanded at a time: three, of which the last ones may be done twice, or one."""
    return PIXELS if columns_read(node) >= PIXELS else 1


def switches(node: Node, slices: Slices) -> Mapping[str, str]:
    """How sums are expanded, as conv2d_s8__dsp names it; then the shape and the depthwise part's requantisation."""
    expand, depthwise = expand_of(node), depthwise_of(node)
    layer, form = layer_of(expand), requantisation(depthwise, "negated")
    _, across = filter_windows(depthwise)
    first, loop = straight_and_loop(layer.patch.groups)
    return {
        "slice": f"r{layer.patch.rest}",
        "unroll": f"{first}n{loop}" if loop else f"{first}",
        "unpack": "shared" if layer.shared else "plain",
        "expand": f"affine{layer.fit.shifts[0]}" if layer.fit else "twice",
        "clamp": conv2d_dsp.clamp_kind(expand),
        "stride": str(across.stride),
        "input_width": str(node.input(0).shape[2]),
        "output_width": str(across.output),
        "before": str(across.before),
        "channels": str(node.output.shape[3]),
        "slice_channels": str(slice_channels(node, slices)),
        "strip_rows": str(strip_rows(node, slices)),
        "requantize": form.form,
        "shift": str(form.shift),
    }


def scratch_bytes(node: Node, slices: Slices) -> int:
    """What some pixels read, as 16-bit values, the planes of a slice, and one row of it."""
    depthwise, channels = depthwise_of(node), slice_channels(node, slices)
    expanded = 8 * pixels_together(node) * layer_of(expand_of(node)).patch.groups
    planes = (strip_rows(node, slices) + kept_rows_3x3(depthwise)) * row_bytes_3x3(depthwise)
    return expanded + channels * (planes + columns_read(node))


def call_instructions(node: Node, slices: Slices, rows: int) -> int:
    """Of a call on so many rows, from what the parts take and how often a slice extends the input anew."""
    expand, depthwise = expand_of(node), depthwise_of(node)
    patch, width = layer_of(expand).patch, columns_read(node)
    together = pixels_together(node)
    turns = -(-width // together)
    a_pixel = conv2d_costs.cost(expand, Reference.LITERT).instructions / math.prod(expand.output.shape[:3])
    again = -(-node.output.shape[3] // slice_channels(node, slices)) - 1
    extend = 12 * patch.words + 9 * patch.rest + 50
    made = turns * (together * a_pixel + again * extend)
    spread = SPREAD * width * -(-node.output.shape[3] // GROUP)
    tiling = Tiling(min(GROUP, node.output.shape[3]), strip_rows(node, slices))
    of_depthwise = depthwise_dsp.call_instructions_3x3(depthwise, tiling, rows)
    return round(expand_parts.needed_rows(node, rows) * (made + spread)) + of_depthwise


def cost(node: Node, slices: Slices) -> Cost:
    """Of one call on all rows; the streams are those of the parts."""
    batch, rows, _, _ = node.output.shape
    parts = (
        conv2d_costs.cost(expand_of(node), Reference.LITERT),
        depthwise_dsp.cost_3x3(depthwise_of(node), Tiling(4, 1)),
    )
    return Cost(
        batch * call_instructions(node, slices, rows),
        sum(part.constant_bytes for part in parts),
        sum(part.code_bytes for part in parts),
    )


def kernels(access: Access) -> tuple[Kernel, ...]:
    """The rows of the kernels, those with the largest slices first."""
    return tuple(
        _kernel(f"expand_depthwise_s8__dsp{tile}", slices, access)
        for tile, slices in (("_large", LARGE), ("", SMALL), ("_thin", THIN))
    )


def _kernel(name: str, slices: Slices, access: Access) -> Kernel:
    rules = [
        of_part("expand", conv2d_dsp.requantises),
        of_part("depthwise", depthwise_dsp.three_by_three),
        of_part("depthwise", depthwise_dsp.offsets_fit_3x3),
        of_part("depthwise", depthwise_dsp.requantises),
    ]
    return Kernel(
        name,
        access=access,
        params=params,
        scratch_bytes=lambda node: scratch_bytes(node, slices),
        switches=lambda node, reference: switches(node, slices),
        features=dsp.DSP,
        constraints=tuple(rules),
        cost=lambda node, reference: cost(node, slices),
        call_cost=lambda node, rows: call_instructions(node, slices, rows),
    )
