"""What was asked for, what was tried and what was taken, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygen.attempts import Attempt, Choice
from tinygen.budgets import Budgets, Resource
from tinygen.fit import explain

Json = dict[str, Any]


def choice_json(choice: Choice, budgets: Budgets, sources: Mapping[str, str]) -> Json:
    """What commands add to their JSON: where settings come from, the budgets, and every --optimize that was tried.

    `tried` is in order; its last entry is the one that was taken, unless none fits.
    """
    return {
        "settings": dict(sources),
        "budgets": {r.value: budget.most if (budget := budgets.of(r)) else None for r in Resource},
        "tried": [_attempt_json(attempt) for attempt in choice.attempts],
    }


def choice_rows(choice: Choice) -> list[tuple[str, str]]:
    """The line that says why another --optimize was taken than the one that was asked for; none where it was not."""
    return [("optimize", choice.why)] if choice.why else []


def _attempt_json(attempt: Attempt) -> Json:
    return {
        "optimize": attempt.optimize.value,
        "fits": attempt.fits,
        "arena_bytes": attempt.arena_bytes,
        "weights_bytes": sum(model.program.weights_bytes for model in attempt.models),
        "flash_bytes": None if None in attempt.sizes else attempt.flash_bytes,
        "stack_bytes": attempt.stack_bytes,
        "instructions": attempt.instructions,
        "missed": [
            {"resource": miss.resource.value, "needs": miss.needs, "has": miss.has, "problem": explain([miss])}
            for miss in attempt.misses
        ],
    }
