"""FULLY_CONNECTED on cores with DSP: four outputs at a time, requantised by the instructions that sum them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tinygen.ir import (
    Access,
    Cost,
    FusedActivation,
    Int32,
    Int32Array,
    Kernel,
    Node,
    Params,
    Reference,
    Unit,
)
from tinygen.ir.kernel import no_scratch
from tinygen.ops.constants import clamp_bounds, multiplier_and_shift
from tinygen.ops.dsp import DSP, LARGEST_SHARED_SUM, LARGEST_SUM, joined, sum_bounds
from tinygen.ops.filters import bias_values, channel_factors
from tinygen.ops.requantize import OFFSETS_TRIED, Rounding, Staircase, fit_all, rounded_as_float, rounded_twice

Int64s = npt.NDArray[np.int64]

EIGHTS_AT_ONCE = 16
"""Groups of eight inputs in the longest piece of straight code."""

EIGHTS_AT_ONCE_OF_SMALL = 4
SMALL_MACS = 8192

LARGEST_OFFSET = max(OFFSETS_TRIED)


@dataclass(frozen=True, slots=True)
class Requantisation:
    """How weights become sums and sums become outputs.

    unpack     how two weights are taken from a half-word h. `shared`: it is 256 × second + first, and used as it is, so
               that it gives the second output's sum times 256 plus the first's. `plain`: they are its bytes. `wide`:
               it is one weight
    form       `affine`: multiplier, addend of SMMLA, then SSAT; `twice`: multiplier, addend, right shift of both
               roundings of gemmlowp
    shift      of SSAT; 0: each channel has its own. Where `affine` takes sums times 256, those are shifted by 8 more
    constants  one entry for channels of even number and one for those of odd number; where `is_by_channel`, one for
               each channel
    offsets    what is added to each channel's start value
    """

    unpack: str
    form: str
    shift: int
    constants: tuple[tuple[int, ...], ...]
    is_by_channel: bool
    offsets: tuple[int, ...]


@lru_cache(maxsize=64)
def requantisation(node: Node, reference: Reference, is_wide: bool = False) -> Requantisation | None:
    """The shortest exact form for all channels of a node, or None where there is none."""
    factors = channel_factors(node)
    lows, highs = sum_bounds(node)
    bounds: list[tuple[int, int]] = list(zip(lows.tolist(), highs.tolist(), strict=True))
    is_by_channel = len(set(factors)) > 1
    distinct = factors
    if not is_by_channel:
        distinct, bounds = factors[:1] * 2, [(int(lows.min()), int(highs.max()))] * 2
    unpack = "wide" if is_wide else "shared" if _halves_share(node) else "plain"
    stairs = [_stairs(node, reference, *of) for of in zip(distinct, bounds, strict=True)]
    found = fit_all(stairs, (1, 256) if unpack == "shared" else (1,))
    if found is not None:
        two = tuple((affine.multiplier, affine.addend) for affine in found.channels)
        offsets = tuple(affine.offset for affine in found.channels)
        return Requantisation(unpack, "affine", found.shifts[0], two, is_by_channel, _for_each(offsets, len(factors)))
    pairs = [multiplier_and_shift(factor) for factor in distinct]
    exact = all(
        shift <= -1 and 257 << -shift < 2**31 - 1 and max(-low, high) < LARGEST_SUM
        for (_, shift), (low, high) in zip(pairs, bounds, strict=True)
    )
    if reference is Reference.LITERT or not exact:
        return None
    point = node.output.zero_point
    three = tuple((multiplier, (2 * point + 1) << -shift >> 1, -shift) for multiplier, shift in pairs)
    common = 0 if is_by_channel else -pairs[0][1]
    return Requantisation(unpack, "twice", common, three, is_by_channel, (0,) * len(factors))


def _halves_share(node: Node) -> bool:
    """Whether half-words can hold two weights as 256 × second + first, and words the sums that they give."""
    weights = channel_rows(node, node.input(1).data)
    halves = 256 * weights[1::2] + weights[::2]
    lows, highs = sum_bounds(node)
    largest = max(-int(lows.min()), int(highs.max())) + LARGEST_OFFSET
    return bool(halves.min() >= -(2**15) and halves.max() < 2**15 and largest < LARGEST_SHARED_SUM)


def _for_each(values: tuple[int, ...], channels: int) -> tuple[int, ...]:
    return values if len(values) == channels else (values * channels)[:channels]


def _stairs(node: Node, reference: Reference, factor: float, bounds: tuple[int, int]) -> Staircase:
    activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
    rounding: Rounding = rounded_as_float(factor)
    if reference is Reference.TFLM:
        rounding = rounded_twice(*multiplier_and_shift(factor))
    return Staircase(rounding, factor, node.output.zero_point, *clamp_bounds(activation, node.output), *bounds)


def requantises_in_place(node: Node) -> str | None:
    """A few instructions must be able to requantise every sum."""
    if all(requantisation(node, reference, is_wide) for reference in Reference for is_wide in (False, True)):
        return None
    return f"factors from {min(channel_factors(node)):g} to {max(channel_factors(node)):g}"


def eights(node: Node) -> int:
    """Groups of eight inputs of an item, the last one filled up."""
    return -(-node.input(1).shape[1] // 8)


def channel_rows(node: Node, values: npt.NDArray[np.generic] | None, multiple: int = 8) -> Int64s:
    """One row for each output, made a multiple of so many by repeating the last."""
    assert values is not None
    rows = values.astype(np.int64).reshape(node.output.shape[-1], -1)
    return np.pad(rows, ((0, -len(rows) % multiple), (0, 0)), mode="edge")


def stream(node: Node, form: Requantisation, at_once: int) -> npt.NDArray[np.int32]:
    """For each four (or eight) outputs: their start values, then weights by eights of inputs, which zeros fill up.

    Words of an item hold inputs 0 and 2, 1 and 3 of four. Each meets a word of outputs 0 and 1, one of 2 and 3 and so
    on, whose half-words hold two weights; where `unpack` is `wide`, one of each output, whose half-words are weights.
    """
    words = weight_words(channel_rows(node, node.input(1).data, at_once), form.unpack, at_once)
    return joined(list(np.concatenate([start_values(node, form, at_once), words], 1)))


def start_values(node: Node, form: Requantisation, at_once: int) -> Int64s:
    """What each sum begins with, so many outputs a row."""
    starts = bias_values(node) - node.input(0).zero_point * node.input(1).data.astype(np.int64).sum(1)  # type: ignore[union-attr]
    starts = channel_rows(node, starts + np.array(form.offsets), at_once).reshape(-1, at_once)
    if form.unpack == "shared":
        starts[:, 1::2] = 256 * starts[:, 1::2] + starts[:, ::2]
    return starts


def weight_words(weights: Int64s, unpack: str, at_once: int) -> Int64s:
    """The words of each group of outputs, in order, of weights as outputs × inputs; outputs come in whole groups."""
    products = np.pad(weights, ((0, 0), (0, -weights.shape[1] % 8)))
    in_order = products.reshape(len(weights), -1, 2, 2).swapaxes(2, 3).reshape(len(weights), -1, 2)
    first, second = in_order[::2], in_order[1::2]
    if unpack == "wide":
        halves = in_order
    else:
        halves = 256 * second + first if unpack == "shared" else (second & 255) * 256 + (first & 255)
    words = (halves[..., 0] & 0xFFFF) | (halves[..., 1] & 0xFFFF) << 16
    groups = len(weights) // at_once
    by_fours: Int64s = words.reshape(groups, -1, words.shape[1]).swapaxes(1, 2).reshape(groups, -1)
    return by_fours


@dataclass(frozen=True, slots=True)
class DenseParams(Params):
    items_per_row: Int32
    input_elements: Int32
    output_channels: Int32
    clamp_min: Int32
    clamp_max: Int32
    even_multiplier: Int32
    even_addend: Int32
    odd_multiplier: Int32
    odd_addend: Int32
    stream: Int32Array


@dataclass(frozen=True, slots=True)
class DenseParamsOfChannels(Params):
    items_per_row: Int32
    input_elements: Int32
    output_channels: Int32
    clamp_min: Int32
    clamp_max: Int32
    stream: Int32Array
    constants: Int32Array


def unrolled(node: Node, groups: int, at_once: int) -> tuple[int, int]:
    """(eights in a loop's body, eights after the loop), so that few are left over and layers share code."""
    most = EIGHTS_AT_ONCE if node.op.macs(node) >= SMALL_MACS else EIGHTS_AT_ONCE_OF_SMALL
    most = most * 4 // at_once
    if groups <= most:
        return groups, 0
    body = min(range(most // 2, most + 1), key=lambda body: (groups % body, -body))
    return body, groups % body


def item_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """The same rows where the items lie in the input as they do in the output, else all: then the output is one row."""
    rows = node.input(0).rows
    return (begin, end) if rows == node.output.rows else (0, rows)


def item_columns(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """The same columns where the items lie in the input as they do in the output, else all."""
    items = node.input(0).nhwc
    return (begin, end) if items[:3] == node.output.nhwc[:3] else (0, items[2])


def short_items(node: Node) -> str | None:
    """An item must have at most 1,024 elements, so that its 16-bit form takes no more than 2 KB."""
    elements = node.input(1).shape[1]
    return None if elements <= 1024 else f"{elements} elements"


def scratch_bytes(node: Node) -> int:
    """One item as 16-bit values."""
    return 16 * eights(node)


def _kernel(name: str, items: str, is_wide: bool = False) -> Kernel:
    """A kernel that reads `items` as 16-bit `words` from its scratch, or as the `bytes` that they are."""

    def requantised(node: Node, reference: Reference) -> Requantisation:
        form = requantisation(node, reference, is_wide)
        assert form is not None
        return form

    def at_once(node: Node) -> int:
        """Outputs: of bytes, eight share the work to widen them, where not too many of the eight are left over."""
        outputs = node.output.shape[-1]
        return 8 if items == "bytes" and 31 * -(-outputs // 8) < 16 * -(-outputs // 4) else 4

    def params(node: Node, reference: Reference) -> DenseParams | DenseParamsOfChannels:
        form = requantised(node, reference)
        activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
        clamp_min, clamp_max = clamp_bounds(activation, node.output)
        sizes = (node.output.nhwc[2], node.input(1).shape[1], node.output.shape[-1], clamp_min, clamp_max)
        if form.is_by_channel:
            constants = channel_rows(node, np.array(form.constants), at_once(node)).astype(np.int32).reshape(-1)
            return DenseParamsOfChannels(*sizes, stream(node, form, at_once(node)), constants)
        even, odd = form.constants
        return DenseParams(*sizes, even[0], even[1], odd[0], odd[1], stream(node, form, at_once(node)))

    def switches(node: Node, reference: Reference) -> Mapping[str, str]:
        form = requantised(node, reference)
        elements = node.input(1).shape[1]
        whole = elements // 8 if items == "bytes" else eights(node)
        body, rest = unrolled(node, whole, at_once(node))
        return {
            "at_once": str(at_once(node)),
            "unpack": form.unpack,
            "passes": "loop" if whole > body + rest else "once",
            "body": str(body),
            "rest": str(rest),
            "tail": "tail" if elements % 8 else "even",
            "form": form.form,
            "constants": "each" if form.is_by_channel else "one",
            "shift": str(form.shift),
        }

    def cost(node: Node, reference: Reference) -> Cost:
        form = requantised(node, reference)
        many = at_once(node)
        eight = {"shared": 27, "plain": 37, "wide": 21}[form.unpack] + (5 if items == "bytes" else 0)
        if many == 8:
            eight = {"shared": 62, "plain": 86}[form.unpack]
        times = -(-node.output.shape[-1] // many)
        runs = node.output.elements // node.output.shape[-1]
        end = many * ({"affine": 5, "twice": 7}[form.form] + form.is_by_channel)
        widening = 0 if items == "bytes" else 9 * eights(node)
        body, rest = unrolled(node, eights(node), many)
        loops = 4 * (eights(node) // body) if eights(node) > body else 0
        instructions = 120 + runs * (60 + widening + times * (eights(node) * eight + loops + end))
        constants = stream(node, form, at_once(node)).nbytes + 12 * form.is_by_channel * node.output.shape[-1]
        return Cost(instructions, constants, 450 + 4 * eight * (body + rest))

    return Kernel(
        name,
        access=Access(Unit.PIXEL if items == "words" else Unit.ELEMENT, item_rows, input_columns=item_columns),
        params=params,
        scratch_bytes=scratch_bytes if items == "words" else no_scratch,
        switches=switches,
        features=DSP,
        constraints=(*((short_items,) if items == "words" else ()), requantises_in_place),
        cost=cost,
    )


DENSE_KERNELS = (
    _kernel("fully_connected_s8__dsp", "words"),
    _kernel("fully_connected_s8__dsp_direct", "bytes"),
    _kernel("fully_connected_s8__dsp_w16", "words", is_wide=True),
)
"""Widened items; no scratch; and weights of 16 bits, the fastest for twice the flash."""
