"""Operators are tested in models of many nodes, whose outputs all live to the end: packing has little to gain there."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygen.plan.pack.ROUNDS", 10)
