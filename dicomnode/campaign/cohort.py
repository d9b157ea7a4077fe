"""What an archive is asked about a cohort by C-FIND (PS3.4 annex C, Study Root)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicomnode.config.destinations import Peer
from dicomnode.decisions.campaign.windows import Window
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import PYDICOM_QUIET, read_header
from dicomnode.errors import PeerError
from dicomnode.network import find
from dicomnode.network.associations import KeptAssociation, requestor
from dicomnode.network.find import Finder, identifier, record_query

QUERIES_PER_SECOND = 10.0

_DESCRIBED = (
    *("SeriesInstanceUID", "Modality", "SeriesDescription", "ProtocolName", "Manufacturer"),
    *("ImageType", "SliceThickness", "ContrastBolusAgent"),
)
SERIES_KEYS = (*_DESCRIBED, "StudyDescription", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS = (*_DESCRIBED, "SOPInstanceUID", "SOPClassUID", "ContrastBolusRoute")
"""What is of use to the rules; an archive returns of it what it has at hand."""

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_CANCELLED = 0xFE00


@dataclass(frozen=True)
class Studies:
    """`refused`: why the archive told nothing, or not all; `capped`: it says there are more."""

    uids: tuple[str, ...]
    capped: bool = False
    refused: str = ""


class QueryPace:
    """The archive has other work: a pause between questions."""

    def __init__(self) -> None:
        self._asked_at = 0.0

    def wait(self) -> None:
        time.sleep(max(0.0, self._asked_at + 1 / QUERIES_PER_SECOND - time.monotonic()))
        self._asked_at = time.monotonic()


class Cohort:
    """Asks on one association, which is opened again where the archive has left it."""

    def __init__(self, peer: Peer, ae_title: str, timeout: float) -> None:
        """`timeout`: seconds for all answers to a question."""
        self._peer, self._timeout = peer, timeout
        self._kept = KeptAssociation(requestor(ae_title, find.CONTEXTS, timeout), peer)
        self._pace = QueryPace()

    def studies(self, window: Window, modality: str) -> Studies:
        """Study Instance UIDs; what an archive told before it broke off is told, too.

        Raises:
            PeerError: it does not answer, or refuses to, and not since it would be too much.
        """
        key = identifier(
            "STUDY",
            StudyInstanceUID=None,
            StudyDate=window.study_date,
            StudyTime=window.study_time or None,
            ModalitiesInStudy=modality,
        )
        uids: dict[str, None] = {}
        finder = self._finder()
        try:
            for match in self._found(finder, key, str(window)):
                uids[AttributeReader(match).uid("StudyInstanceUID")] = None
        except PeerError as error:
            if finder.status not in _OUT_OF_RESOURCES:
                raise
            return Studies(_named(uids), refused=str(error))
        return Studies(_named(uids), capped=finder.status == _CANCELLED)

    def series(self, study_instance_uid: str) -> list[tuple[InstanceHeader, int | None]]:
        """Of each what the archive tells of it, and how many instances it has.

        Raises:
            PeerError
        """
        key = identifier("SERIES", **dict.fromkeys(SERIES_KEYS))
        key.StudyInstanceUID = study_instance_uid
        return counted_series(
            match
            for match in self._found(self._finder(), key, study_instance_uid)
            if AttributeReader(match).uid("StudyInstanceUID") in ("", study_instance_uid)
        )

    def images(self, study_uid: str, series_uid: str, most: int) -> list[InstanceHeader]:
        """What the archive tells of some of its instances.

        Raises:
            PeerError
        """
        key = identifier("IMAGE", **dict.fromkeys(IMAGE_KEYS))
        key.StudyInstanceUID, key.SeriesInstanceUID = study_uid, series_uid
        told = f"{study_uid}\\{series_uid}"
        matches = self._found(self._finder(), key, told, most)
        headers = (header_of(match) for match in matches)
        return [each for each in headers if each.series_instance_uid in ("", series_uid)]

    def close(self) -> None:
        self._kept.close()

    def _found(
        self, finder: Finder, key: Dataset, told: str, most: int | None = None
    ) -> Iterator[Dataset]:
        record_query(self._peer, told)
        with PYDICOM_QUIET:
            yield from finder.find(key, most)

    def _finder(self) -> Finder:
        self._pace.wait()
        return Finder(self._kept.established(), self._timeout)


def counted_series(matches: Iterable[Dataset]) -> list[tuple[InstanceHeader, int | None]]:
    """Of each series among the answers the first: what is told of it, and how many instances."""
    found: dict[str, tuple[InstanceHeader, int | None]] = {}
    for match in matches:
        count = AttributeReader(match).integer("NumberOfSeriesRelatedInstances")
        header = header_of(match)
        found.setdefault(header.series_instance_uid, (header, count))
    found.pop("", None)
    return list(found.values())


def header_of(match: Dataset) -> InstanceHeader:
    """What one answer tells."""
    with PYDICOM_QUIET:
        return read_header(match)


def _named(uids: dict[str, None]) -> tuple[str, ...]:
    return tuple(uid for uid in uids if uid)
