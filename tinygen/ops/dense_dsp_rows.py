"""FULLY_CONNECTED of one item, row by row, on cores with DSP: a row's products are added to sums in the scratch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinygen.ir import Cost, FusedActivation, Int32, Int32Array, Kernel, Node, Params, Reference
from tinygen.ops.constants import clamp_bounds
from tinygen.ops.dense_dsp import (
    Requantisation,
    channel_rows,
    requantisation,
    requantises_in_place,
    start_values,
    unrolled,
    weight_words,
)
from tinygen.ops.dsp import DSP, joined
from tinygen.ops.sums import SUMS, item_of_rows

AT_ONCE = 4
"""Outputs."""


@dataclass(frozen=True, slots=True)
class DenseRowsParams(Params):
    rows: Int32
    row_elements: Int32
    row_words: Int32
    output_channels: Int32
    clamp_min: Int32
    clamp_max: Int32
    starts: Int32Array
    stream: Int32Array
    constants: Int32Array


def form_of(node: Node, reference: Reference) -> Requantisation:
    """How sums become outputs."""
    form = requantisation(node, reference)
    assert form is not None
    return form


def row_elements(node: Node) -> int:
    """Inputs that lie in one row."""
    return node.input(1).shape[1] // node.input(0).rows


def fours(node: Node) -> int:
    """Groups of four outputs, the last one filled up."""
    return -(-node.output.shape[-1] // AT_ONCE)


def params(node: Node, reference: Reference) -> DenseRowsParams:
    """What fully_connected_s8__dsp_rows is given. The stream has the weights of row after row."""
    form, rows, outputs = form_of(node, reference), node.input(0).rows, node.output.shape[-1]
    activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
    clamp_min, clamp_max = clamp_bounds(activation, node.output)
    weights = channel_rows(node, node.input(1).data, AT_ONCE)
    stream = [weight_words(part, form.unpack, AT_ONCE).reshape(-1) for part in np.split(weights, rows, 1)]
    constants = np.array(form.constants, np.int64)
    constants = np.resize(constants, (outputs, constants.shape[1]))  # those of even and odd channels repeat
    return DenseRowsParams(
        rows=rows,
        row_elements=row_elements(node),
        row_words=len(stream[0]),
        output_channels=outputs,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        starts=joined([start_values(node, form, AT_ONCE).reshape(-1)]),
        stream=joined(stream),
        constants=joined([constants.reshape(-1)]),
    )


def switches(node: Node, reference: Reference) -> Mapping[str, str]:
    """What changes the code."""
    form, whole = form_of(node, reference), row_elements(node) // 8
    body, rest = unrolled(node, whole, AT_ONCE)
    return {
        "unpack": form.unpack,
        "passes": "loop" if whole > body + rest else "once",
        "body": str(body),
        "rest": str(rest),
        "tail": "tail" if row_elements(node) % 8 else "even",
        "form": form.form,
        "shift": str(form.shift),
    }


def scratch_bytes(node: Node) -> int:
    """A word for each output of whole fours."""
    return 4 * AT_ONCE * fours(node)


def call(node: Node, rows: int) -> int:
    """Instructions of a call: eight inputs of four outputs take 32 to 42."""
    eights = -(-row_elements(node) // 8)
    return 60 + rows * (60 + fours(node) * (42 * eights + 14))


def cost(node: Node, reference: Reference) -> Cost:
    """What it costs in one call."""
    form, outputs = form_of(node, reference), node.output.shape[-1]
    eights = -(-row_elements(node) // 8)
    body, rest = unrolled(node, eights, AT_ONCE)
    constants = AT_ONCE * fours(node) * (8 * eights * node.input(0).rows + 4) + 4 * outputs * len(form.constants[0])
    return Cost(call(node, node.input(0).rows) + 25 * outputs, constants, 520 + 168 * (body + rest))


DENSE_ROWS = Kernel(
    "fully_connected_s8__dsp_rows",
    access=SUMS,
    params=params,
    scratch_bytes=scratch_bytes,
    switches=switches,
    features=DSP,
    constraints=(item_of_rows, requantises_in_place),
    cost=cost,
    call_cost=call,
)
"""One row after the other, its bytes widened where they are multiplied."""
