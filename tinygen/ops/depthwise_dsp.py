"""DEPTHWISE_CONV_2D with the Arm DSP extension: one channel after the other through a small padded plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tinygen.ir import Access, Cost, Int32, Int32Array, Kernel, Node, Params, Reference
from tinygen.ops import dsp
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.gain import GainFit, fit_gains
from tinygen.ops.requantize import Staircase, rounded_twice
from tinygen.ops.window import filter_windows

if TYPE_CHECKING:
    from tinygen.ops.depthwise_conv2d import DepthwiseConv2D

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that one plane, or the planes of four channels, may take: more rows are taken in strips.

    None where there is one plane in any case.
    """

    one_plane: int
    four_planes: int | None


BARE = Room(0, None)
THIN = Room(0, 0)
LEAN = Room(384, 640)
SMALL = Room(1536, 2048)
LARGE = Room(3072, 6144)
"""From a row of a channel at a time to all rows of most layers: dsp_3x3bare, 3x3thin, 3x3lean, 3x3 and 3x3l."""

LARGEST_OFFSET = 4095
"""Of a load or store instruction."""


@dataclass(frozen=True, slots=True)
class Requantisation:
    """How sums become outputs, and what the kernel's constants are for that.

    form     `gained`: SMMUL, SSAT. `negated` or `doubled`: two roundings, of sums with that factor
    shift    of all channels; 0 where each has its own
    factors  by which each channel's weights and start value are multiplied
    offsets  which are then added to the start values
    words    of each channel: its multiplier, and the constants after it
    """

    form: str
    shift: int
    factors: Int64s
    offsets: Int64s
    words: Int64s


def requantises(node: Node) -> str | None:
    """Every sum must be exact in the instructions that requantise it."""
    channels = dsp.channels_of(node)
    if _gains(node) is not None:
        return None
    for channel, shift in enumerate(channels.right_shifts):
        low, high = int(channels.lows[channel]), int(channels.highs[channel])
        # twice the addend is (2 × zero point + 1) × 2^shift
        if shift < 1 or max(-low, high) >= dsp.LARGEST_SUM or 257 << shift >= 2**31 - 1:
            return f"sums from {low} to {high} with multiplier 2^{-shift} in channel {channel}"
    return None


@lru_cache(maxsize=1024)
def requantisation(node: Node, otherwise: str) -> Requantisation:
    """One multiplication if that is exact for every channel, `otherwise` two roundings.

    Those are of negated sums where no register is free, of doubled ones where one is.
    """
    channels = dsp.channels_of(node)
    zero_point = node.output.zero_point
    fit = _gains(node)
    if fit is not None:
        return Requantisation(
            "gained",
            fit.shift,
            np.array([c.gain for c in fit.channels]),
            np.array([c.offset for c in fit.channels]),
            np.array([[c.multiplier] for c in fit.channels]),
        )
    addends = [(2 * zero_point + 1) << shift - 1 for shift in channels.right_shifts]
    factor, sign = {"negated": (-1, -1), "doubled": (2, 1)}[otherwise]
    multipliers = [sign * multiplier for multiplier in channels.multipliers]
    words = np.array([multipliers, addends, channels.right_shifts]).T
    count = len(channels.starts)
    return Requantisation(otherwise, 0, np.full(count, factor), np.zeros(count, np.int64), words)


@lru_cache(maxsize=1024)
def _gains(node: Node) -> GainFit | None:
    channels = dsp.channels_of(node)
    op: DepthwiseConv2D = node.op  # type: ignore[assignment]
    clamps = clamp_bounds(op.fused_activation_function, node.output)
    zero_point = node.output.zero_point
    staircases = [
        Staircase(rounded_twice(m, -right), m * 2.0 ** (-right - 31), zero_point, *clamps, int(low), int(high))
        for m, right, low, high in zip(
            channels.multipliers, channels.right_shifts, channels.lows, channels.highs, strict=True
        )
    ]
    return fit_gains(staircases, np.abs(channels.weights).max(1).tolist())


@dataclass(frozen=True, slots=True)
class Depthwise3x3Params(Params):
    input_height: Int32
    output_height: Int32
    pad_top: Int32
    input_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    stream: Int32Array


def params_3x3(node: Node, reference: Reference) -> Depthwise3x3Params:
    """What depthwise_conv2d_s8__dsp_3x3 is given."""
    op: DepthwiseConv2D = node.op  # type: ignore[assignment]
    down, _ = filter_windows(node)
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, node.output)
    return Depthwise3x3Params(
        input_height=node.input(0).shape[1],
        output_height=node.output.shape[1],
        pad_top=down.before,
        input_zero_point=node.input(0).zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        stream=stream_3x3(node),
    )


def switches_3x3(node: Node, tiling: Tiling) -> Mapping[str, str]:
    """The shape, from which the distances between rows and pixels follow, and the form of the requantisation."""
    _, across = filter_windows(node)
    form = requantisation(node, "negated")
    return {
        "stride": str(across.stride),
        "input_width": str(node.input(0).shape[2]),
        "output_width": str(across.output),
        "before": str(across.before),
        "channels": str(node.input(0).shape[3]),
        "multiplier": str(node.output.shape[3] // node.input(0).shape[3]),
        "group": str(tiling.group),
        "strip_rows": str(tiling.strip_rows),
        "requantize": form.form,
        "shift": str(form.shift),
    }


def row_bytes_3x3(node: Node) -> int:
    """Bytes from one row of the plane to the next; with stride 2 it has rows of blocks of 2 x 2."""
    _, across = filter_windows(node)
    return 4 * (across.output + 1) if across.stride == 2 else (across.output + 2 + 3) // 4 * 4


def kept_rows_3x3(node: Node) -> int:
    """Rows of the plane that a strip shares with the next one."""
    return 1 if filter_windows(node)[1].stride == 2 else 2


@dataclass(frozen=True, slots=True)
class Tiling:
    """Channels gathered at a time, and output rows for which they are gathered at once."""

    group: int
    strip_rows: int


def tiling_3x3(node: Node, room: Room) -> Tiling:
    """The cheaper one of two.

    Four channels are gathered with fewer instructions each, but need four planes, hence shorter strips.
    """
    rows, kept, row_bytes = node.output.shape[1], kept_rows_3x3(node), row_bytes_3x3(node)
    tilings = []
    for group, largest_bytes in ((1, room.one_plane), (4, room.four_planes)):
        if largest_bytes is not None and group <= node.input(0).shape[3]:
            strips = -(-rows // max(1, largest_bytes // (group * row_bytes) - kept))
            tilings.append(Tiling(group, -(-rows // strips)))
    return min(tilings, key=lambda tiling: instructions_3x3(node, tiling))


def instructions_3x3(node: Node, tiling: Tiling) -> int:
    """Of all rows."""
    return node.output.shape[0] * _instructions(node, tiling, node.output.shape[1], node.input(0).shape[1])


def call_instructions_3x3(node: Node, tiling: Tiling, rows: int) -> int:
    """Of some rows, which need others around them."""
    needed = (rows - 1) * filter_windows(node)[1].stride + 3
    return _instructions(node, tiling, rows, min(needed, node.input(0).shape[1]))


def _instructions(node: Node, tiling: Tiling, rows: int, height: int) -> int:
    """Counted from the assembly and from what compilers make of the C around it, for so many rows of the input."""
    _, across = filter_windows(node)
    _, _, columns, outputs = node.output.shape
    channels, twice = node.input(0).shape[3], across.stride == 2
    width = node.input(0).shape[2]
    step, before_steps = (27, 31) if twice else (22, 28)
    step_alone, before_alone = (15, 31) if twice else (13, 30)
    if requantisation(node, "negated").form == "negated":
        step, step_alone = step + 14, step_alone + 9
    strips = -(-rows // tiling.strip_rows)
    strip_rows = min(rows, tiling.strip_rows)
    turns = 5 * -(-strip_rows // 4)
    of_strip = 36 + columns // 2 * (before_steps + turns + strip_rows * step)
    if columns % 2:
        of_strip += 36 + before_alone + turns + strip_rows * step_alone
    of_row = 2 * width + 16
    if tiling.group == 4:
        fours, left = divmod(width, 2 if twice else 4)
        of_row = (22 * fours + 16 * left + 20) // 2 if twice else 22 * fours + 8 * left + 10
    move = 5 * kept_rows_3x3(node) * row_bytes_3x3(node) // 4 * (strips - 1)
    of_group = 120 * strips + tiling.group * move + height * of_row
    return int(-(-channels // tiling.group) * of_group + outputs * strips * of_strip)


def scratch_bytes_3x3(node: Node, tiling: Tiling) -> int:
    """The planes of the channels that are gathered at a time, or of a strip of their rows."""
    return tiling.group * (tiling.strip_rows + kept_rows_3x3(node)) * row_bytes_3x3(node)


def stream_3x3(node: Node) -> dsp.Int32s:
    """For each output channel three words of weights, the start value, and what requantisation needs.

    SXTB16 makes the pairs of them that are multiplied: of bytes 0 and 2, and of bytes 1 and 3. Stride 1: the left and
    right weight of each row, the middle ones of rows 0 and 1. Stride 2: rows 0 and 1 of each column, then columns 0 and
    1 of row 2. The weight that is left over is byte 0 of the third word; its upper half is what all are multiplied by.
    """
    channels, form = dsp.channels_of(node), requantisation(node, "negated")
    w = channels.weights[:, :9].reshape(-1, 3, 3).transpose(1, 2, 0) & 0xFF
    if filter_windows(node)[1].stride == 1:
        pairs, single = [(w[row, 0], w[row, 2]) for row in range(3)] + [(w[0, 1], w[1, 1])], w[2, 1]
    else:
        pairs, single = [(w[0, column], w[1, column]) for column in range(3)] + [(w[2, 0], w[2, 1])], w[2, 2]
    words = [
        even[0] | odd[0] << 8 | even[1] << 16 | odd[1] << 24 for even, odd in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    starts = channels.starts * form.factors + form.offsets
    return dsp.joined([np.column_stack([*words, single | form.factors << 16, starts, form.words]).reshape(-1)])


def three_by_three(node: Node) -> str | None:
    """The filter must be 3 x 3 without dilation, with stride 1 or 2 both ways, and begin at most one pixel outside."""
    down, across = filter_windows(node)
    fits = down.taps == across.taps == 3 and down.dilation == across.dilation == 1
    fits = fits and max(down.before, across.before) <= 1
    if fits and down.stride == across.stride <= 2:
        return None
    return f"{down} and {across}"


def offsets_fit_3x3(node: Node) -> str | None:
    """Rows of the plane and pixels of the output must lie within what an instruction can address."""
    row_bytes, channels = row_bytes_3x3(node), node.output.shape[3]
    fits = 3 * row_bytes + 8 <= LARGEST_OFFSET and 2 * channels <= LARGEST_OFFSET
    return None if fits else f"rows of {row_bytes} bytes in the plane, {channels} channels"


def cost_3x3(node: Node, tiling: Tiling) -> Cost:
    """Constants are the stream, code is counted."""
    columns = node.output.shape[2]
    code = 1000 + (450 if columns % 2 else 0) + (8 * min(node.input(0).shape[2], 12) if tiling.group == 1 else 400)
    constants = 4 * node.output.shape[3] * (4 + requantisation(node, "negated").words.shape[1])
    return Cost(instructions_3x3(node, tiling), constants, code)


def room_pays(node: Node) -> str | None:
    """Longer strips than those of small planes must take fewer instructions."""
    small, large = (instructions_3x3(node, tiling_3x3(node, room)) for room in (SMALL, LARGE))
    return None if large < small else f"{large} instructions in place of {small}"


def four_would_fit(node: Node) -> str | None:
    """Four channels must be what would be gathered at a time, if there were room."""
    group = tiling_3x3(node, THIN).group
    return None if group == 4 else "one channel"


RULES = {LARGE: (room_pays,), BARE: (four_would_fit,)}
"""Where a kernel would be the same as one with less or more room."""


def kernel_3x3(name: str, room: Room, access: Access) -> Kernel:
    """The row of the kernel that has so much room for planes."""
    rules = (three_by_three, offsets_fit_3x3, requantises)
    return Kernel(
        name,
        access=access,
        params=params_3x3,
        scratch_bytes=lambda node: scratch_bytes_3x3(node, tiling_3x3(node, room)),
        switches=lambda node, reference: switches_3x3(node, tiling_3x3(node, room)),
        features=dsp.DSP,
        constraints=(*rules, *RULES.get(room, ())),
        cost=lambda node, reference: cost_3x3(node, tiling_3x3(node, room)),
        call_cost=lambda node, rows: call_instructions_3x3(node, tiling_3x3(node, room), rows),
    )
