"""Instance files on disk, under names that tell nothing about the patient.

A name is made of digests alone, so no peer can choose it: a UID is at most 64 characters of
digits and dots (PS3.5 section 9), but what comes over the network may be anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.durable import DurableFiles
from storage.errors import UnsafePathError

_FORM = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}/[0-9a-f]{32}-[0-9a-f]{16}\.dcm", re.ASCII)


@dataclass(frozen=True)
class StoredFile:
    """A file under its final name. `size_bytes` is of the whole file, `sha256` of the data set."""

    path: str
    size_bytes: int
    sha256: str
    existed: bool


def series_folder(series_instance_uid: str) -> str:
    """Folder of a series, relative and in POSIX form: `<2 hex>/<32 hex>` of the UID's SHA-256."""
    digest = hashlib.sha256(series_instance_uid.encode()).hexdigest()
    return f"{digest[:2]}/{digest[:32]}"


class InstanceFiles:
    """The folder of received instances, each a file in the format of PS3.10 section 7."""

    def __init__(self, root: Path) -> None:
        """Makes `root` where it is missing. Raises OSError."""
        self._files = DurableFiles(root)

    def store(
        self,
        series_instance_uid: str,
        sop_instance_uid: str,
        head: bytes,
        data_set: bytes | memoryview,
        durable: bool = True,
    ) -> StoredFile:
        """Store one instance; when this returns, the bytes and their name are on the disk.

        `head` is the preamble, the prefix and the file meta information (PS3.10 section 7.1);
        it differs with each sender, so the digest is of `data_set` alone and a file with the same
        one is not written again. Raises OSError when the disk is full; nothing is left then.
        """
        sha256 = hashlib.sha256(data_set).hexdigest()
        sop_digest = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
        path = f"{series_folder(series_instance_uid)}/{sop_digest[:32]}-{sha256[:16]}.dcm"
        existed = self._files.size_of(path) > len(data_set)  # a shorter one was damaged since
        if not existed:
            self._files.put(path, (head, data_set), durable)
        elif durable:
            self._files.confirm(path)
        return StoredFile(path, self.open_path(path).stat().st_size, sha256, existed)

    def open_path(self, path: str) -> Path:
        """The file of a stored `path`. Raises UnsafePathError for any other form of path."""
        if _FORM.fullmatch(path) is None:
            raise UnsafePathError(f"{path!r} is no path of an instance")
        return self._files.locate(path)

    def iter_paths(self) -> Iterator[str]:
        """Every stored path, in order; temporary and foreign files are passed over."""
        for path in sorted(self._files.root.glob("??/*/*.dcm")):
            relative = path.relative_to(self._files.root).as_posix()
            if _FORM.fullmatch(relative) is not None:
                yield relative

    def remove_leftovers(self, older_than: datetime) -> int:
        """Remove files that were begun before `older_than` and never ended. Returns how many."""
        return self._files.remove_leftovers(older_than)

    def remove(self, path: str) -> None:
        """Remove one instance file durably. Raises UnsafePathError; gone already is no fault."""
        self.open_path(path)
        self._files.remove(path)
