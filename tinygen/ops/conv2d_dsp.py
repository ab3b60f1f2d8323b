"""CONV_2D on the Arm DSP extension: three pixels and two outputs at a time, constants as one stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinygen.ir import FusedActivation, Int32, Int32Array, Node, Params, Reference
from tinygen.ops import dsp, requantize
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.dsp import Channels, Int32s, Int64s
from tinygen.ops.window import filter_geometry, filter_windows

PIXELS = 3
SLACK = 3
"""Bytes that may be read or written after a window."""

MOST_STAGED = 512
"""Bytes of rows with their border that scratch is spent on."""

LONGEST_STRAIGHT = 16
"""Groups of 4 products that code computes one after the other, 68 bytes each; longer sums take a loop."""

ANY_LENGTH = (0, LONGEST_STRAIGHT)
"""For `straight_and_loop`: a loop whose first turn begins in the middle."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What an output pixel reads: slices of adjacent bytes, each some words and a rest of up to 3 bytes.

    Products are ordered by that: the words of all slices, then the rest of all slices, in groups of 4. The last word
    of each slice may have `slack` bytes that belong to no product.
    """

    slices: int
    words: int
    rest: int
    slack: int

    @classmethod
    def of(cls, node: Node) -> Patch:
        """A row of taps lies in one slice, each tap in one of its own where the filter is dilated along the row.

        Where there is a window to read beyond the slice, three bytes are a word.
        """
        _, taps_h, taps_w, depth = node.input(1).shape
        dilated = filter_windows(node)[1].dilation > 1
        slices, taps = (taps_h * taps_w, 1) if dilated else (taps_h, taps_w)
        words, rest = divmod(taps * depth, 4)
        if rest == 3 and taps_h * taps_w > 1:
            return cls(slices, words + 1, 0, 1)
        return cls(slices, words, rest, 0)

    @property
    def groups(self) -> int:
        """Groups of 4 products."""
        return self.slices * self.words + -(-self.slices * self.rest // 4)

    def order(self, weights: Int64s) -> Int64s:
        """Weights (outputs, products) in the order of the products, zeros where the last group has no product."""
        outputs = len(weights)
        by_slice = weights.reshape(outputs, self.slices, -1)
        by_slice = np.pad(by_slice, ((0, 0), (0, 0), (0, self.slack)))
        whole = by_slice[:, :, : 4 * self.words].reshape(outputs, -1)
        rest = by_slice[:, :, 4 * self.words :].reshape(outputs, -1)
        rest = np.pad(rest, ((0, 0), (0, -rest.shape[1] % 4)))
        # a word holds products 0 and 2 of a group or 1 and 3; of the rest it holds neighbours
        rest = rest.reshape(outputs, -1, 4)[:, :, [0, 2, 1, 3]].reshape(outputs, -1)
        return np.concatenate([whole, rest], 1)


@dataclass(frozen=True, slots=True)
class Layer:
    """How a node is computed: `fit` is None where sums are rounded twice as the definition says."""

    patch: Patch
    channels: Channels
    shared: bool
    fit: requantize.Fit | None


def clamps(node: Node) -> tuple[int, int]:
    """(above, below): by how much the outputs' range is narrower than int8 at its ends."""
    activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
    low, high = clamp_bounds(activation, node.output)
    return 127 - high, low + 128


def raised_by(node: Node) -> int:
    """What is added to outputs before they saturate, so that the highest is 127: it is taken off afterwards."""
    return 0 if clamp_kind(node) == "wide" else clamps(node)[0]


@lru_cache(maxsize=1024)
def layer_of(node: Node) -> Layer:
    """The cheapest exact way to compute a node."""
    patch = Patch.of(node)
    channels = dsp.channels_of(node)
    weights = channels.weights[:, : node.input(1).elements // node.input(1).shape[0]]
    channels = dataclasses.replace(channels, weights=patch.order(weights))
    can_share = _shares(channels)
    for shared in (True, False) if can_share else (False,):
        fit = requantize.fit_all(staircases(node, channels), (1, 256) if shared else (1,))
        if fit is not None:
            return Layer(patch, channels, shared, fit)
    return Layer(patch, channels, can_share, None)


def _shares(channels: Channels) -> bool:
    """Whether half-words can hold 256 × the second output's weight + the first's, and sums of them both outputs'."""
    count = len(channels.starts)
    seconds = np.arange(1, count, 2)
    halves = 256 * channels.weights[seconds] + channels.weights[seconds - 1]
    largest = max(-int(channels.lows.min()), int(channels.highs.max())) + max(requantize.OFFSETS_TRIED)
    low, high = (int(halves.min()), int(halves.max())) if len(seconds) else (0, 0)
    return low >= -(2**15) and high < 2**15 and largest < dsp.LARGEST_SHARED_SUM


def staircases(node: Node, channels: Channels) -> list[requantize.Staircase]:
    """The outputs' definitions, raised where outputs are."""
    above, below = raised_by(node), clamps(node)[1]
    zero_point = node.output.zero_point
    found = []
    for channel, (multiplier, right) in enumerate(zip(channels.multipliers, channels.right_shifts, strict=True)):
        found.append(
            requantize.Staircase(
                requantize.rounded_twice(multiplier, -right),
                multiplier / 2.0 ** (31 + right),
                zero_point + above,
                below - 128 + above,
                127 - clamps(node)[0] + above,
                int(channels.lows[channel]),
                int(channels.highs[channel]),
            )
        )
    return found


def requantises(node: Node) -> str | None:
    """Every sum must be exact in the instructions that requantise it."""
    layer = layer_of(node)
    if layer.fit is not None:
        return None
    return rounds_twice(node, layer.channels, dsp.LARGEST_SUM)


def rounds_twice(node: Node, channels: Channels, largest_sum: int) -> str | None:
    """Which sums are too large to be rounded twice, if any."""
    for channel, right in enumerate(channels.right_shifts):
        low, high = int(channels.lows[channel]), int(channels.highs[channel])
        if right < 1 or max(-low, high) >= largest_sum or abs(_addend(node, right)) >= 2**30:
            return f"sums from {low} to {high} with factor 2^{-right} in channel {channel}"
    return None


def _addend(node: Node, right: int) -> int:
    """The output's zero point and the rounding half, before the shift."""
    return (2 * (node.output.zero_point + raised_by(node)) + 1) << (right - 1)


def stream(node: Node) -> Int32s:
    """For each pair of outputs two start values, the weights, and what requantises them."""
    layer = layer_of(node)
    count = len(layer.channels.starts)
    parts: list[Int64s] = []
    for first in range(0, count, 2):
        pair = [first, first + 1 if first + 1 < count else None]
        parts.append(
            np.concatenate([*_sums(layer, pair), *(requantisation(node, layer.channels, layer.fit, c) for c in pair)])
        )
    return dsp.joined(parts)


def stream_bytes(node: Node) -> int:
    """Of the stream, which costs are asked for more often than it is made."""
    layer = layer_of(node)
    pairs = (len(layer.channels.starts) + 1) // 2
    return 4 * pairs * (2 + 2 * layer.patch.groups + (4 if layer.fit else 6))


def _sums(layer: Layer, pair: Sequence[int | None]) -> tuple[Int64s, Int64s]:
    """Two start values and the weights of a pair; a missing output has zeros."""
    offsets = [0 if layer.fit is None or c is None else layer.fit.channels[c].offset for c in pair]
    starts = [0 if c is None else int(layer.channels.starts[c]) + d for c, d in zip(pair, offsets, strict=True)]
    low, high = (np.zeros_like(layer.channels.weights[0]) if c is None else layer.channels.weights[c] for c in pair)
    if layer.shared:
        starts[1] = 256 * starts[1] + starts[0]
    return np.array(starts), dsp.weight_words(low, high, shared=layer.shared)


def requantisation(node: Node, channels: Channels, fit: requantize.Fit | None, channel: int | None) -> Int64s:
    """Multiplier, addend and, where sums are rounded twice, shift; of a missing output any."""
    if fit is None:
        right = 1 if channel is None else channels.right_shifts[channel]
        return np.array([0 if channel is None else channels.multipliers[channel], _addend(node, right), right])
    if channel is None:
        return np.zeros(2, np.int64)
    return np.array([fit.channels[channel].multiplier, fit.channels[channel].addend])


@dataclass(frozen=True, slots=True)
class Conv2DDspParams(Params):
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
    row_slices: Int32
    slice_words: Int32
    slack: Int32
    groups: Int32
    input_zero_point: Int32
    clamps: Int32
    stream: Int32Array


def params(node: Node, reference: Reference) -> Conv2DDspParams:
    """What conv2d_s8__dsp is given."""
    data = node.input(0)
    down, _ = filter_windows(node)
    patch = Patch.of(node)
    return Conv2DDspParams(
        **filter_geometry(node),
        row_slices=patch.slices // down.taps,
        slice_words=patch.words,
        slack=patch.slack,
        groups=patch.groups,
        input_zero_point=data.zero_point,
        clamps=clamps_word(node),
        stream=stream(node),
    )


def clamps_word(node: Node) -> int:
    """By how much an output is lowered (bytes 0 and 1) and raised (bytes 2 and 3) after its first saturation."""
    if clamp_kind(node) == "wide":
        return 0
    above, below = clamps(node)
    lowered, raised = (divmod_127(above + below), divmod_127(below))
    return lowered[0] | lowered[1] << 8 | raised[0] << 16 | raised[1] << 24


def divmod_127(value: int) -> tuple[int, int]:
    """A value up to 254 in two bytes that are not negative."""
    return min(value, 127), value - min(value, 127)


def clamp_kind(node: Node) -> str:
    """How many instructions clamp outputs to less than int8: none (wide), two (near), or four (far)."""
    above, below = clamps(node)
    # one output for all sums needs no clamp
    if above + below in (0, 255):
        return "wide"
    return "near" if above + below <= 127 else "far"


def straight_and_loop(groups: int) -> tuple[int, int]:
    """Groups that stand before the loop, and in one turn of it; the latter 0 where there is none."""
    if groups <= LONGEST_STRAIGHT:
        return groups, 0
    # the same code for windows of 3 x 3 whatever their channels, and for pixels of any
    for loop in (12, 16):
        if groups % loop == 0:
            return loop, loop
    # three instructions a turn; few copies of the code count a little
    choices = []
    for loop in range(LONGEST_STRAIGHT // 2, LONGEST_STRAIGHT + 1):
        first = (groups - 1) % loop + 1
        choices.append((30 * ((groups - first) // loop) + first + loop, first, loop))
    return min(choices)[1:]


def switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """The structure of conv2d_s8__dsp; see the templates for what the words mean."""
    return _switches(node, straight_and_loop(layer_of(node).patch.groups))


def few_switches(node: Node, pixels: int) -> Mapping[str, str]:
    """The structure of conv2d_s8__dsp_1p and _2p, which stage no rows."""
    found = _switches(node, straight_and_loop(layer_of(node).patch.groups))
    tails = "tails" if node.output.shape[2] % pixels else "whole"
    return found | {"patch": found["patch"].replace("staged", "window"), "tails": tails}


def loop_switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """The structure of conv2d_s8__dsp_loop."""
    return _switches(node, ANY_LENGTH)


def _switches(node: Node, unroll: tuple[int, int]) -> dict[str, str]:
    layer = layer_of(node)
    _, taps_h, taps_w, _ = node.input(1).shape
    patch = layer.patch
    first, loop = unroll
    whole_patch = "window" if taps_h * taps_w > 1 else "pixel"
    by_words = f"r{patch.rest}" if whole_patch == "pixel" else f"{patch.words}r{patch.rest}"
    return {
        "patch": "staged" if is_staged(node) else whole_patch,
        "slice": by_words if patch.rest else "words",
        "unroll": f"{first}n{loop}" if loop else f"{first}",
        "unpack": "shared" if layer.shared else "plain",
        "requantize": f"affine{layer.fit.shifts[0]}" if layer.fit else "twice",
        "clamp": clamp_kind(node),
        "taps": "dilated" if patch.slices > taps_h else "dense",
        "tails": "tails" if node.output.shape[2] % PIXELS else "whole",
        "odd": "odd" if node.output.shape[3] % 2 else "even",
    }


def staged_bytes(node: Node) -> int:
    """As many rows of the input as one row of the output reads, with their border."""
    down, across = filter_windows(node)
    width = (across.output - 1) * across.stride + (across.taps - 1) * across.dilation + 1
    return ((down.taps - 1) * down.dilation + 1) * (width * node.input(0).shape[3] + SLACK)


def window_bytes(node: Node, pixels: int = PIXELS) -> int:
    """What neighbouring pixels of a row read."""
    down, across = filter_windows(node)
    width = (pixels - 1) * across.stride + (across.taps - 1) * across.dilation + 1
    return down.taps * width * node.input(0).shape[3]


def is_staged(node: Node) -> bool:
    """Whether the border is added to whole rows: where they are short."""
    _, taps_h, taps_w, _ = node.input(1).shape
    return taps_h * taps_w > 1 and staged_bytes(node) <= max(MOST_STAGED, window_bytes(node))


def scratch_bytes(node: Node) -> int:
    """What three pixels read, as 16-bit values, and bytes with their border: rows, or a window of them."""
    _, taps_h, taps_w, _ = node.input(1).shape
    batch, height, width, _ = node.output.shape
    expanded = 8 * PIXELS * Patch.of(node).groups
    if taps_h * taps_w == 1:
        return expanded * min(PIXELS, batch * height * width) // PIXELS
    return expanded + SLACK + (staged_bytes(node) if is_staged(node) else window_bytes(node))


def few_scratch_bytes(node: Node, pixels: int) -> int:
    """The same of one or two pixels; their window is filled where it reaches over the border."""
    _, taps_h, taps_w, _ = node.input(1).shape
    batch, height, width, _ = node.output.shape
    if taps_h * taps_w == 1:
        return 8 * min(pixels, batch * height * width) * Patch.of(node).groups
    return 8 * pixels * Patch.of(node).groups + SLACK + window_bytes(node, pixels)
