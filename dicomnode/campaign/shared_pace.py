"""The rate of a campaign, whoever works on it, and however often a runner is killed.

Before an archive is asked for some images their time is taken in the database, behind what is taken
already. So two runners together ask for no more than one does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from dicomnode.clock import Clock, clock_of
from storage import campaigns
from storage.database import Database

_LONGEST_SECONDS = 10.0
"""Between two words that this process still waits."""


class SharedPace:
    """Of one campaign, in one process."""

    def __init__(
        self,
        database: Database,
        campaign_id: int,
        images_per_second: float,
        stop: threading.Event,
        clock: Clock | None = None,
    ) -> None:
        self._database, self._id, self._rate = database, campaign_id, images_per_second
        self._stop, self._clock = stop, clock or clock_of(database)

    def take_turn(self, images: int, waits: Callable[[], object]) -> None:
        """Until so many may be asked for, or `stop`. `waits`: called while it lasts.

        Raises:
            DatabaseUnavailableError
        """
        now = self._clock.now()
        with self._database.write() as session:
            lasts = timedelta(seconds=images / self._rate)
            turn = campaigns.take_turn(session, self._id, lasts, now)
        while (rest := (turn - self._clock.now()).total_seconds()) > 0:
            if self._stop.wait(min(rest, _LONGEST_SECONDS)):
                return
            waits()
