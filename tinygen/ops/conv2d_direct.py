"""CONV_2D on the Arm DSP extension from int8 as it lies: two pixels and two outputs at a time, next to no scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinygen.ir import Cost, Node, Reference
from tinygen.ops.conv2d_dsp import clamp_kind, layer_of, stream_bytes
from tinygen.ops.window import filter_windows

PIXELS = 2
MOST_TAPS = 25
"""Places of a window, which stand on the stack."""

MOST_GROUPS = 12
"""Groups of 4 products in one turn of a loop, 68 bytes of code each."""

FARTHEST = 4095
"""Bytes that a load instruction reaches."""


def whole_words(node: Node) -> str | None:
    """A pixel of the input must be a whole number of words."""
    channels = node.input(0).shape[3]
    return None if channels % 4 == 0 else f"{channels} channels"


def few_taps(node: Node) -> str | None:
    """The filter must have at most 25 taps."""
    _, height, width, _ = node.input(1).shape
    return None if height * width <= MOST_TAPS else f"a filter of {height} x {width}"


def near_pixels(node: Node) -> str | None:
    """What two neighbouring outputs read must be less than 4 KB apart."""
    step = _step(node)
    return None if step <= FARTHEST else f"{step} bytes"


def _step(node: Node) -> int:
    return filter_windows(node)[1].stride * node.input(0).shape[3]


def _slices(node: Node) -> tuple[int, int]:
    """Groups of 4 products of a pixel, and of a slice of adjacent ones."""
    _, _, taps_w, depth = node.input(1).shape
    dilated = filter_windows(node)[1].dilation > 1
    return depth // 4, depth // 4 * (1 if dilated else taps_w)


def _turns(groups: int) -> tuple[int, int]:
    """Groups in one turn of the loop, and turns: as few as divide them evenly."""
    loop = max(count for count in range(1, MOST_GROUPS + 1) if groups % count == 0)
    return loop, groups // loop


def switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """The structure of conv2d_s8__dsp_direct; see the templates for what the words mean."""
    layer = layer_of(node)
    _, taps_h, taps_w, _ = node.input(1).shape
    depth, slice_ = (f"{loop}x{turns}" for loop, turns in map(_turns, _slices(node)))
    return {
        "taps": f"{taps_h}x{taps_w}",
        "depth": depth,
        "slice": slice_,
        "step": str(_step(node)),
        "unpack": "shared" if layer.shared else "plain",
        "requantize": f"affine{layer.fit.shifts[0]}" if layer.fit else "twice",
        "clamp": clamp_kind(node),
        "odd": "odd" if node.output.shape[3] % 2 else "even",
    }


def scratch_bytes(node: Node) -> int:
    """A pixel outside of the input, where there is a border."""
    _, taps_h, taps_w, _ = node.input(1).shape
    return node.input(0).shape[3] if taps_h * taps_w > 1 else 0


def cost(node: Node, reference: Reference) -> Cost:
    """Counted from the assembly and from what compilers make of the C around it."""
    layer = layer_of(node)
    batch, height, width, outputs = node.output.shape
    _, taps_h, taps_w, _ = node.input(1).shape
    pairs, taps = (outputs + 1) // 2, taps_h * taps_w
    depth, slice_ = _slices(node)
    groups = depth * taps
    if taps == 1:
        twos, ones = divmod(batch * height * width, PIXELS)
        around = 30.0, 30.0
    else:
        inner = max(0, height - 2) * max(0, width - 2) / (height * width)
        twos = math.floor(batch * height * width * inner / PIXELS)
        ones = batch * height * width - PIXELS * twos
        around = 50 + 8 * taps_h + 5 * groups / slice_, 50 + 12 * taps

    def of_tile(pixels: int, words: int) -> int:
        turns = _turns(words)[1]
        own = {1: 10, 2: 17}[pixels] + (0 if layer.shared else 2)
        slices = groups // words * (4 + (1 + 2 * turns if turns > 1 else 0))
        return groups * own + slices + 2 * pixels + (7 if layer.fit else 14) * pixels + 6

    instructions = twos * (pairs * of_tile(2, slice_) + around[0]) + ones * (pairs * of_tile(1, depth) + around[1])
    code = 68 * _turns(slice_)[0] + 40 * _turns(depth)[0] + (500 if taps == 1 else 900) + (0 if layer.fit else 100)
    return Cost(round(instructions + 100), stream_bytes(node), code)
