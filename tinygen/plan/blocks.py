"""Steps as few and short pieces: single calls, and blocks of calls that come in turn, with their repetitions found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygen.plan.values import Step

LONGEST_PERIOD = 64
"""Calls of a repetition at most."""

Call = tuple[int, int]
"""A layer and the number of its next rows."""

Run = tuple[int, int, int]
"""The first of a few calls in the table, how many they are, and how often they are made."""


@dataclass(frozen=True, slots=True)
class Block:
    """Steps that belong together: of one layer, or of layers that run in turn, some rows at a time.

    `calls` and `runs` are the steps in short: each run repeats a part of `calls`.
    """

    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    runs: tuple[Run, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers in ascending order."""
        return tuple(sorted({step.layer for step in self.steps}))

    @property
    def is_single(self) -> bool:
        """Whether it is one call."""
        return len(self.steps) == 1


def blocks_of(steps: Sequence[Step]) -> tuple[Block, ...]:
    """The steps cut wherever no layer has steps on both sides."""
    last = {step.layer: number for number, step in enumerate(steps)}
    blocks: list[Block] = []
    begin, end = 0, 0
    for number, step in enumerate(steps):
        end = max(end, last[step.layer])
        if number == end:
            own = tuple(steps[begin : number + 1])
            calls, runs = shorten([(s.layer, s.row_end - s.row_begin) for s in own])
            blocks.append(Block(own, calls, runs))
            begin = end = number + 1
    return tuple(blocks)


def shorten(calls: Sequence[Call]) -> tuple[tuple[Call, ...], tuple[Run, ...]]:
    """A table and the runs through it that give the calls; deterministic, and short where they repeat."""
    table: list[Call] = []
    runs: list[Run] = []
    literal: list[Call] = []

    def add(part: Sequence[Call], times: int) -> None:
        places = [i for i in range(len(table) - len(part) + 1) if table[i : i + len(part)] == list(part)]
        if not places:
            places = [len(table)]
            table.extend(part)
        runs.append((places[0], len(part), times))

    at = 0
    while at < len(calls):
        period, times = _repetition(calls, at)
        if times > 1:
            if literal:
                add(literal, 1)
                literal = []
            add(calls[at : at + period], times)
        else:
            literal.append(calls[at])
        at += period * times
    if literal:
        add(literal, 1)
    return tuple(table), tuple(runs)


def _repetition(calls: Sequence[Call], at: int) -> tuple[int, int]:
    """The period and the number of times of the repetition that starts here and saves the most; (1, 1) if none does."""
    best, saved = (1, 1), 2  # a run takes as much as some three calls
    for period in range(1, min(LONGEST_PERIOD, (len(calls) - at) // 2) + 1):
        end = at + period
        while end < len(calls) and calls[end] == calls[end - period]:
            end += 1
        times = (end - at) // period
        if period * (times - 1) > saved:
            best, saved = (period, times), period * (times - 1)
    return best
