"""Files of the result objects, as durable as those of the instances."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from storage.copies import Copies, Stored
from storage.durable import DurableFiles
from storage.errors import UnsafePathError
from storage.folders import names_in
from storage.instances import series_folder

_FORM = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}/[0-9a-f]{32}\.dcm", re.ASCII)


class ResultFiles:
    """The folder of result objects, each a file in the format of PS3.10 section 7."""

    def __init__(self, root: Path, node_id: str = "", copies: Copies | None = None) -> None:
        """Makes `root` where it is missing. `node_id`: whose disk it is on. `copies`: of what the
        object store has.

        Raises:
            OSError
        """
        self._files = DurableFiles(root)
        self.node_id = node_id
        self._copies = copies

    def store(self, series_key: str, sop_instance_uid: str, content: bytes) -> str:
        """Store one whole file and return its path; `series_key` is of the CT series.

        A file that is there is replaced in one step.

        Raises:
            OSError: the disk is full; the file before it is untouched then.
        """
        path = _path(series_key, sop_instance_uid)
        self._files.put(path, (content,))
        return path

    def find(self, series_key: str, sop_instance_uid: str) -> str | None:
        """The path of what was stored before under this UID, durable; None where nothing was."""
        path = _path(series_key, sop_instance_uid)
        return path if self._files.confirm(path) else None

    def bring(self, rows: Sequence[Stored]) -> list[Path]:
        """As `InstanceFiles.bring`."""
        own = [self.open_path(each.path) for each in rows]
        return own if self._copies is None else self._copies.bring(self._files.root, rows)

    def open_path(self, path: str) -> Path:
        """The file of a stored `path`.

        Raises:
            UnsafePathError: any other form of path.
        """
        if _FORM.fullmatch(path) is None:
            raise UnsafePathError(f"{path!r} is no path of a result")
        return self._files.locate(path)

    def iter_folders(self) -> Iterator[str]:
        """The folder of each series that has results, relative to the root, in order."""
        root = self._files.root
        for level in names_in(root):
            for folder in names_in(root / level) if len(level) == 2 else ():
                if any(self.iter_paths(f"{level}/{folder}")):
                    yield f"{level}/{folder}"

    def iter_paths(self, folder: str) -> Iterator[str]:
        """The paths of all results in one of these folders, in order."""
        for name in names_in(self._files.root / folder):
            if _FORM.fullmatch(f"{folder}/{name}"):
                yield f"{folder}/{name}"

    def remove_leftovers(self, older_than: datetime) -> int:
        """Remove files that were begun before `older_than` and never ended. Returns how many."""
        return self._files.remove_leftovers(older_than)

    def remove(self, path: str) -> None:
        """Remove one result file durably.

        Raises:
            UnsafePathError: any other form of path; gone already is no fault.
        """
        self.open_path(path)
        self._files.remove(path)


def _path(series_key: str, sop_instance_uid: str) -> str:
    digest = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
    return f"{series_folder(series_key)}/{digest[:32]}.dcm"
