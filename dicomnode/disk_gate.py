"""Asks the file system, now and then, whether there is room for what comes."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from dicomnode.clock import Clock
from dicomnode.decisions.arrival.disk import DiskPolicy, DiskSpace, DiskVerdict, fits, judge_disk

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""The file system is asked so often; what was let in meanwhile counts as written."""


def existing(folder: Path) -> Path:
    """The folder, or the innermost around it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def disk_space(folder: Path) -> DiskSpace:
    """Of the file system that `folder` lies on.

    Raises:
        OSError
    """
    found = os.statvfs(folder)
    return DiskSpace(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def is_short_of_room(folder: Path, least_bytes: int) -> bool:
    """Whether less is free where this folder lies."""
    try:
        return disk_space(existing(folder)).free_bytes < least_bytes
    except OSError:  # told by whoever needs it
        return False


class DiskGate:
    """Lets instances in, or says why not; one object for all associations of a process."""

    def __init__(self, folder: Path, policy: DiskPolicy, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._folder = folder
        self._policy = policy
        self._lock = threading.Lock()
        self._space = DiskSpace(0, 0)
        self._look_at = 0.0
        self._refusing = False
        self._why = ""

    def take_over(self, policy: DiskPolicy) -> None:
        with self._lock:
            self._policy, self._look_at = policy, 0.0

    def refuses(self, size_bytes: int = 0) -> str | None:
        """Why an instance of this size is not taken now, or None; never raises.

        0 for a size that is not known yet. The text has no more than figures: a peer may have it.
        """
        with self._lock:
            now = self._clock.seconds()
            if now >= self._look_at:
                self._look(now)
            if not (self._refusing or fits(size_bytes, self._space, self._policy)):
                self._look(now)  # the figure at hand was an estimate
            if self._refusing:
                return self._why
            if not fits(size_bytes, self._space, self._policy):
                return f"{size_bytes} bytes do not fit: {self._space}"
            left = self._space.free_bytes - size_bytes
            self._space = DiskSpace(left, self._space.total_bytes)
        return None

    def _look(self, now: float) -> None:
        self._look_at = now + LOOK_SECONDS
        verdict = self._verdict()
        if verdict.refusing and not self._refusing:
            log.warning("instances are refused (0xA700) until there is room: %s", verdict.why)
        elif self._refusing and not verdict.refusing:
            log.info("instances are taken again: %s", verdict.why)
        self._refusing, self._why = verdict.refusing, verdict.why

    def _verdict(self) -> DiskVerdict:
        try:
            self._space = disk_space(self._folder)
        except OSError as error:
            return DiskVerdict(True, f"the disk cannot be asked: {error.strerror}")
        return judge_disk(self._space, self._refusing, self._policy)
