"""DEPTHWISE_CONV_2D of any filter with the Arm DSP extension: four outputs in a line, its taps in sixteen-bit pairs.

A line runs across a row of the output or down a column, whichever takes fewer instructions. Of each channel a plane is
gathered whose rows lie along the line. With a stride s along the line they hold s phases one after the other: elements
0, s, 2s…, then 1, s + 1…; so what a tap meets in neighbouring outputs are neighbours.
The filter is cut into segments of at most ten taps that meet one phase of one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinygen.ir import Cost, Int32, Int32Array, Node, Params, Reference
from tinygen.ops import dsp
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.depthwise_dsp import LARGEST_OFFSET, requantisation
from tinygen.ops.window import Window, filter_windows

MOST_TAPS = 10
"""Of a segment: five words of weights."""

PLANES_BYTES = 2048
"""The output's rows are taken in strips where the planes of all of them would be larger."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How a node is cut up.

    down        1 if a line runs down a column, 0 if across a row
    inner       the window along a line
    outer       the window from line to line
    group       channels gathered at a time
    strip_rows  output rows gathered at a time
    """

    down: int
    inner: Window
    outer: Window
    group: int
    strip_rows: int

    @property
    def phases(self) -> int:
        """Phases of a row of the plane that taps meet."""
        return min(self.inner.stride, self.inner.taps)

    @property
    def cuts(self) -> int:
        """Segments of the taps that meet one phase."""
        return -(-self._phase_taps // MOST_TAPS)

    @property
    def taps(self) -> int:
        """Taps of a segment."""
        return -(-self._phase_taps // self.cuts)

    @property
    def _phase_taps(self) -> int:
        return -(-self.inner.taps // self.inner.stride)

    @property
    def segments(self) -> int:
        return self.outer.taps * self.phases * self.cuts

    @property
    def words(self) -> int:
        """Words of weights of a segment."""
        return 2 * (self.taps // 4) + (0, 1, 1, 2)[self.taps % 4]

    @property
    def outputs(self) -> int:
        """Of a line in a strip."""
        return self.strip_rows if self.down else self.inner.output

    @property
    def phase_bytes(self) -> int:
        """Of one phase of a row of the plane; words that are read from it reach three bytes further."""
        return (self.outputs + self.cuts * self.taps - 1 + 3 + 3) // 4 * 4

    @property
    def plane_bytes(self) -> int:
        lines = self.outer.output if self.down else self.strip_rows
        rows = (lines - 1) * self.outer.stride + (self.outer.taps - 1) * self.outer.dilation + 1
        return rows * self.phases * self.phase_bytes

    def offsets(self) -> list[int]:
        """Of each segment from the place of its line in the plane."""
        row_bytes = self.phases * self.phase_bytes
        return [
            row * self.outer.dilation * row_bytes + phase * self.phase_bytes + cut * self.taps
            for row in range(self.outer.taps)
            for phase in range(self.phases)
            for cut in range(self.cuts)
        ]


@lru_cache(maxsize=1024)
def lines_of(node: Node) -> Lines:
    """The cut with the fewest instructions."""
    down, across = filter_windows(node)
    group = 4 if node.input(0).shape[3] >= 4 else 1
    found = []
    for is_down, inner, outer in ((0, across, down), (1, down, across)):
        if inner.dilation > 1:
            continue
        rows = down.output
        while True:
            lines = Lines(is_down, inner, outer, group, rows)
            if rows == 1 or group * lines.plane_bytes <= PLANES_BYTES:
                break
            rows = -(-rows // 2)
        found.append(lines)
    return min(found, key=lambda lines: instructions(node, lines))


def of_block(lines: Lines, outputs: int) -> int:
    """Instructions of one segment for so many neighbouring outputs: loads, extensions, multiplications."""
    reach = outputs + lines.taps - 1
    macs = 2 * (lines.taps // 4) + (0, 1, 2, 2)[lines.taps % 4]
    return -(-reach // 2) * 3 // 2 + outputs * macs


def instructions(node: Node, lines: Lines) -> int:
    """Of all rows."""
    return node.output.shape[0] * _instructions(node, lines, node.output.shape[1], node.input(0).shape[1])


def call_instructions(node: Node, rows: int) -> int:
    """Of some rows, which need others around them."""
    down, _ = filter_windows(node)
    return _instructions(node, lines_of(node), rows, min((rows - 1) * down.stride + down.taps, node.input(0).shape[1]))


def _instructions(node: Node, lines: Lines, rows: int, height: int) -> int:
    """Counted from the assembly and from what compilers make of the C around it, for so many rows of the input."""
    _, _, columns, outputs = node.output.shape
    _, _, width, channels = node.input(0).shape
    strips = -(-rows // lines.strip_rows)
    finish = 3 if requantisation(node, "doubled").form == "gained" else 5
    per_block = 10 + lines.segments * (0 if _resident(lines) else 6)
    fours, left = divmod(min(rows, lines.strip_rows) if lines.down else lines.outputs, 4)
    of_line = fours * (per_block + lines.segments * of_block(lines, 4) + 4 * finish)
    of_line += left * (per_block + lines.segments * of_block(lines, 1) + finish)
    of_line += 30 * ((fours > 0) + (left > 0))
    number = strips * columns if lines.down else rows
    gathered = channels * height * width * (7 if lines.group == 4 else 20) // 4
    calls = 50 * number * -(-channels // lines.group)
    return int(outputs * number * of_line + gathered + calls)


def _resident(lines: Lines) -> bool:
    """Whether the weights of a channel stay in registers from block to block."""
    return lines.segments == 1 and lines.words <= 4


@dataclass(frozen=True, slots=True)
class DepthwiseTapsParams(Params):
    input_height: Int32
    input_width: Int32
    input_channels: Int32
    output_height: Int32
    output_width: Int32
    output_channels: Int32
    multiplier: Int32
    stride_inner: Int32
    stride_outer: Int32
    before_inner: Int32
    before_outer: Int32
    reach_inner: Int32
    reach_outer: Int32
    elements: Int32
    lines: Int32
    phases: Int32
    phase_bytes: Int32
    strip_rows: Int32
    input_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    stream: Int32Array


def params(node: Node, reference: Reference) -> DepthwiseTapsParams:
    """What depthwise_conv2d_s8__dsp is given.

    `elements` of an input row, or the first `lines` columns, are read: a window that moves on may leave out the last.
    """
    lines, data, output = lines_of(node), node.input(0), node.output
    inner, outer = lines.inner, lines.outer
    clamp_min, clamp_max = clamp_bounds(node.op.fused_activation_function, output)  # type: ignore[attr-defined]
    reach_outer = (outer.taps - 1) * outer.dilation + 1
    return DepthwiseTapsParams(
        input_height=data.shape[1],
        input_width=data.shape[2],
        input_channels=data.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        output_channels=output.shape[3],
        multiplier=output.shape[3] // data.shape[3],
        stride_inner=inner.stride,
        stride_outer=outer.stride,
        before_inner=inner.before,
        before_outer=outer.before,
        reach_inner=inner.taps,
        reach_outer=reach_outer,
        elements=min(data.shape[2], (inner.output - 1) * inner.stride + inner.taps - inner.before),
        lines=min(data.shape[2], (outer.output - 1) * outer.stride + reach_outer - outer.before),
        phases=lines.phases,
        phase_bytes=lines.phase_bytes,
        strip_rows=lines.strip_rows,
        input_zero_point=data.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        stream=stream(node),
    )


def switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """What instructions hold: taps, distances, the form of the requantisation; and which sizes of blocks there are."""
    lines, form = lines_of(node), requantisation(node, "doubled")
    alone = lines.down or lines.outputs % 4 == 1
    return {
        "line": "down" if lines.down else "across",
        "blocks": "ones" if lines.outputs < 4 else "both" if alone else "fours",
        "taps": str(lines.taps),
        "segments": str(lines.segments),
        "step": str(output_step(node)),
        "plane_bytes": str(lines.plane_bytes),
        "group": str(lines.group),
        "requantize": form.form,
        "shift": str(form.shift),
    }


def output_step(node: Node) -> int:
    """Bytes from one output of a line to the next."""
    _, _, width, channels = node.output.shape
    return channels * (width if lines_of(node).down else 1)


def scratch_bytes(node: Node) -> int:
    """The planes of the channels that are gathered at a time."""
    lines = lines_of(node)
    return lines.group * lines.plane_bytes


def stream(node: Node) -> dsp.Int32s:
    """For each output channel the start value and what requantisation needs; then for each segment its weights.

    A word holds taps 0 and 2 of four or 1 and 3; of two that are left over, both. Where there are several segments
    the distance to the next one follows; after the last, that back to the first.
    """
    channels, form, lines = dsp.channels_of(node), requantisation(node, "doubled"), lines_of(node)
    _, height, width, outputs = node.input(1).shape
    taps = (channels.weights[:, : height * width] * form.factors[:, None]).reshape(outputs, height, width)
    if lines.down:
        taps = taps.transpose(0, 2, 1)
    starts = channels.starts * form.factors + form.offsets
    columns = [starts, *form.words.T]
    offsets = lines.offsets()
    for number, offset in enumerate(offsets):
        row, rest = divmod(number, lines.phases * lines.cuts)
        phase, cut = divmod(rest, lines.cuts)
        of_phase = taps[:, row, phase :: lines.inner.stride][:, cut * lines.taps : (cut + 1) * lines.taps]
        columns += _pairs(np.pad(of_phase, ((0, 0), (0, lines.taps - of_phase.shape[1]))))
        if len(offsets) > 1:
            columns.append(np.full(outputs, offsets[number + 1] - offset if number + 1 < len(offsets) else -offset))
    return dsp.joined([np.column_stack(columns).reshape(-1)])


def _pairs(taps: dsp.Int64s) -> list[dsp.Int64s]:
    """Words of a segment's taps (channels, taps)."""
    count = taps.shape[1]
    halves: list[tuple[int, int | None]] = []
    for first in range(0, count - count % 4, 4):
        halves += [(first, first + 2), (first + 1, first + 3)]
    last = count - count % 4
    halves += {0: [], 1: [(last, None)], 2: [(last, last + 1)], 3: [(last, last + 2), (last + 1, None)]}[count % 4]
    return [
        (taps[:, low] & 0xFFFF) | ((taps[:, high] if high is not None else np.zeros_like(taps[:, 0])) << 16)
        for low, high in halves
    ]


def one_dilation(node: Node) -> str | None:
    """Dilation must be 1 along one of the two axes."""
    down, across = filter_windows(node)
    return None if min(down.dilation, across.dilation) == 1 else f"{down.dilation} and {across.dilation}"


def offsets_fit(node: Node) -> str | None:
    """Planes, pixels and weights must lie within what an instruction can address."""
    lines = lines_of(node)
    weights = 4 * lines.segments * (lines.words + 1)
    step = output_step(node)
    fits = max(weights, 4 * step, lines.plane_bytes) <= LARGEST_OFFSET
    return None if fits else f"{weights} bytes of weights, planes of {lines.plane_bytes}, outputs {step} bytes apart"


def cost(node: Node, reference: Reference) -> Cost:
    """Instructions of the chosen cut."""
    lines, outputs = lines_of(node), node.output.shape[3]
    words = requantisation(node, "doubled").words.shape[1]
    constants = 4 * outputs * (1 + words + lines.segments * (lines.words + (lines.segments > 1)))
    return Cost(instructions(node, lines), constants, 900 + 5 * of_block(lines, 4))
