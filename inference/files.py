"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` at the end: beside it, flushed to the disk, then renamed.

    A kill or a power cut leaves the old file or the new one; a fault within, the old one.
    """
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        _sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to a file that is there whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """As UTF-8, indented; NaN and infinity are refused, as they are no JSON (RFC 8259)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def file_digest(path: Path | None) -> str:
    """SHA-256 of a file, hexadecimal; "" where there is none."""
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
