"""The self-test's vectors: what they would need of this machine is known before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.models import ModelBuilder
from tinygen import compile_model, load_board, read_model
from tinygen.compile import Compiled
from tinygen.errors import DoesNotFitError
from tinygen.validate import vectors


def compiled(shape: Sequence[int]) -> Compiled:
    """One RELU of this shape."""
    b = ModelBuilder()
    x = b.input(shape, scale=0.1, zero_point=0, name="image")
    y = b.tensor(shape, scale=0.1, zero_point=0, name="scores")
    b.node("RELU", [x], [y])
    b.output(y)
    return compile_model(read_model(b.finish(), name="large"), load_board("nano33"))


def test_the_estimate_grows_with_the_largest_layer_and_all_tensors() -> None:
    graph = compiled((1, 8, 8, 4)).program.graph
    assert vectors.reference_bytes(graph) == 2 * 256 + 2 * 256 * vectors.WORKING_BYTES


def test_a_reference_larger_than_allowed_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled((1, 8, 8, 4))
    monkeypatch.setattr(vectors, "evaluate", lambda *_: pytest.fail("it started"))
    monkeypatch.setattr(vectors, "MOST_REFERENCE_BYTES", vectors.reference_bytes(model.program.graph) - 1)
    with pytest.raises(DoesNotFitError, match=r"large: .* needs about 20,992 bytes .* 20,991 allowed"):
        vectors.make_vectors(model, 1)


def test_a_machine_with_less_memory_than_the_reference_needs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(vectors, "evaluate", exhausted)
    with pytest.raises(DoesNotFitError, match=r"large: .* needs about 20,992 bytes of this machine's memory"):
        vectors.make_vectors(compiled((1, 8, 8, 4)), 1)
