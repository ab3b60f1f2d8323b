"""Ways out of a model that does not fit, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from tinygen.report.tables import plain_table
from tinygen.ways_out import Kind, WayOut


def ways_table(ways: Sequence[WayOut]) -> RenderableType:
    """A line a way, the model as it is first; models of another form with the option where it is another one."""
    taken = ways[0].optimize
    numbers = ("arena", "weights", "MACs")
    table = plain_table("change", "to what", *numbers, "fits", right=numbers)
    for way in ways:
        kind = "as it is" if way.kind is Kind.NOTHING else "another build" if not way.in_model else "another model"
        table.add_row(
            kind,
            f"{way.change}, --optimize {way.optimize.value}"
            if way.in_model and way.optimize is not taken
            else way.change,
            f"{way.arena_bytes:,}",
            f"{way.weights_bytes:,}",
            f"{way.macs:,}",
            "yes" if way.fits else "no",
        )
    return table


def ways_json(ways: Sequence[WayOut]) -> list[dict[str, Any]]:
    """The same; `in_model` says that the model itself has to be made anew."""
    return [
        {
            "kind": way.kind.value,
            "change": way.change,
            "in_model": way.in_model,
            "optimize": way.optimize.value,
            "arena_bytes": way.arena_bytes,
            "weights_bytes": way.weights_bytes,
            "macs": way.macs,
            "fits": way.fits,
        }
        for way in ways
    ]
