"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""What a test waits for anything that must come: other work on the machine slows it, and does not
fail it. Reached only where something is wrong; less than pytest's own timeout."""

SLOWER = 6
"""How many times as long as it is to take a thing may take beside other work."""


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = 0.0) -> T:
    """The first true value of `condition`; fails naming `what` when it does not come.

    `seconds`: where more than PATIENCE_SECONDS may be needed.
    """
    seconds = max(seconds, PATIENCE_SECONDS)
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still not: {what} (last: {value!r})")
        time.sleep(0.05)
