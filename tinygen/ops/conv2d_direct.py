"""CONV_2D on the Arm DSP extension from int8 as it lies: two pixels and two outputs at a time, next to no scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinygen.ir import Cost, Node, Reference
from tinygen.ops.conv2d_dsp import clamp_kind, layer_of, stream_bytes
from tinygen.ops.window import filter_windows

PIXELS = 2
MOST_SLICES = 25
"""Of a window, whose places stand on the stack."""

MOST_GROUPS = 12
"""Groups of 4 products in one turn of a loop, 68 bytes of code each."""

FARTHEST = 4095
"""Bytes that a load instruction reaches."""


def whole_words(node: Node) -> str | None:
    """A pixel of the input, or what a row of a filter without gaps reads, must be a whole number of words."""
    _, _, taps_w, channels = node.input(1).shape
    fits = channels % 4 == 0 or (taps_w * channels % 4 == 0 and filter_windows(node)[1].dilation == 1)
    return None if fits else f"{taps_w} taps of {channels} channels"


def few_slices(node: Node) -> str | None:
    """The filter must have at most 25 taps or, where a pixel is no whole number of words, as many rows."""
    _, height, width, _ = node.input(1).shape
    slices = height if _fills_window(node) else height * width
    return None if slices <= MOST_SLICES else f"a filter of {height} x {width}"


def _fills_window(node: Node) -> bool:
    """Whether a window that reaches over the border is filled: else only a pixel that stands for the border."""
    return node.input(0).shape[3] % 4 != 0


def near_pixels(node: Node) -> str | None:
    """What two neighbouring outputs read must be less than 4 KB apart."""
    step = _step(node)
    return None if step <= FARTHEST else f"{step} bytes"


def _step(node: Node) -> int:
    return filter_windows(node)[1].stride * node.input(0).shape[3]


def _slices(node: Node) -> tuple[int, int]:
    """Groups of 4 products of what one pixel reads in one place, and two pixels: of a pixel, or of adjacent ones."""
    _, _, taps_w, depth = node.input(1).shape
    if _fills_window(node):
        return taps_w * depth // 4, taps_w * depth // 4
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
        "depth": "window" if _fills_window(node) else depth,
        "slice": slice_,
        "step": str(_step(node)),
        "unpack": "shared" if layer.shared else "plain",
        "requantize": f"affine{layer.fit.shifts[0]}" if layer.fit else "twice",
        "clamp": clamp_kind(node),
        "odd": "odd" if node.output.shape[3] % 2 else "even",
    }


def scratch_bytes(node: Node) -> int:
    """A pixel outside of the input, where there is a border, or a window that reaches over it, which is flooded."""
    _, taps_h, taps_w, channels = node.input(1).shape
    if _fills_window(node):
        return taps_h * taps_w * channels
    return channels if taps_h * taps_w > 1 else 0


def cost(node: Node, reference: Reference) -> Cost:
    """Counted from the assembly and from what compilers make of the C around it."""
    layer = layer_of(node)
    batch, height, width, outputs = node.output.shape
    _, taps_h, taps_w, _ = node.input(1).shape
    pairs, taps = (outputs + 1) // 2, taps_h * taps_w
    depth, slice_ = _slices(node)
    groups = slice_ * taps_h if _fills_window(node) else depth * taps
    if taps == 1:
        twos, ones = divmod(batch * height * width, PIXELS)
        around = 30.0, 30.0
    else:
        border = [2 * -(-window.before // window.stride) for window in filter_windows(node)]
        inner = math.prod(max(0, n - b) / n for n, b in zip((height, width), border, strict=True))
        twos = math.floor(batch * height * width * inner / PIXELS)
        ones = batch * height * width - PIXELS * twos
        around = 50 + 8 * taps_h + 5 * groups / slice_, 50 + (45 * taps_h if _fills_window(node) else 12 * taps)

    def of_tile(pixels: int, words: int) -> int:
        turns = _turns(words)[1]
        own = {1: 10, 2: 17}[pixels] + (0 if layer.shared else 2)
        slices = groups // words * (4 + (1 + 2 * turns if turns > 1 else 0))
        return groups * own + slices + 2 * pixels + (7 if layer.fit else 14) * pixels + 6

    instructions = twos * (pairs * of_tile(2, slice_) + around[0]) + ones * (pairs * of_tile(1, depth) + around[1])
    code = 68 * _turns(slice_)[0] + 40 * _turns(depth)[0] + (500 if taps == 1 else 900) + (0 if layer.fit else 100)
    return Cost(round(instructions + 100), stream_bytes(node), code)
