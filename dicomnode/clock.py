"""The time, as an argument: what a look does at any moment is tested without waiting for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """That of this machine."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)

    def seconds(self) -> float:
        """Since some moment, whoever sets the clock meanwhile: only differences say anything."""
        return time.monotonic()
