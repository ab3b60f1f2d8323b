"""Tables that leave out columns where a terminal is narrow, so that no number is broken over lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

UNBOUNDED = 10_000
"""Columns of a terminal in which every table has its own width."""


@dataclass(frozen=True, slots=True)
class FirstThatFits:
    """The first of some tables, the widest first, that has its full width in the terminal; else the last."""

    tables: Sequence[Table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=UNBOUNDED)
        fitting = (t for t in self.tables if Measurement.get(console, wide, t).maximum <= options.max_width)
        yield next(fitting, self.tables[-1])


def narrower(columns: Sequence[str], steps: Sequence[Mapping[str, str | None]]) -> list[list[str]]:
    """Lists of columns, each with the changes of one more step: a column to another that stands for it, or to None."""
    lists = [list(columns)]
    for step in steps:
        changed = (step.get(column, column) for column in lists[-1])
        lists.append([column for column in changed if column is not None])
    return lists


def short_kernel(name: str) -> str:
    """A kernel's name without its operator's, which stands beside it: conv2d_s8__dsp_loop is dsp_loop."""
    return name.partition("__")[2] or name
