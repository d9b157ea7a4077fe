"""Unlinking stored files in the face of receivers that may be given the same ones again.

A receiver that is sent an instance whose file is there does not write it anew: it sets the file's
time of modification to now, and then looks whether the name still stands for that file
(`DurableFiles.confirm`). Here it is the other way round: take the name away, then look at the
time. Whatever the order in which the steps of both meet, either the receiver finds the name gone
and writes the file anew, or the time is found to be new here and the name is given back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.durable import INCOMING, LEAVING
from storage.folders import sync_folder

log = logging.getLogger(__name__)

CLOCK_SLACK_SECONDS = 1.0
"""Times of files come from a clock of the kernel that is up to a tick (10 ms) behind."""


@dataclass(frozen=True)
class Removed:
    """What became of paths: gone from the disk, or not to be unlinked; the rest was touched."""

    removed: frozenset[str]
    failed: frozenset[str]


class RemovableFiles:
    """A folder of stored files (of `InstanceFiles` or `ResultFiles`), seen by who clears it."""

    def __init__(
        self,
        root: Path,
        node_id: str = "",
        of_files: Callable[[datetime], datetime] = lambda at: at,
    ) -> None:
        """`node_id`: whose disk it is on. `of_files`: what the clock that times files shows at a
        moment of the rows."""
        self._of_files = of_files
        self.node_id = node_id
        self._root = root
        self._incoming = root / INCOMING

    def last_touched(self, path: str) -> float:
        """When a file was last written or sent again, POSIX time; 0 when there is none."""
        try:
            return (self._root / path).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove_untouched(self, paths: Mapping[str, datetime]) -> Removed:
        """Unlink each file that nobody has touched since its time; durable on return.

        One that is gone already counts as removed. Folders that become empty go too.
        """
        removed: set[str] = set()
        failed: set[str] = set()
        for path, since in paths.items():
            try:
                untouched = self._of_files(since).timestamp() - CLOCK_SLACK_SECONDS
                if self._unlink(path, untouched):
                    removed.add(path)
            except OSError as error:
                log.error("file %s cannot be removed: %s", path, error.strerror)
                failed.add(path)
        for folder in {(self._root / path).parent for path in paths}:
            self._leave(folder)
        sync_folder(self._incoming)
        return Removed(frozenset(removed), frozenset(failed))

    def _unlink(self, path: str, since: float) -> bool:
        """A process that was killed in here leaves the file under `leaving`, for its next pass."""
        final = self._root / path
        leaving = self._incoming / (path.replace("/", "+") + LEAVING)
        with suppress(FileNotFoundError):
            final.rename(leaving)
        try:
            touched = leaving.stat().st_mtime >= since
        except FileNotFoundError:
            return True
        if touched:
            self._give_back(leaving, final)
        leaving.unlink()
        return not touched

    def _give_back(self, leaving: Path, final: Path) -> None:
        with suppress(FileExistsError):  # written anew by a receiver that found it gone
            os.link(leaving, final)
            sync_folder(final.parent)

    def _leave(self, folder: Path) -> None:
        """Make the folder's names durable; where none is left, the folder goes."""
        with suppress(FileNotFoundError):
            sync_folder(folder)
            try:
                folder.rmdir()
            except OSError:
                return  # not empty
            sync_folder(folder.parent)
