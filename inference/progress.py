"""The stages of an analysis: how far each is, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """The progress that nobody follows."""


class StageClock:
    """Seconds by stage, from a clock that nobody sets."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within; a stage that raises leaves no time."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun
