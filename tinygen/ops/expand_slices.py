"""How EXPAND_DEPTHWISE expands on the Arm DSP extension: a row of some channels at a time, as conv2d_s8__dsp does."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinygen.ir import Node, Reference
from tinygen.ops import conv2d_costs, conv2d_dsp
from tinygen.ops.conv2d_dsp import PIXELS, layer_of, straight_and_loop
from tinygen.ops.expand_parts import depthwise_of, expand_of
from tinygen.ops.window import filter_windows

GROUP = 4
"""Slices have a multiple of so many channels, of which the last may be nobody's."""


ALONE = 1.4
"""Times the instructions of one of three pixels that are expanded together."""


def columns_read(node: Node) -> int:
    """Columns of the input that windows see."""
    _, across = filter_windows(depthwise_of(node))
    reach = across.stride * (across.output - 1) + (across.taps - 1) * across.dilation + 1 - across.before
    return min(node.input(0).shape[2], reach)


def pixels_together(node: Node) -> int:
    """Pixels that are expanded at a time: three, of which the last ones may be done twice, or one."""
    return PIXELS if columns_read(node) >= PIXELS else 1


def no_wider(node: Node, channels: int) -> int:
    """So many channels of a slice, or as few as there are, in whole groups."""
    return min(channels, -(-node.output.shape[3] // GROUP) * GROUP)


def pixels_bytes(node: Node) -> int:
    """Scratch for what the pixels read, as 16-bit values."""
    return 8 * pixels_together(node) * layer_of(expand_of(node)).patch.groups


def switches(node: Node) -> Mapping[str, str]:
    """How sums are made and requantised, by the names that tiles/expand_slice.c.j2 has for it."""
    expand = expand_of(node)
    layer = layer_of(expand)
    first, loop = straight_and_loop(layer.patch.groups)
    return {
        "slice": f"r{layer.patch.rest}",
        "unroll": f"{first}n{loop}" if loop else f"{first}",
        "unpack": "shared" if layer.shared else "plain",
        "expand": f"affine{layer.fit.shifts[0]}" if layer.fit else "twice",
        "clamp": conv2d_dsp.clamp_kind(expand),
    }


def row_instructions(node: Node, channels: int) -> float:
    """Of one row of all channels, in slices of so many, each of which extends the input anew."""
    expand = expand_of(node)
    patch, together = layer_of(expand).patch, pixels_together(node)
    pixel = conv2d_costs.cost(expand, Reference.LITERT).instructions / math.prod(expand.output.shape[:3])
    alone = 1 if together == PIXELS else ALONE
    again = -(-node.output.shape[3] // channels) - 1
    extend = (12 if together == PIXELS else 6) * patch.words + 9 * patch.rest + 50
    return -(-columns_read(node) // together) * (together * pixel * alone + again * extend)
