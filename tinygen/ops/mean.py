"""MEAN: the average over some axes, requantised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Array,
    Cost,
    DType,
    Int32,
    Kernel,
    Node,
    Op,
    Params,
    Reference,
    Rounding,
    Shape,
    Unit,
)
from tinygen.ops import rules
from tinygen.ops.constants import multiplier_and_shift
from tinygen.ops.dsp import DSP
from tinygen.ops.filters import LARGEST_SCALED
from tinygen.ops.sums import SUMS, averaged_rows, half_sums_instructions, half_sums_of, word_sums_bytes

GROUPS = 2
"""Of neighbouring axes, kept or averaged, that mean_s8__c has loops for."""


def averaged_axes(node: Node) -> frozenset[int]:
    """The axes that are averaged, counted from the front."""
    axes, rank = node.input(1).data, len(node.input(0).shape)
    assert axes is not None
    return frozenset(int(axis) % rank for axis in axes.reshape(-1))


def averaged_elements(node: Node) -> int:
    """How many elements each output is the average of."""
    return math.prod(node.input(0).shape[axis] for axis in averaged_axes(node))


def constant_axes(node: Node) -> str | None:
    """The axes must be int32 constants that the input has."""
    axes, rank = node.input(1), len(node.input(0).shape)
    if axes.dtype is not DType.INT32 or axes.data is None:
        return axes.describe() + ("" if axes.is_constant else " computed at run time")
    wrong = [int(axis) for axis in axes.data.reshape(-1) if not -rank <= axis < rank]
    return f"axis {wrong[0]} of {rank} dimensions" if wrong else None


Group = tuple[int, int]
"""Neighbouring axes as one: elements and the distance between two of them."""


def groups(node: Node) -> tuple[list[Group], list[Group]]:
    """Neighbouring axes merged: those kept and those averaged, outermost first."""
    kept: list[Group] = []
    averaged: list[Group] = []
    axes, last = averaged_axes(node), None
    distance = node.input(0).elements
    for axis, size in enumerate(node.input(0).shape):
        distance //= size
        if size == 1:
            continue
        target = averaged if axis in axes else kept
        merged = target.pop()[0] if target is last else 1
        target.append((merged * size, distance))
        last = target
    return kept, averaged


def few_groups(node: Node) -> str | None:
    """Averaged axes may form at most two groups of neighbours, and so may the others; axes of size 1 do not count."""
    kept, averaged = groups(node)
    if len(kept) <= GROUPS and len(averaged) <= GROUPS:
        return None
    return f"axes {sorted(averaged_axes(node))} of {node.input(0).describe()}"


def multiplier(node: Node) -> tuple[int, int]:
    """(multiplier, shift) of sum × input scale ÷ output scale ÷ elements, in the reference's truncated form."""
    whole, shift = multiplier_and_shift(node.input(0).scale / node.output.scale)
    elements = averaged_elements(node)
    bits = min(elements.bit_length() - 1, 32, 31 + shift)
    return (whole << bits) // elements, shift - bits


def sums_fit(node: Node) -> str | None:
    """No sum may leave 32 bits, before or after requantisation, whatever the input is."""
    largest = 255 * averaged_elements(node)
    if largest << max(0, multiplier(node)[1]) <= LARGEST_SCALED:
        return None
    return f"{averaged_elements(node)} elements, scales {node.input(0).scale} and {node.output.scale}"


@dataclass(frozen=True, slots=True)
class MeanParams(Params):
    row_elements: Int32
    kept_inner: Int32
    kept_outer_step: Int32
    kept_inner_step: Int32
    averaged_outer: Int32
    averaged_inner: Int32
    averaged_outer_step: Int32
    averaged_inner_step: Int32
    sum_offset: Int32
    output_zero_point: Int32
    multiplier: Int32
    shift: Int32


def params(node: Node, reference: Reference) -> MeanParams:
    """What mean_s8__c is given."""
    kept, averaged = ([(1, 0)] * (GROUPS - len(found)) + found for found in groups(node))
    factor, shift = multiplier(node)
    return MeanParams(
        row_elements=node.output.row_bytes,
        kept_inner=kept[1][0],
        kept_outer_step=kept[0][1],
        kept_inner_step=kept[1][1],
        averaged_outer=averaged[0][0],
        averaged_inner=averaged[1][0],
        averaged_outer_step=averaged[0][1],
        averaged_inner_step=averaged[1][1],
        sum_offset=-node.input(0).zero_point * averaged_elements(node),
        output_zero_point=node.output.zero_point,
        multiplier=factor,
        shift=shift,
    )


@dataclass(frozen=True, slots=True)
class MeanRowsParams(Params):
    rows: Int32
    pixels: Int32
    elements: Int32
    sum_offset: Int32
    output_zero_point: Int32
    multiplier: Int32
    shift: Int32


def rows_params(node: Node, reference: Reference) -> MeanRowsParams:
    """What mean_s8__c_rows and mean_s8__dsp_rows are given."""
    whole, data = params(node, reference), node.input(0)
    return MeanRowsParams(
        rows=data.rows,
        pixels=averaged_elements(node) // data.rows,
        elements=node.output.elements,
        sum_offset=whole.sum_offset,
        output_zero_point=whole.output_zero_point,
        multiplier=whole.multiplier,
        shift=whole.shift,
    )


def over_rows(node: Node) -> str | None:
    """The average must be over several rows of one item, or their pixels, and keep the last axis."""
    return averaged_rows(node, averaged_axes(node))


def few_pixels(node: Node) -> str | None:
    """There must be at least four outputs, averages of at most 256 elements."""
    outputs, averaged = node.output.elements, averaged_elements(node)
    return None if outputs >= 4 and averaged <= 256 else f"{outputs} outputs, averages of {averaged}"


def half_sums_bytes(node: Node) -> int:
    """Half-words of the outputs."""
    return half_sums_of(node.output.elements)


def rows_call(node: Node, rows: int) -> int:
    """Instructions of a call of mean_s8__c_rows."""
    return 60 + rows * (20 + 7 * node.input(0).elements // node.input(0).rows)


def rows_cost(node: Node, reference: Reference) -> Cost:
    """What mean_s8__c_rows costs in one call."""
    return Cost(rows_call(node, node.input(0).rows) + 45 * node.output.elements, 0, 420)


def dsp_rows_call(node: Node, rows: int) -> int:
    """Instructions of a call of mean_s8__dsp_rows."""
    pixels = averaged_elements(node) // node.input(0).rows
    return 60 + rows * (15 + half_sums_instructions(node.output.elements, pixels))


def dsp_rows_cost(node: Node, reference: Reference) -> Cost:
    """What mean_s8__dsp_rows costs in one call."""
    return Cost(dsp_rows_call(node, node.input(0).rows) + 45 * node.output.elements, 0, 740)


def neighbours_stay(node: Node) -> str | None:
    """The last axis must be kept, with at least four elements, and at most 256 elements averaged."""
    kept, _ = groups(node)
    if kept and kept[-1][1] == 1 and kept[-1][0] >= 4 and averaged_elements(node) <= 256:
        return None
    return f"axes {sorted(averaged_axes(node))} of {node.input(0).describe()}"


def cost(node: Node, reference: Reference) -> Cost:
    """What mean_s8__c costs: a load, a sum and a step an element, and a requantisation an output."""
    return Cost(80 + round(node.output.elements * (45 + 5.5 * averaged_elements(node))), 0, 380)


def dsp_cost(node: Node, reference: Reference) -> Cost:
    """What mean_s8__dsp costs: three instructions a word and its share of the loop."""
    inner = groups(node)[0][-1][0]
    pixel = inner // 16 * 15 + inner % 16 // 4 * 6 + inner % 4 * 5
    times = node.output.elements / inner
    return Cost(80 + round(times * (averaged_elements(node) * pixel + 40 * inner)), 0, 700)


IN_ORDER = Access(Unit.ELEMENT, in_order=True)
"""Outputs come in order, each after the last read of its inputs. These are as many or more, so that input i belongs to
an output up to i: once output i is written, inputs 0..i are not read again."""


@dataclass(frozen=True, slots=True)
class Mean(Op):
    keep_dims: bool = False

    name: ClassVar[str] = "MEAN"
    version: ClassVar[int] = 3
    options: ClassVar[str | None] = "ReducerOptions"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    constraints = (rules.int8_data, rules.per_tensor_data, constant_axes, few_groups, sums_fit)
    kernels = (
        Kernel(
            "mean_s8__dsp",
            access=IN_ORDER,
            params=params,
            features=DSP,
            constraints=(neighbours_stay,),
            cost=dsp_cost,
        ),
        Kernel(
            "mean_s8__dsp_rows",
            access=SUMS,
            params=rows_params,
            scratch_bytes=half_sums_bytes,
            features=DSP,
            constraints=(over_rows, few_pixels),
            cost=dsp_rows_cost,
            call_cost=dsp_rows_call,
        ),
        Kernel(
            "mean_s8__c_rows",
            access=SUMS,
            params=rows_params,
            scratch_bytes=word_sums_bytes,
            constraints=(over_rows,),
            cost=rows_cost,
            call_cost=rows_call,
        ),
        Kernel("mean_s8__c", access=IN_ORDER, params=params, cost=cost),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        axes = averaged_axes(node)
        sizes = enumerate(node.input(0).shape)
        if self.keep_dims:
            return (tuple(1 if axis in axes else size for axis, size in sizes),)
        return (tuple(size for axis, size in sizes if axis not in axes),)

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        data, output = values[0], node.output
        assert data is not None
        elements = averaged_elements(node)
        total = data.astype(np.int64).sum(tuple(averaged_axes(node))) - elements * node.input(0).zero_point
        whole, shift = fixedpoint.quantize_multiplier(node.input(0).scale / output.scale)
        bits = min(math.floor(math.log2(elements)), 32, 31 + shift)
        factor = math.floor(whole * 2**bits / elements)
        scaled = fixedpoint.multiply_by_quantized_multiplier(total, factor, shift - bits, Rounding.DOUBLE)
        return (np.clip(scaled + output.zero_point, -128, 127).astype(np.int8).reshape(output.shape),)
