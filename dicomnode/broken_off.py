"""Jobs that an outage of the database broke off: begun anew at once, with no attempt counted.

Their process lives, so they are no sign of what kills its workers: who has three such attempts is
parked, and its series fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from storage import jobs
from storage.database import Database
from storage.errors import DatabaseUnavailableError, LeaseLostError
from storage.records import Job


class BrokenOff:
    """Of one process. Safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: list[Job] = []

    @contextmanager
    def noted(self, job: Job) -> Iterator[None]:
        """Around work on a job.

        Raises:
            DatabaseUnavailableError: as the work does; then the job is kept in mind.
        """
        try:
            yield
        except DatabaseUnavailableError:
            self._jobs.append(job)
            raise

    def give_back(self, now: datetime) -> None:
        """Before another is claimed: what ended all the same, or is another's, stays so.

        Raises:
            DatabaseUnavailableError: they are still in mind.
        """
        while self._jobs:
            job = self._jobs[-1]
            with suppress(LeaseLostError), self._database.write() as session:
                jobs.put_back(session, job, now, count_attempt=False)
            with suppress(ValueError):  # another thread was quicker
                self._jobs.remove(job)
