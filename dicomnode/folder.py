"""A folder of files, sorted into series; what is no DICOM instance is told, not passed over."""

from __future__ import annotations

import filecmp
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.file_meta import begins_like_dicom
from dicomnode.headers import PYDICOM_QUIET, UNREADABLE
from dicomnode.identity import Identity, identify_file

_PREFIX_END = 132  # bytes: a preamble of 128, then "DICM" (PS3.10 section 7.1)


def files_by_series(folder: Path) -> tuple[dict[str, list[Path]], tuple[Reason, ...]]:
    """The DICOM files below a folder by series, and why others were left out.

    A series is known by its UID; of what is another patient's or study's under the same UID, by
    that and a number, as in "1.2.3~2".
    Links to files are followed, links to folders are not. A copy of an instance counts once, as it
    would over the network; an instance with the UID but not the content of another is kept.
    """
    series: dict[tuple[str, str], dict[str, list[Path]]] = {}  # Series UID, digest; SOP UID
    left_out: list[Reason] = []
    for found in _files_below(folder):
        if isinstance(found, OSError):
            left_out.append(_left_out(Path(found.filename), folder, str(found.strerror)))
            continue
        identity = _identity(found)
        if isinstance(identity, str):
            left_out.append(_left_out(found, folder, identity))
            continue
        instances = series.setdefault((identity.series_instance_uid, identity.digest), {})
        same = instances.setdefault(identity.sop_instance_uid, [])
        if not any(filecmp.cmp(found, other, shallow=False) for other in same):
            same.append(found)
    return _numbered(series), tuple(left_out)


def _numbered(series: Mapping[tuple[str, str], dict[str, list[Path]]]) -> dict[str, list[Path]]:
    counts: Counter[str] = Counter()
    files: dict[str, list[Path]] = {}
    for (uid, _), instances in series.items():
        counts[uid] += 1
        key = uid if counts[uid] == 1 else f"{uid}~{counts[uid]}"
        files[key] = [*chain(*instances.values())]
    return files


def _files_below(folder: Path) -> Iterator[Path | OSError]:
    """All but folders, in order; DICOMDIR (PS3.10 section 8) is no instance. Or why not."""
    unread: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=unread.append):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if name != "DICOMDIR")
    yield from unread


def _identity(path: Path) -> Identity | str:
    """Which instance a file is, or in words why it is none."""
    if path.exists() and not path.is_file():
        return "no regular file"
    try:
        with path.open("rb") as file:
            head = file.read(_PREFIX_END)
        if not begins_like_dicom(head):
            return "an empty file" if not head else "no DICOM file: its prefix DICM is missing"
        with PYDICOM_QUIET:
            return identify_file(path)[0]
    except DataError as error:
        return str(error)
    except UNREADABLE as error:
        told = error.strerror if isinstance(error, OSError) else None
        return told or f"not readable as DICOM ({type(error).__name__})"


def _left_out(path: Path, folder: Path, why: str) -> Reason:
    return Reason("dicom_file", f"{_readable(path.relative_to(folder))}: {why}", None, Verdict.FAIL)


def _readable(path: Path) -> str:
    """Names are bytes: what is no UTF-8 in one is told as an escape, so that JSON can hold it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
