"""Files as they are sealed, and an object store in a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from storage.copies import Copies
from storage.object_store import FolderStore


def part10(data_set: bytes, meta: bytes = b"") -> bytes:
    """A file with a data set behind file meta information (PS3.10 section 7.1)."""
    length = len(meta).to_bytes(4, "little")
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + length + meta + data_set


def stored_path(number: int) -> str:
    """One that storage could give."""
    name = hashlib.sha256(str(number).encode()).hexdigest()
    return f"{name[:2]}/{name[:32]}/{name[32:]}-{name[:16]}.dcm"


@dataclass(frozen=True)
class Row:
    """What a row says of a file."""

    path: str
    size_bytes: int
    sha256: str = ""
    object_name: str | None = None
    object_offset: int | None = None
    transfer_syntax_uid: str = ""


def copies_in(folder: Path) -> Copies:
    """Of the store in the folder `store` beside them."""
    (folder / "store").mkdir(exist_ok=True)
    return Copies(folder / "copies", lambda: FolderStore(folder / "store"))
