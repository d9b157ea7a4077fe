"""A folder of files, sorted into series; what is no DICOM instance is told, not passed over."""

from __future__ import annotations

import filecmp
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, permutations
from pathlib import Path

from dicomnode.decisions.arrival.resend import Claim, elsewhere_reasons
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.dicom_files.file_meta import begins_like_dicom
from dicomnode.dicom_files.headers import PYDICOM_QUIET, UNREADABLE
from dicomnode.dicom_files.identity import Identity, identify_file
from dicomnode.errors import DataError

_PREFIX_END = 132  # bytes: a preamble of 128, then "DICM" (PS3.10 section 7.1)


@dataclass
class _Found:
    """What bears one Series Instance UID and is of one patient and study."""

    series_instance_uid: str
    study_instance_uid: str
    digest: str
    instances: dict[str, list[Path]] = field(default_factory=dict)  # by SOP Instance UID

    @property
    def uids(self) -> tuple[str, str]:
        return self.series_instance_uid, self.study_instance_uid


@dataclass(frozen=True)
class FolderContent:
    """The DICOM files below a folder by series, and why others were left out.

    `elsewhere`: by series, that its instances lie in the folder as those of another one, too.
    """

    files: dict[str, list[Path]]
    left_out: tuple[Reason, ...]
    elsewhere: dict[str, tuple[Reason, ...]]


def read_folder(folder: Path) -> FolderContent:
    """Sort what lies below a folder.

    A series is known by its UID; of what is another patient's or study's under the same UID, by
    that and a number, as in "1.2.3~2".
    Links to files are followed, links to folders are not. A copy of an instance counts once, as it
    would over the network; an instance with the UID but not the content of another is kept.
    """
    series: dict[tuple[str, str], _Found] = {}
    left_out: list[Reason] = []
    for found in _files_below(folder):
        if isinstance(found, OSError):
            left_out.append(_left_out(Path(found.filename), folder, str(found.strerror)))
            continue
        identity = _identity(found)
        if isinstance(identity, str):
            left_out.append(_left_out(found, folder, identity))
            continue
        its = (identity.series_instance_uid, identity.study_instance_uid, identity.digest)
        same = series.setdefault(
            (identity.series_instance_uid, identity.digest), _Found(*its)
        ).instances.setdefault(identity.sop_instance_uid, [])
        if not any(filecmp.cmp(found, other, shallow=False) for other in same):
            same.append(found)
    by_key = _numbered(series.values())
    files = {key: [*chain(*each.instances.values())] for key, each in by_key.items()}
    return FolderContent(files, tuple(left_out), _elsewhere(by_key))


def _numbered(series: Iterable[_Found]) -> dict[str, _Found]:
    counts: Counter[str] = Counter()
    by_key: dict[str, _Found] = {}
    for each in series:
        uid = each.series_instance_uid
        counts[uid] += 1
        by_key[uid if counts[uid] == 1 else f"{uid}~{counts[uid]}"] = each
    return by_key


def _elsewhere(by_key: Mapping[str, _Found]) -> dict[str, tuple[Reason, ...]]:
    """No file tells which came last, so none of two patients or studies gets what both have; of two
    series of one study that have the same the first counts."""
    bearers: dict[str, list[str]] = {}
    for key, each in by_key.items():
        for uid in each.instances:
            bearers.setdefault(uid, []).append(key)
    claims: dict[str, list[Claim]] = {}
    for keys in bearers.values():
        for key, other in permutations(keys, 2):
            own, its = by_key[key], by_key[other]
            if own.digest != its.digest or keys.index(other) < keys.index(key):
                claims.setdefault(key, []).append(Claim(own.uids, its.uids, taken=False))
    return {
        key: elsewhere_reasons(found, len(by_key[key].instances)) for key, found in claims.items()
    }


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
        text = error.strerror if isinstance(error, OSError) else None
        return text or f"not readable as DICOM ({type(error).__name__})"


def _left_out(path: Path, folder: Path, why: str) -> Reason:
    return Reason("dicom_file", f"{_readable(path.relative_to(folder))}: {why}", None, Verdict.FAIL)


def _readable(path: Path) -> str:
    """Names are bytes: what is no UTF-8 in one is told as an escape, so that JSON can hold it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
