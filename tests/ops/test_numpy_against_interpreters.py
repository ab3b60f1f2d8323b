"""The numpy reference of every operator equals the Python interpreters, bit for bit."""

from __future__ import annotations

import pytest

from tests.ops.cases import CASES, Case
from tests.ops.harness import TIMEOUT_S, assert_equal, inputs_of, model_of
from tinygen.ir import Reference
from tinygen.validate.evaluate import evaluate
from tinygen.validate.interpreters import run_reference

ROWS = [pytest.param(case, r, id=f"{case.name}-{r.value}") for case in CASES for r in case.references]


@pytest.mark.parametrize(("case", "reference"), ROWS)
def test_numpy_equals_the_interpreter(case: Case, reference: Reference) -> None:
    model = model_of(case, case.count)
    inputs = inputs_of(model.graph)
    expected = run_reference(model.data, reference, inputs, timeout_s=TIMEOUT_S)
    assert_equal(case, model.graph, expected, [evaluate(model.graph, values, reference) for values in inputs])
