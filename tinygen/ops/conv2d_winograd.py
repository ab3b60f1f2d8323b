"""CONV_2D of 3 × 3 with stride 1 on the Arm DSP extension, by Winograd's F(2 × 2, 3 × 3) in integers.

With G of halves doubled, 2G = 2 0 0 / 1 1 1 / 1 −1 1 / 0 0 2, the transformed weights (2G) w (2G)ᵀ are integers, and
the result is four times the convolution's sum, exact modulo 2^32: 16 multiplications for 4 outputs instead of 36.
Transformed weights have 16 bits, so they take 32 bytes where the filter takes 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinygen.ir import Cost, Int32, Int32Array, Node, Params, Reference
from tinygen.ops import conv2d_dsp, dsp, requantize
from tinygen.ops.dsp import Channels, Int32s, Int64s
from tinygen.ops.window import filter_windows

SCALE = 4
"""Of the sums."""

ROW_ORDER = (1, 2, 0, 3)
"""Of the rows of a column: m1 and m2 are needed as sum and difference first."""

MOST_CHANNELS = 128
"""Their products stand one after the other in the code."""

DOUBLED_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])


def three_by_three(node: Node) -> str | None:
    """The filter must be 3 x 3 with stride 1, and not dilated."""
    windows = filter_windows(node)
    if all((w.taps, w.stride, w.dilation) == (3, 1, 1) for w in windows):
        return None
    down, across = windows
    return (
        f"{down.taps} x {across.taps}, stride {down.stride} and {across.stride}, "
        f"dilation {down.dilation} and {across.dilation}"
    )


def whole_groups(node: Node) -> str | None:
    """Input channels must be a multiple of 4 up to 128, output channels even and at most 512."""
    channels, outputs = node.input(0).shape[3], node.output.shape[3]
    if channels % 4 == 0 and channels <= MOST_CHANNELS and outputs % 2 == 0 and outputs <= 512:
        return None
    return f"{channels} to {outputs} channels"


def requantises(node: Node) -> str | None:
    """Four times every sum must be exact in the instructions that requantise it."""
    if fit_of(node) is not None:
        return None
    channels = dsp.channels_of(node)
    return conv2d_dsp.rounds_twice(node, channels, dsp.LARGEST_SUM // 2)


@lru_cache(maxsize=1024)
def fit_of(node: Node) -> requantize.Fit | None:
    """What requantises four times the sums in two instructions."""
    return requantize.fit_all(conv2d_dsp.staircases(node, dsp.channels_of(node)), (SCALE,))


def transformed(node: Node, channels: Channels) -> Int64s:
    """(outputs, j, i, input channels): weights of row i and column j in the order of the stream, with their signs."""
    outputs, depth = node.output.shape[3], node.input(0).shape[3]
    weights = channels.weights[:, : 9 * depth].reshape(outputs, 3, 3, depth)
    full = np.einsum("ia,oabc,jb->ojic", DOUBLED_G, weights, DOUBLED_G)
    full[:, :, 3] *= -1
    full[:, 3] *= -1
    in_order: Int64s = full[:, :, list(ROW_ORDER)]
    return in_order


def stream(node: Node) -> Int32s:
    """For each pair of outputs: by columns two start values and the weights of both, then what requantises them."""
    channels, fit = dsp.channels_of(node), fit_of(node)
    weights = transformed(node, channels)
    outputs, _, _, depth = weights.shape
    # channels 0 and 2 of four in a word, then 1 and 3
    fours = (weights & 0xFFFF).reshape(outputs, 4, 4, depth // 4, 4)
    words = np.stack([fours[..., 0] | fours[..., 2] << 16, fours[..., 1] | fours[..., 3] << 16], -1)
    words = words.reshape(outputs, 4, -1)
    parts = []
    for first in range(0, outputs, 2):
        pair = (first, first + 1)
        starts = [int(channels.starts[c]) + (fit.channels[c].offset if fit else 0) for c in pair]
        for column in range(4):
            # the sum of row 1 and column 1 is part of all four outputs
            parts.append(SCALE * np.array(starts) if column == 1 else np.zeros(2, np.int64))
            parts.append(np.stack([words[c, column] for c in pair], 1).reshape(-1))
        parts += [conv2d_dsp.requantisation(node, channels, fit, c) for c in pair]
    return dsp.joined(parts)


@dataclass(frozen=True, slots=True)
class Conv2DWinogradParams(Params):
    input_height: Int32
    input_width: Int32
    output_height: Int32
    output_width: Int32
    pad_top: Int32
    pad_left: Int32
    input_zero_point: Int32
    clamps: Int32
    stream: Int32Array


def params(node: Node, reference: Reference) -> Conv2DWinogradParams:
    """What conv2d_s8__dsp_winograd is given."""
    data, output = node.input(0), node.output
    down, across = filter_windows(node)
    return Conv2DWinogradParams(
        input_height=data.shape[1],
        input_width=data.shape[2],
        output_height=output.shape[1],
        output_width=output.shape[2],
        pad_top=down.before,
        pad_left=across.before,
        input_zero_point=data.zero_point,
        clamps=conv2d_dsp.clamps_word(node),
        stream=stream(node),
    )


def switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """The structure of the code; see the template for what the words mean."""
    fit = fit_of(node)
    return {
        "channels": str(node.input(0).shape[3]),
        "outputs": str(node.output.shape[3]),
        "requantize": f"affine{fit.shifts[0]}" if fit else "twice",
        "clamp": conv2d_dsp.clamp_kind(node),
    }


def scratch_bytes(node: Node) -> int:
    """The transformed input of four tiles, half a transform of 4 channels, a row outside, and 16 pixels of output."""
    channels, outputs = node.input(0).shape[3], node.output.shape[3]
    return 128 * channels + 320 + 10 * channels + 16 * outputs


def cost(node: Node, reference: Reference) -> Cost:
    """Fitted to counts on a Cortex-M4."""
    batch, height, width, outputs = node.output.shape
    channels = node.input(0).shape[3]
    blocks = batch * -(-height // 2) * -(-width // 8)
    pair = 88 * channels + (340 if fit_of(node) else 445)
    return Cost(
        instructions=round(blocks * (outputs // 2 * pair + 140 * channels + 270)),
        constant_bytes=stream(node).nbytes,
        code_bytes=2400 + 88 * channels,
    )
