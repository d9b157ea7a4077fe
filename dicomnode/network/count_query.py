"""C-FIND SCU: which instances of a series a PACS holds, and how many (PS3.4 annex C, Study Root).

First NumberOfSeriesRelatedInstances (0020,1209) at the SERIES level, which is an optional key
(PS3.4 table C.3-5: C.3.4); where a PACS does not return it, the matches at the IMAGE level are
counted, and broken off by C-CANCEL (PS3.7 section 9.3.2.3) when they are more than are of use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import SUCCESS, not_accepted, unanswered

CONTEXTS = [build_context(StudyRootFind)]

_PENDING = {0xFF00, 0xFF01}  # PS3.4 table C.4-1
_CANCELLED = 0xFE00


@dataclass(frozen=True)
class SeriesCount:
    """`explanation` says how it was counted; `at_least`: the counting was broken off there."""

    count: int
    explanation: str
    at_least: bool = False


class CountQuery:
    """Asks on one association, one series after the other."""

    def __init__(self, association: Association, timeout: float, most_matches: int) -> None:
        """`timeout`: seconds for all answers about one series. `most_matches`: at IMAGE level."""
        self._association = association
        self._timeout = timeout
        self._most_matches = most_matches
        self._message_id = 0

    def count(self, study_instance_uid: str, series_instance_uid: str) -> SeriesCount:
        """How many instances of the series the peer holds.

        Raises:
            PeerError: it refuses the query, answers a failure, or is too slow.
        """
        deadline = time.monotonic() + self._timeout
        key = series_key(study_instance_uid, series_instance_uid)
        matches = [m for m in self._find(key, deadline) if _is_of(m, series_instance_uid)]
        if not matches:
            return SeriesCount(0, "C-FIND at SERIES level: no such series")
        count = AttributeReader(matches[0]).integer("NumberOfSeriesRelatedInstances")
        if count is not None:
            return SeriesCount(count, "C-FIND at SERIES level")
        return self._count_matches(study_instance_uid, series_instance_uid, deadline)

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> set[str]:
        """SOP Instance UIDs of the series that the peer holds.

        Raises:
            PeerError: as `count`.
        """
        deadline = time.monotonic() + self._timeout
        return self._matches(study_instance_uid, series_instance_uid, deadline)

    def _count_matches(self, study_uid: str, series_uid: str, deadline: float) -> SeriesCount:
        found = self._matches(study_uid, series_uid, deadline)
        at_least = len(found) >= self._most_matches
        return SeriesCount(len(found), "matches of C-FIND at IMAGE level", at_least)

    def _matches(self, study_uid: str, series_uid: str, deadline: float) -> set[str]:
        key = image_key(study_uid, series_uid)
        found: set[str] = set()
        for match in self._find(key, deadline, self._most_matches):
            if _is_of(match, series_uid):
                found.add(AttributeReader(match).uid("SOPInstanceUID"))
        found.discard("")
        return found

    def _find(self, key: Dataset, deadline: float, most: int | None = None) -> Iterator[Dataset]:
        """The matches; after `most` of them C-CANCEL, and the rest is only waited for."""
        self._message_id += 1
        for number, (status, match) in enumerate(self._responses(key), start=1):
            enough = most is not None and number > most
            late = time.monotonic() > deadline
            if late:
                self._association.abort()
            if enough and (late or "Status" not in status):
                return
            if late or not _is_pending(status):
                self._check_ended(status, late)
                return
            if match is not None and not enough:
                yield match
            if number == most:
                self._association.send_c_cancel(self._message_id, query_model=StudyRootFind)

    def _check_ended(self, status: Dataset, late: bool) -> None:
        code = status.get("Status")
        if late:
            text = f"C-FIND was not answered within {self._timeout:g} s"
            raise PeerError(text, PeerCause.NO_ANSWER)
        if code is None:
            raise unanswered(self._association, "C-FIND")
        if code not in {SUCCESS, _CANCELLED}:
            raise PeerError(f"C-FIND answered 0x{code:04X}", PeerCause.STATUS)

    def _responses(self, key: Dataset) -> Iterator[tuple[Dataset, Dataset | None]]:
        try:
            yield from self._association.send_c_find(key, StudyRootFind, self._message_id)
        except RuntimeError as error:  # not established any more
            raise unanswered(self._association, "C-FIND") from error
        except ValueError as error:  # no accepted context
            raise not_accepted("C-FIND", StudyRootFind) from error


def series_key(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """Identifier of the query at SERIES level."""
    key = _identifier("SERIES", study_instance_uid, series_instance_uid)
    key.NumberOfSeriesRelatedInstances = None
    return key


def image_key(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """Identifier of the query at IMAGE level."""
    key = _identifier("IMAGE", study_instance_uid, series_instance_uid)
    key.SOPInstanceUID = None
    return key


def _identifier(level: str, study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """The unique keys of all levels above, too (PS3.4 C.4.1.3.1.1: hierarchical search)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    return identifier


def _is_pending(status: Dataset) -> bool:
    return status.get("Status") in _PENDING


def _is_of(match: Dataset, series_instance_uid: str) -> bool:
    """Some peers overlook a key and return the whole study; others do not return the key."""
    uid = AttributeReader(match).uid("SeriesInstanceUID")
    return uid in {"", series_instance_uid}
