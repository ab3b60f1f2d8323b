"""Scales at the ends of float32 once made rules loop for ever, or raise what is no ModelError."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from tests.ops.cases import CASES, Case
from tests.support.models import ModelBuilder
from tinygen import Options, Reference, compile_model, load_board, read_model
from tinygen.errors import ModelError

BOARD = load_board("mps2-an386")
DRAWS = 20


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_is_compiled_or_refused_whatever_its_scales(case: Case) -> None:
    chance = random.Random(case.name)
    for number in range(DRAWS):
        builder = ModelBuilder(case.name)
        case.add(builder, np.random.default_rng([77, number]))
        for tensor in builder.tensors:
            quantization = tensor.fields.get("quantization")
            if quantization is not None and chance.random() < 0.5:
                scales = quantization.fields["scale"]
                quantization.fields["scale"] = [float(np.float32(10.0 ** chance.uniform(-44, 38))) for _ in scales]
        try:
            model = read_model(builder.finish())
        except ModelError:
            continue
        for reference in Reference:
            compile_model(model, BOARD, Options(reference))


@pytest.mark.parametrize("scale", [1e-20, 1e-38, 1e30])
def test_a_dense_layer_with_an_extreme_factor_ends(scale: float) -> None:
    builder = ModelBuilder("dense")
    x = builder.input((1, 4), scale=scale, zero_point=3)
    weights = builder.constant(np.ones((2, 4), np.int8), scales=1.0)
    y = builder.tensor((1, 2), scale=1.0)
    builder.node("FULLY_CONNECTED", [x, weights], [y], version=4)
    builder.output(y)
    data = builder.finish()
    try:
        compile_model(read_model(data), BOARD)
    except ModelError as error:
        assert "FULLY_CONNECTED" in str(error)


def test_folding_constants_is_bounded_in_work_and_memory() -> None:
    builder = ModelBuilder("fold")
    x = builder.input((1, 1, 1, 1), scale=0.1)
    one = builder.constant(np.ones((1, 1, 1, 1), np.int8), scales=0.1)
    table = builder.constant(np.array([[0, 0], [0, 999], [0, 999], [0, 0]], np.int32))
    wide = builder.tensor((1, 1000, 1000, 1), scale=0.1)
    builder.node("PAD", [one, table], [wide])
    pooled = builder.tensor((1, 1000, 1000, 1), scale=0.1)
    window = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "filter_height": 1000, "filter_width": 1000}
    builder.node("AVERAGE_POOL_2D", [wide], [pooled], version=2, **window)
    mean = builder.tensor((1, 1, 1, 1), scale=0.1)
    builder.node("MEAN", [pooled, builder.constant(np.array([1, 2], np.int32))], [mean], version=2, keep_dims=True)
    y = builder.tensor((1, 1, 1, 2), scale=0.1)
    builder.node("CONCATENATION", [x, mean], [y], version=2, axis=3)
    builder.output(y)
    started = time.process_time()
    compile_model(read_model(builder.finish()), BOARD)
    assert time.process_time() - started < 5
