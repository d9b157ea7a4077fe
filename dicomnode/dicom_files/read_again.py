"""A file that cannot be read just now: it is tried again, for a while.

No descriptor free, a server of files that restarts, a disk that fails: none of it says anything
about the series. Left out, its slice would be missing in the decision as if it had never come.
"""

from __future__ import annotations

import errno
from datetime import datetime

from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.retry import RetryPolicy, decide_retry
from storage.errors import DamagedObjectError, ObjectMissingError, ObjectStoreError

READING = RetryPolicy(
    first_delay_seconds=1.0,
    factor=2.0,
    longest_delay_seconds=60.0,
    jitter_share=0.0,
    give_up_after_seconds=900.0,
)
"""A server of files is restarted within it; a broken disk is told after it."""

_LASTING = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_FULL = {errno.ENOSPC, errno.EDQUOT}


def may_pass(error: OSError) -> bool:
    """Whether the same file may be read later. pydicom's own OSErrors bear no number: they are of
    the data."""
    return error.errno is not None and error.errno not in _LASTING


def is_full(error: OSError) -> bool:
    """Whether there is no room to write: over when somebody makes room, however long that takes."""
    return error.errno in _FULL


def is_of_store(error: OSError) -> bool:
    """Whether the object store is away, or an object of it damaged: over when it is mended, which
    is told as a trouble meanwhile."""
    return isinstance(error, ObjectStoreError)


def is_damage(error: OSError) -> bool:
    """Whether it is an object of the store that fails, and not the store."""
    return isinstance(error, ObjectMissingError | DamagedObjectError)


def why_unread(error: OSError, file: str = "") -> Reason:
    """What a series fails with, `file` named where several were read."""
    why = error.strerror or type(error).__name__
    return Reason("file", f"{file}: {why}" if file else why, None, Verdict.FAIL)


class Retries:
    """How often in a row each of several things failed; in memory, as a restart may well help."""

    def __init__(self, policy: RetryPolicy = READING) -> None:
        self._policy = policy
        self._failed: dict[str, tuple[int, datetime]] = {}

    def failed(self, key: str, now: datetime) -> datetime | None:
        """When to try once more; None means give up, and the next failure is the first again."""
        attempt, since = self._failed.get(key, (0, now))
        decision = decide_retry(attempt + 1, since, self._policy, now)
        if decision is None:
            self.forget(key)
            return None
        self._failed[key] = (attempt + 1, since)
        return decision.not_before

    def forget(self, key: str) -> None:
        """It went well."""
        self._failed.pop(key, None)
