"""Bars on standard error, for whatever takes over two seconds; none where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

DESCRIBED = (TextColumn("{task.description}"), BarColumn())


def bars(*columns: ProgressColumn, console: Console | None = None) -> Progress:
    """With these columns; to be entered."""
    console = console or Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def at_work(what: str) -> Iterator[None]:
    """Around work of which nobody knows how far it has got: that it goes on, and for how long."""
    with bars(*DESCRIBED, TimeElapsedColumn()) as bar:
        bar.add_task(what, total=None)
        yield
