"""FULLY_CONNECTED: every output is a sum over all elements of an item, weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from tinygen import fixedpoint
from tinygen.ir import (
    Access,
    Activation,
    Array,
    Cost,
    CType,
    FusedActivation,
    Int8Array,
    Int32,
    Int32Array,
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
from tinygen.ops.constants import clamp_bounds, multipliers_and_shifts
from tinygen.ops.dense_dsp import DENSE_KERNELS, item_columns, item_rows
from tinygen.ops.dense_dsp_rows import DENSE_ROWS
from tinygen.ops.filters import (
    accumulator_bounds,
    accumulators_fit,
    bias_values,
    channel_factors,
    one_channel_each,
    one_scale_or_one_a_channel,
)
from tinygen.ops.float_rounding import SINGLE_BITS, WIDE_BITS, multiplier
from tinygen.ops.sums import SUMS, item_of_rows, word_sums_bytes

Int64Array = Annotated[npt.NDArray[np.int64], CType("const int64_t *")]


class WeightsFormat(Enum):
    """Order of the filter's elements; the values are the schema's."""

    DEFAULT = 0
    SHUFFLED4x16INT8 = 1


def float_multipliers(node: Node, bits: int | None) -> list[tuple[int, int] | None]:
    """(M, shift) of each output channel that round like float64; bits None: as many as the accumulators leave."""
    op, output = node.op, node.output
    assert isinstance(op, FullyConnected)
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, output)
    outputs = clamp_min - output.zero_point, clamp_max - output.zero_point
    lows, highs = accumulator_bounds(node, 0)
    found = []
    for factor, low, high in zip(channel_factors(node), lows.tolist(), highs.tolist(), strict=True):
        free_bits = WIDE_BITS - max(-low, high).bit_length() if bits is None else bits
        found.append(multiplier(factor, (low, high), outputs, free_bits))
    return found


def default_weights(node: Node) -> str | None:
    """The weights must be in the default order."""
    op = node.op
    assert isinstance(op, FullyConnected)
    return None if op.weights_format is WeightsFormat.DEFAULT else op.weights_format.name


def filter_fits(node: Node) -> str | None:
    """The filter must be outputs x inputs, and the input a whole number of items of that many elements."""
    data, weights, op = node.input(0), node.input(1), node.op
    assert isinstance(op, FullyConnected)
    if len(weights.shape) == 2 and len(data.shape) >= 1:
        width = weights.shape[1]
        if data.shape[-1] == width if op.keep_num_dims else data.elements % width == 0:
            return None
    return f"input {data.describe()}, filter {weights.describe()}"


def float_rounding_as_integers(node: Node) -> str | None:
    """Integer arithmetic must be able to round every sum as float64 does."""
    if None in float_multipliers(node, SINGLE_BITS) and None in float_multipliers(node, None):
        return f"factors down to {min(channel_factors(node)):g}"
    return None


@dataclass(frozen=True, slots=True)
class FullyConnectedParams(Params):
    items_per_row: Int32
    input_elements: Int32
    output_channels: Int32
    input_offset: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    weights: Int8Array
    bias: Int32Array
    multiplier: Int32Array
    shift: Int8Array


@dataclass(frozen=True, slots=True)
class WideParams(Params):
    items_per_row: Int32
    input_elements: Int32
    output_channels: Int32
    input_offset: Int32
    output_zero_point: Int32
    clamp_min: Int32
    clamp_max: Int32
    weights: Int8Array
    bias: Int32Array
    multiplier: Int64Array
    shift: Int8Array


def rounding(node: Node, reference: Reference) -> Mapping[str, str]:
    """How accumulators become outputs: tflm rounds twice, litert in float64, which `single` or `wide` reproduces."""
    if reference is Reference.TFLM:
        return {"rounding": "double"}
    return {"rounding": "wide" if None in float_multipliers(node, SINGLE_BITS) else "single"}


def params(node: Node, reference: Reference) -> FullyConnectedParams | WideParams:
    """What fully_connected_s8__c is given."""
    op, data, weights, output = node.op, node.input(0), node.input(1), node.output
    assert isinstance(op, FullyConnected) and weights.data is not None
    form = rounding(node, reference)["rounding"]
    clamp_min, clamp_max = clamp_bounds(op.fused_activation_function, output)
    whole: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    if form == "double":
        whole, shift = multipliers_and_shifts(channel_factors(node))
    else:
        pairs = [pair for pair in float_multipliers(node, None if form == "wide" else SINGLE_BITS) if pair]
        whole = np.array([m for m, _ in pairs], np.int64 if form == "wide" else np.int32)
        # requantize_single shifts by 31 - shift
        shift = np.array([s if form == "wide" else 31 - s for _, s in pairs], np.int8)
    struct = WideParams if form == "wide" else FullyConnectedParams
    return struct(
        items_per_row=output.nhwc[2],
        input_elements=weights.shape[1],
        output_channels=output.shape[-1],
        input_offset=-data.zero_point,
        output_zero_point=output.zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        weights=weights.data,
        bias=bias_values(node),
        multiplier=whole,  # type: ignore[arg-type]
        shift=shift,
    )


def cost(node: Node, reference: Reference) -> Cost:
    """What fully_connected_s8__c costs: about 5 instructions a product, measured on Cortex-M4."""
    weights = node.input(1)
    outputs = node.output.elements
    return Cost(80 + outputs * (35 + 5 * weights.shape[1]), weights.elements + 9 * weights.shape[0], 330)


@dataclass(frozen=True, slots=True)
class FullyConnectedRowsParams(FullyConnectedParams):
    rows: Int32


@dataclass(frozen=True, slots=True)
class WideRowsParams(WideParams):
    rows: Int32


def rows_params(node: Node, reference: Reference) -> FullyConnectedRowsParams | WideRowsParams:
    """What fully_connected_s8__c_rows is given."""
    whole = params(node, reference)
    values = {field.name: getattr(whole, field.name) for field in fields(whole)}
    struct = WideRowsParams if isinstance(whole, WideParams) else FullyConnectedRowsParams
    return struct(**values, rows=node.input(0).rows)


def rows_call(node: Node, rows: int) -> int:
    """Instructions of a call of fully_connected_s8__c_rows."""
    return 60 + rows * (25 + node.output.elements * (25 + 5 * node.input(0).elements // node.input(0).rows))


def rows_cost(node: Node, reference: Reference) -> Cost:
    """What fully_connected_s8__c_rows costs in one call."""
    weights = node.input(1)
    instructions = rows_call(node, node.input(0).rows) + 35 * node.output.elements
    return Cost(instructions, weights.elements + 9 * weights.shape[0], 380)


@dataclass(frozen=True, slots=True)
class FullyConnected(Op):
    fused_activation_function: FusedActivation = Activation.NONE
    weights_format: WeightsFormat = WeightsFormat.DEFAULT
    keep_num_dims: bool = False
    asymmetric_quantize_inputs: bool = False
    quantized_bias_type: int = 0

    name: ClassVar[str] = "FULLY_CONNECTED"
    version: ClassVar[int] = 14
    options: ClassVar[str | None] = "FullyConnectedOptions"
    arity: ClassVar[tuple[int, int]] = (2, 3)
    constraints = (
        one_channel_each(0),
        *rules.INT8_CONVOLUTION,
        default_weights,
        filter_fits,
        one_scale_or_one_a_channel(0),
        accumulators_fit(0),
        float_rounding_as_integers,
    )
    kernels = (
        *DENSE_KERNELS,
        DENSE_ROWS,
        Kernel(
            "fully_connected_s8__c_rows",
            access=SUMS,
            params=rows_params,
            scratch_bytes=word_sums_bytes,
            switches=rounding,
            constraints=(item_of_rows,),
            cost=rows_cost,
            call_cost=rows_call,
        ),
        Kernel(
            "fully_connected_s8__c",
            access=Access(Unit.ELEMENT, item_rows, input_columns=item_columns),
            params=params,
            switches=rounding,
            cost=cost,
        ),
    )

    def infer(self, node: Node) -> tuple[Shape, ...]:
        data, (outputs, width) = node.input(0), node.input(1).shape
        if self.keep_num_dims:
            return ((*data.shape[:-1], outputs),)
        return ((data.elements // width, outputs),)

    def macs(self, node: Node) -> int:
        return node.output.elements * node.input(1).shape[1]

    def reference(self, node: Node, values: Sequence[Array | None], reference: Reference) -> tuple[Array, ...]:
        data, weights, bias = values[0], values[1], values[2] if len(values) > 2 else None
        assert data is not None and weights is not None
        output = node.output
        items = data.reshape(-1, weights.shape[1]).astype(np.int64) - node.input(0).zero_point
        accumulator = items @ weights.T.astype(np.int64)
        if bias is not None:
            accumulator = accumulator + bias.reshape(-1)
        bounds = fixedpoint.activation_range(
            self.fused_activation_function, output.scale, output.zero_point, output.dtype
        )
        scales = channel_factors(node)
        if reference is Reference.TFLM:
            result = fixedpoint.requantize(
                accumulator, scales, Rounding.DOUBLE, output.zero_point, bounds, output.dtype
            )
        else:
            scaled = accumulator.astype(np.float64) * np.array(scales)
            whole = np.trunc(scaled)
            away = whole + np.where(np.abs(scaled - whole) >= 0.5, np.sign(scaled), 0)
            result = np.clip(away.astype(np.int64) + output.zero_point, *bounds).astype(output.dtype.numpy)
        return (result.reshape(output.shape),)
