"""Sliding windows: output size, padding and the input rows that output rows need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, cast

from tinygen.ir import Node, Padding


@dataclass(frozen=True, slots=True)
class Border:
    """Pixels of zero points that windows see around an input, and that nobody stores: what a fused PAD added."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def down(self) -> tuple[int, int]:
        """Before and after the rows."""
        return self.top, self.bottom

    @property
    def across(self) -> tuple[int, int]:
        """Before and after the columns."""
        return self.left, self.right


NO_BORDER = Border()


@dataclass(frozen=True, slots=True)
class Window:
    """A window along one axis, in elements. Tap t of output o reads input o × stride + t × dilation − before."""

    taps: int
    stride: int
    dilation: int
    before: int
    output: int

    @classmethod
    def of(
        cls, size: int, taps: int, stride: int, dilation: int, padding: Padding, border: tuple[int, int] = (0, 0)
    ) -> Window:
        """The window over an axis of `size`, as TensorFlow Lite pads it: SAME puts the odd element last.

        It slides over the axis and the border before and after it. Raises ValueError when a stride or dilation is not
        positive or the window is larger than that.
        """
        if border != (0, 0):
            whole = cls.of(size + sum(border), taps, stride, dilation, padding)
            return replace(whole, before=whole.before + border[0])
        if min(taps, stride, dilation) < 1:
            raise ValueError(f"window {taps}, stride {stride} and dilation {dilation} must be at least 1")
        extent = (taps - 1) * dilation + 1
        if padding is Padding.VALID:
            if extent > size:
                raise ValueError(f"the window spans {extent} elements, the input has {size} and padding is VALID")
            return cls(taps, stride, dilation, 0, (size - extent) // stride + 1)
        output = -(-size // stride)
        total = max(0, (output - 1) * stride + extent - size)
        return cls(taps, stride, dilation, total // 2, output)

    def input_range(self, begin: int, end: int, size: int) -> tuple[int, int]:
        """Indices of the axis that outputs begin..end-1 read, clipped to it: (first, last + 1)."""
        first = begin * self.stride - self.before
        last = (end - 1) * self.stride - self.before + (self.taps - 1) * self.dilation
        return max(0, first), min(size, last + 1)


def batch_rows(window: Window, size: int, begin: int, end: int) -> tuple[int, int]:
    """Rows (batch × height) of the input that rows begin..end-1 of the output read through a window along height."""
    first_batch, first = divmod(begin, window.output)
    last_batch, last = divmod(end - 1, window.output)
    low = first_batch * size + window.input_range(first, first + 1, size)[0]
    high = last_batch * size + window.input_range(last, last + 1, size)[1]
    return low, high


class Strided(Protocol):
    """The attributes of operators with a filter of height × width."""

    padding: Padding
    stride_w: int
    stride_h: int
    dilation_w_factor: int
    dilation_h_factor: int


@lru_cache(maxsize=64)
def filter_windows(node: Node) -> tuple[Window, Window]:
    """The windows along height and width of an operator whose second input is the filter, NHWC or OHWI."""
    op = cast(Strided, node.op)
    border: Border = getattr(op, "border", NO_BORDER)
    _, height, width, _ = node.input(0).shape
    _, taps_h, taps_w, _ = node.input(1).shape
    return (
        Window.of(height, taps_h, op.stride_h, op.dilation_h_factor, op.padding, border.down),
        Window.of(width, taps_w, op.stride_w, op.dilation_w_factor, op.padding, border.across),
    )


def filter_geometry(node: Node) -> dict[str, int]:
    """Sizes and windows of such an operator, by the names that parameter structs have for them."""
    (_, input_height, input_width, input_channels) = node.input(0).shape
    (_, output_height, output_width, output_channels) = node.output.shape
    down, across = filter_windows(node)
    return {
        "input_height": input_height,
        "input_width": input_width,
        "input_channels": input_channels,
        "output_height": output_height,
        "output_width": output_width,
        "output_channels": output_channels,
        "filter_height": down.taps,
        "filter_width": across.taps,
        "stride_h": down.stride,
        "stride_w": across.stride,
        "dilation_h": down.dilation,
        "dilation_w": across.dilation,
        "pad_top": down.before,
        "pad_left": across.before,
    }
