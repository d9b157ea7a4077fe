"""C-FIND SCU: which instances of a series a PACS holds, and how many (PS3.4 annex C, Study Root).

First NumberOfSeriesRelatedInstances (0020,1209) at the SERIES level, which is an optional key
(PS3.4 table C.3-5: C.3.4); where a PACS does not return it, the matches at the IMAGE level are
counted, up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.association import Association

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.network.find import CONTEXTS, Finder, identifier

__all__ = ["CONTEXTS", "CountQuery", "SeriesCount"]


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
        self._finder = Finder(association, timeout)
        self._most_matches = most_matches

    def count(self, study_instance_uid: str, series_instance_uid: str) -> SeriesCount:
        """How many instances of the series the peer holds.

        Raises:
            PeerError: it refuses the query, answers a failure, or is too slow.
        """
        deadline = self._finder.deadline()
        key = series_key(study_instance_uid, series_instance_uid)
        found = self._finder.find(key, deadline=deadline)
        matches = [each for each in found if _is_of(each, series_instance_uid)]
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
        deadline = self._finder.deadline()
        return self._matches(study_instance_uid, series_instance_uid, deadline)

    def _count_matches(self, study_uid: str, series_uid: str, deadline: float) -> SeriesCount:
        found = self._matches(study_uid, series_uid, deadline)
        at_least = len(found) >= self._most_matches
        return SeriesCount(len(found), "matches of C-FIND at IMAGE level", at_least)

    def _matches(self, study_uid: str, series_uid: str, deadline: float) -> set[str]:
        key = image_key(study_uid, series_uid)
        found: set[str] = set()
        for match in self._finder.find(key, self._most_matches, deadline):
            if _is_of(match, series_uid):
                found.add(AttributeReader(match).uid("SOPInstanceUID"))
        found.discard("")
        return found


def series_key(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """Identifier of the query at SERIES level, with the unique key of the level above (PS3.4
    C.4.1.3.1.1: hierarchical search)."""
    return identifier(
        "SERIES",
        StudyInstanceUID=study_instance_uid,
        SeriesInstanceUID=series_instance_uid,
        NumberOfSeriesRelatedInstances=None,
    )


def image_key(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """Identifier of the query at IMAGE level, with the unique keys of all levels above."""
    return identifier(
        "IMAGE",
        StudyInstanceUID=study_instance_uid,
        SeriesInstanceUID=series_instance_uid,
        SOPInstanceUID=None,
    )


def _is_of(match: Dataset, series_instance_uid: str) -> bool:
    """Some peers overlook a key and return the whole study; others do not return the key."""
    uid = AttributeReader(match).uid("SeriesInstanceUID")
    return uid in {"", series_instance_uid}
