"""How many bytes live at each moment: what no placement can go below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygen.plan.values import Ints, Life


def live_profile(lives: Sequence[Life]) -> tuple[Ints, Ints]:
    """Times in ascending order, and the bytes that live from each until the next."""
    if not lives:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    times = np.concatenate([a for life in lives for a in (life.birth, life.death + 1)])
    sizes = [life.ends - life.begins for life in lives]
    change = np.concatenate([a for size in sizes for a in (size, -size)])
    order = np.argsort(times, kind="stable")
    times, live = times[order], np.cumsum(change[order])
    last = np.append(np.flatnonzero(np.diff(times)), len(times) - 1)  # the last change at each time
    return times[last], live[last]


def lower_bound(lives: Sequence[Life]) -> int:
    """The most bytes that live at one time."""
    _, live = live_profile(lives)
    return int(live.max(initial=0))


def live_by_step(lives: Sequence[Life], times: Sequence[int]) -> tuple[int, ...]:
    """The most bytes that live at one moment from each of the times until the next."""
    changes, live = live_profile(lives)
    if not len(changes):
        return (0,) * (len(times) - 1)
    begins = np.searchsorted(changes, np.array(times[:-1]), "right")
    ends = np.searchsorted(changes, np.array(times[1:]), "left")
    result = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        carried = int(live[begin - 1]) if begin else 0
        result.append(max(carried, int(live[begin:end].max(initial=0))))
    return tuple(result)
