"""Folders whose names outlive a power cut (only the fsync of the folder above makes them so)."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER_MODE = 0o750  # patient data: not for others
MOST_HELD = 64
"""Folders held open; a series is one of them while its instances come."""


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable.

    Raises:
        OSError
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents, each durable in its own parent.

    Raises:
        OSError
    """
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        _make(level)
        sync_folder(level.parent)


def _make(folder: Path) -> None:
    """One that is there already stays as it is."""
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        give_to_owner_of_folder(descriptor, folder.parent)
    finally:
        os.close(descriptor)


def give_to_owner_of_folder(made: int, folder: Path) -> None:
    """What root made: a command that root runs locks out no node.

    `made` is its descriptor, for a name might lead elsewhere by now.

    Raises:
        OSError
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(made, owner.st_uid, owner.st_gid)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order; none where it is gone, or cannot be listed (logged)."""
    try:
        return sorted(each.name for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        log.error("folder %s cannot be listed: %s", folder.name, error.strerror)
        return []


class Folder:
    """An open folder. One that was removed meanwhile takes no names, even if another has its."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError
        """
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._status = os.fstat(self.descriptor)

    def is_at(self, path: str) -> bool:
        """Whether the folder of this path is this one."""
        try:
            return os.path.samestat(os.stat(path), self._status)  # noqa: PTH116 - hot path
        except OSError:
            return False

    def take(self, file: str, name: str) -> None:
        """Move `file` here; what root wrote is then of the folder's owner.

        Raises:
            FileNotFoundError: it or this folder was removed.
        """
        owner = self._status.st_uid, self._status.st_gid
        if os.geteuid() == 0 and owner != (0, os.getegid()):
            os.chown(file, *owner, follow_symlinks=False)
        os.rename(file, name, dst_dir_fd=self.descriptor)

    def sync(self) -> None:
        """Make the names in it durable.

        Raises:
            OSError
        """
        os.fsync(self.descriptor)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


class Folders:
    """The folders below a root that were written to last, open and durable. Safe for threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, Folder] = {}
        self._lock = threading.Lock()

    def opened(self, path: str) -> Folder:
        """The folder `path` below the root, made where it is missing.

        Raises:
            OSError
        """
        with self._lock:
            folder = self._held.pop(path, None)
            if folder is not None and folder.is_at(f"{self._root}/{path}"):
                self._held[path] = folder  # used last
                return folder
        folder = self._made(path)
        with self._lock:
            self._held[path] = folder
            if len(self._held) > MOST_HELD:
                del self._held[next(iter(self._held))]
        return folder

    def forget(self, path: str, folder: Folder) -> None:
        """This one was removed: the next `opened` makes it anew."""
        with self._lock:
            if self._held.get(path) is folder:
                del self._held[path]

    def _made(self, path: str) -> Folder:
        """Each level is made durable, new or not: who made it may not have come to its fsync."""
        level = self._root
        for part in Path(path).parts:
            _make(level / part)
            sync_folder(level)
            level /= part
        return Folder(level)
