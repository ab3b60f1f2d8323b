"""A progress bar on stderr, for work that takes over a second and a person who watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

QUIET_S = 1.0


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function (stage, done, total); nothing shows in the first second or where nobody watches."""
    if not console.is_terminal:
        yield lambda stage, done, total: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None)
    started = time.monotonic()
    shown = False

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > QUIET_S:
            bar.start()
            shown = True
        bar.update(task, description=stage, completed=done, total=total)

    try:
        yield show
    finally:
        if shown:
            bar.stop()
