"""Kernels that accumulate: one row of output from all rows of the operand, which come some at a time.

Their steps count the operand's rows, so that whoever makes these need not keep them: a convolution, a global average
and a dense layer run in turn. What is kept from one call to the next are the sums, in the scratch.
"""

from __future__ import annotations

from collections.abc import Set

from tinygen.ir import Access, Node, Unit

SUMS = Access(Unit.TENSOR, accumulates=True)
"""All of a call's rows are read before the last call writes the output."""


def rows_of_one_item(node: Node) -> str | None:
    """The input must have several rows, and the output one."""
    rows, made = node.input(0).rows, node.output.rows
    return None if rows > 1 and made == 1 else f"{rows} and {made} rows"


def item_of_rows(node: Node) -> str | None:
    """The input of a dense layer must be one item of several rows."""
    data, elements = node.input(0), node.input(1).shape[1]
    fits = data.rows > 1 and data.elements == elements
    return None if fits else f"{data.describe()} of items of {elements} elements"


def averaged_rows(node: Node, averaged: Set[int]) -> str | None:
    """The average must be over several rows of one item, or their pixels, and keep the last axis."""
    data = node.input(0)
    axes = {axis + 4 - len(data.shape) for axis in averaged}
    batch, rows, _, _ = data.nhwc
    fits = len(data.shape) in (3, 4) and batch == 1 and rows > 1 and 1 in axes and 3 not in axes
    return None if fits else f"axes {sorted(averaged)} of {data.describe()}"


def word_sums_bytes(node: Node) -> int:
    """A word for each element of the output."""
    return 4 * node.output.elements


def half_sums_bytes(node: Node) -> int:
    """For each pixel of the output half-words of whole fours of channels, and words of those that are left over."""
    channels = node.output.shape[-1]
    return node.output.elements // channels * half_sums_of(channels)


def half_sums_of(elements: int) -> int:
    """Bytes of half-words of whole fours of elements, and of words of those that are left over."""
    return 4 * (elements // 4 * 2 + elements % 4)


def half_sums_instructions(channels: int, pixels: int) -> int:
    """What it takes to add so many pixels to half-words, measured on Cortex-M4."""
    sixteens, fours, ones = channels // 16, channels % 16 // 4, channels % 4
    return 12 + sixteens * (15 * pixels + 35) + fours * (6 * pixels + 20) + ones * (5 * pixels + 12)
