"""What is asked of an archive, and an archive that is asked by DIMSE (PS3.4 annex C)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pydicom.dataset import Dataset
from pynetdicom import evt

from dicomnode.config.destinations import Peer
from dicomnode.config.sections import QuerySettings
from dicomnode.decisions.pulling import (
    Answered,
    Counts,
    Follow,
    FoundSeries,
    FoundStudy,
    judge_answer,
)
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.network import find, retrieve
from dicomnode.network.associations import KeptAssociation, requestor
from dicomnode.network.count_query import image_key
from dicomnode.network.find import Finder, identifier, record_query
from dicomnode.network.retrieve import Retriever, retrieve_key
from dicomnode.pull.keeping import Keeper

Told = Callable[[Counts], object]

_MOST_MATCHES = 100_000
"""Of one query: some archives overlook the key, and return all that they have."""

STUDY_KEYS = (
    *("StudyInstanceUID", "StudyDate", "AccessionNumber"),
    *("PatientID", "IssuerOfPatientID", "PatientBirthDate"),
)
"""What is returned of a study; one of them is asked for."""


class Archive(Protocol):
    """Where one does not answer, or refuses to, each of these ends by a PeerError."""

    @property
    def name(self) -> str: ...

    def studies(self, keyword: str, value: str) -> list[FoundStudy]:
        """Those with this value of one of STUDY_KEYS; some archives return others, too."""

    def series(self, study_instance_uid: str, series_instance_uid: str = "") -> list[FoundSeries]:
        """Of a study all, or one; without a study the one series, where the archive allows that."""

    def instances(self, series: FoundSeries) -> set[str]:
        """SOP Instance UIDs; empty where the archive names none."""

    def retrieve(self, series: FoundSeries, uids: Sequence[str], told: Told) -> Answered:
        """Have instances sent, or the whole series; to the end of it, or until it is stopped.

        `told`: of each word of the archive on the way.
        """

    def close(self) -> None: ...


class DicomArchive:
    """By C-FIND, and C-MOVE to our own AE title; with a keeper by C-GET."""

    def __init__(
        self,
        peer: Peer,
        ae_title: str,
        settings: QuerySettings,
        stop: threading.Event,
        keeper: Keeper | None = None,
    ) -> None:
        self._peer, self._own_title, self._settings, self._stop = peer, ae_title, settings, stop
        self._keeper = keeper
        how = retrieve.get_contexts() if keeper else retrieve.MOVE_CONTEXTS
        entity = requestor(ae_title, [*find.CONTEXTS, *how], settings.timeout_seconds)
        # an archive may say nothing before all is sent, or brought from its tapes
        entity.dimse_timeout = entity.network_timeout = settings.retrieve_timeout_seconds
        handlers = {evt.EVT_C_STORE: keeper.on_store} if keeper else {}
        self._kept = KeptAssociation(entity, peer, handlers, retrieve.get_roles() if keeper else [])
        self._destination = "" if keeper else ae_title

    @property
    def name(self) -> str:
        return self._peer.name

    def studies(self, keyword: str, value: str) -> list[FoundStudy]:
        key = identifier("STUDY", **dict.fromkeys(STUDY_KEYS) | {keyword: value})
        told = value if keyword in ("StudyInstanceUID", "AccessionNumber") else keyword
        return [_study(match) for match in self._found(key, told)]

    def series(self, study_instance_uid: str, series_instance_uid: str = "") -> list[FoundSeries]:
        key = identifier(
            "SERIES",
            StudyInstanceUID=study_instance_uid or None,
            SeriesInstanceUID=series_instance_uid or None,
            Modality=None,
            NumberOfSeriesRelatedInstances=None,
        )
        told = f"{study_instance_uid}\\{series_instance_uid}"
        found = [_series(match, study_instance_uid) for match in self._found(key, told)]
        return [each for each in found if each.series_instance_uid]

    def instances(self, series: FoundSeries) -> set[str]:
        uids = series.study_instance_uid, series.series_instance_uid
        found = set()
        for match in self._found(image_key(*uids), "\\".join(uids)):
            reader = AttributeReader(match)
            if reader.uid("SeriesInstanceUID") in ("", series.series_instance_uid):
                found.add(reader.uid("SOPInstanceUID"))
        return found - {""}

    def retrieve(self, series: FoundSeries, uids: Sequence[str], told: Told) -> Answered:
        retriever = Retriever(self._kept.established(), self._destination, self._stop)
        key = retrieve_key(series.study_instance_uid, series.series_instance_uid, uids)
        last = retriever.retrieve(key, told)
        if self._keeper and self._keeper.full:
            return nothing_kept(self._keeper.full)
        return judge_answer(last.status, last.counts, self._own_title, last.comment)

    def close(self) -> None:
        self._kept.close()

    def _found(self, key: Dataset, told: str) -> Iterator[Dataset]:
        record_query(self._peer, told)
        finder = Finder(self._kept.established(), self._settings.retrieve_timeout_seconds)
        yield from finder.find(key, _MOST_MATCHES)


def nothing_kept(why: str) -> Answered:
    return Answered(Follow.STOP, f"sends, but nothing can be kept here: {why}")


def _study(match: Dataset) -> FoundStudy:
    reader = AttributeReader(match)
    return FoundStudy(
        study_instance_uid=reader.uid("StudyInstanceUID"),
        study_date=reader.text("StudyDate"),
        accession_number=reader.text("AccessionNumber"),
        patient_id=reader.text("PatientID"),
        issuer=reader.text("IssuerOfPatientID"),
        birth_date=reader.text("PatientBirthDate"),
    )


def _series(match: Dataset, study_instance_uid: str) -> FoundSeries:
    """An archive that does not return the study has been asked for this one."""
    reader = AttributeReader(match)
    return FoundSeries(
        study_instance_uid=reader.uid("StudyInstanceUID") or study_instance_uid,
        series_instance_uid=reader.uid("SeriesInstanceUID"),
        modality=reader.text("Modality"),
        instances=reader.integer("NumberOfSeriesRelatedInstances"),
    )
