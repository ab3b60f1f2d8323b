"""EXPAND_DEPTHWISE on the Arm DSP extension: the kernels of both parts, through planes of a few channels.

A row of some channels is expanded three pixels and two channels at a time, as conv2d_s8__dsp does, and spread to the
planes from which depthwise_conv2d_s8__dsp_3x3 computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir import Access, Cost, Int32, Int32Array, Kernel, Node, Params, Reference
from tinygen.ops import conv2d_costs, conv2d_dsp, depthwise_dsp, dsp, expand_parts, expand_slices
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.conv2d_dsp import layer_of
from tinygen.ops.depthwise_dsp import Tiling, kept_rows_3x3, requantisation, row_bytes_3x3
from tinygen.ops.expand_parts import depthwise_of, expand_of, of_part
from tinygen.ops.expand_slices import GROUP, columns_read
from tinygen.ops.window import filter_windows

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
    """Channels of a slice."""
    return expand_slices.no_wider(node, slices.channels)


def strip_rows(node: Node, slices: Slices) -> int:
    """Output rows that are computed from the planes at once."""
    depthwise, channels = depthwise_of(node), slice_channels(node, slices)
    rows = slices.planes_bytes // (channels * row_bytes_3x3(depthwise)) - kept_rows_3x3(depthwise)
    return max(1, min(rows, node.output.shape[1]))


def switches(node: Node, slices: Slices) -> Mapping[str, str]:
    """How a slice is expanded, the shape, and the depthwise part's requantisation."""
    depthwise = depthwise_of(node)
    form = requantisation(depthwise, "negated")
    _, across = filter_windows(depthwise)
    return {
        **expand_slices.switches(node),
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
    """What some pixels read, the planes of a slice, and one row of it."""
    depthwise, channels = depthwise_of(node), slice_channels(node, slices)
    planes = (strip_rows(node, slices) + kept_rows_3x3(depthwise)) * row_bytes_3x3(depthwise)
    return expand_slices.pixels_bytes(node) + channels * (planes + columns_read(node))


def call_instructions(node: Node, slices: Slices, rows: int) -> int:
    """Of a call on so many rows, from what the parts take."""
    channels = node.output.shape[3]
    made = expand_slices.row_instructions(node, slice_channels(node, slices))
    spread = SPREAD * columns_read(node) * -(-channels // GROUP)
    tiling = Tiling(min(GROUP, channels), strip_rows(node, slices))
    of_depthwise = depthwise_dsp.call_instructions_3x3(depthwise_of(node), tiling, rows)
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
