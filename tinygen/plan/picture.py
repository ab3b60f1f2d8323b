"""The arena over time as a picture in text: a row a slice of addresses, a column a moment."""

from __future__ import annotations

import bisect

import numpy as np

from tinygen.plan.values import BEFORE, Buffer, Plan

HEIGHT = 16
WIDTH = 80
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SCRATCH = "#"
FREE = "."
PROGRESS = "what is kept between two rows"


def memory_picture(plan: Plan, names: dict[int, str]) -> str:
    """Letters are buffers, `#` scratch, `.` free; `names` gives a label for each tensor's index.

    Each row covers arena_bytes ÷ rows bytes and shows what the slice's first byte holds. Each step is two columns, its
    first and its second half, or, where that would be too wide, each column is several steps.
    """
    if plan.arena_bytes == 0:
        return "The arena is empty."
    slice_bytes = -(-plan.arena_bytes // HEIGHT)
    width = len(f"{plan.arena_bytes:,}")
    letter = [SCRATCH if b.scratch_of else LETTERS[i % len(LETTERS)] for i, b in enumerate(plan.buffers)]
    moments = _moments(plan)
    addresses = range(0, plan.arena_bytes, slice_bytes)
    grid = [[FREE] * len(moments) for _ in addresses]
    for buffer, offset, mark in zip(plan.buffers, plan.offsets, letter, strict=True):
        for row, address in enumerate(addresses):
            if offset <= address < offset + buffer.size_bytes:
                for column in _columns(buffer, address - offset, moments):
                    grid[row][column] = mark
    lines = [f"{a:>{width},} │{''.join(row)}│" for a, row in zip(addresses, grid, strict=True)]
    live = max(plan.live, default=0)
    peak = plan.live.index(live) if live else 0
    at = [column for column, moment in enumerate(moments) if plan.step_at(moment) <= peak]
    first = [column for column in at if plan.step_at(moments[column]) == plan.step_at(moments[at[-1]])]
    lines.append(" " * (width + 2 + first[0]) + "^" * len(first))
    lines.append(
        f"{'':>{width}} peak: step {peak}, {live:,} bytes live; arena {plan.arena_bytes:,}, "
        f"lower bound {plan.lower_bound_bytes:,}"
    )
    return "\n".join([*lines, *_legend(plan, names, letter, width)])


def _moments(plan: Plan) -> list[int]:
    """The times of the columns: before the first step, in the steps, after the last."""
    steps = [(begin, end) for begin, end in zip(plan.times[:-1], plan.times[1:], strict=True)]
    if 2 * len(steps) <= WIDTH:
        inner = [begin + (end - begin) * part // 4 for begin, end in steps for part in (1, 3)]
    else:
        chosen = [len(steps) * column // WIDTH for column in range(WIDTH)]
        inner = [sum(steps[step]) // 2 for step in chosen]
    return [BEFORE, *inner, plan.times[-1]]


def _columns(buffer: Buffer, byte: int, moments: list[int]) -> range:
    """The columns in which a byte lives."""
    run = int(np.searchsorted(buffer.life.ends, byte, "right"))
    birth, death = int(buffer.life.birth[run]), int(buffer.life.death[run])
    return range(bisect.bisect_left(moments, birth), bisect.bisect_right(moments, death))


def _legend(plan: Plan, names: dict[int, str], letter: list[str], width: int) -> list[str]:
    lines = []
    for buffer, offset, mark in zip(plan.buffers, plan.offsets, letter, strict=True):
        what = (
            f"scratch of layer{'s' if len(buffer.scratch_of) > 1 else ''} {', '.join(map(str, buffer.scratch_of))}"
            if buffer.scratch_of
            else ", ".join(names.get(tensor, str(tensor)) for tensor in buffer.tensors) or PROGRESS
        )
        if buffer.guests:
            what += f"; in turn {', '.join(names.get(tensor, str(tensor)) for tensor in buffer.guests)}"
        lines.append(
            f"  {mark}  {offset:>{width},} .. {offset + buffer.size_bytes:>{width},}  "
            f"steps {plan.step_at(buffer.life.first):>3} to {plan.step_at(buffer.life.last):>3}  {what}"
        )
    return lines
