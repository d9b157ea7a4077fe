"""An archive that is asked by DICOMweb: QIDO-RS and WADO-RS (PS3.18 sections 10.6 and 10.4)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

from pydicom.dataset import Dataset

from dicomnode.config.destinations import WebServer
from dicomnode.decisions.delivery.stow_response import named_values
from dicomnode.decisions.pulling import Answered, Counts, Follow, FoundSeries, FoundStudy
from dicomnode.dicom_files.identity import Identity, file_parts
from dicomnode.errors import DataError
from dicomnode.pull.archive import Told, nothing_kept
from dicomnode.pull.keeping import Keeper
from dicomnode.pull.web_query import WebQuery

_AS_IT_IS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_LONGEST_INSTANCE_BYTES = 1 << 30

_TAGS = {
    "StudyInstanceUID": "0020000D",
    "StudyDate": "00080020",
    "AccessionNumber": "00080050",
    "PatientID": "00100020",
    "IssuerOfPatientID": "00100021",
    "PatientBirthDate": "00100030",
    "SeriesInstanceUID": "0020000E",
    "Modality": "00080060",
    "NumberOfSeriesRelatedInstances": "00201209",
    "SOPInstanceUID": "00080018",
}
_OF_ALL = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
"""It lets us have nothing, whatever we ask for."""


class WebArchive:
    """One server; what it sends goes to `keeper`."""

    def __init__(
        self, server: WebServer, timeout: float, keeper: Keeper, stop: threading.Event
    ) -> None:
        """
        Raises:
            ConfigurationError: a TLS file of ours cannot be used.
        """
        self._server, self._keeper, self._stop = server, keeper, stop
        self._query = WebQuery(server, timeout)

    @property
    def name(self) -> str:
        return self._server.name

    def studies(self, keyword: str, value: str) -> list[FoundStudy]:
        fields = "&".join(f"includefield={_TAGS[key]}" for key in ("PatientID", "StudyDate"))
        found = self._all(f"/studies?{keyword}={quote(value, safe='')}&{fields}")
        return [
            FoundStudy(
                study_instance_uid=each["StudyInstanceUID"],
                study_date=each["StudyDate"],
                accession_number=each["AccessionNumber"],
                patient_id=each["PatientID"],
                issuer=each["IssuerOfPatientID"],
                birth_date=each["PatientBirthDate"],
            )
            for each in found
        ]

    def series(self, study_instance_uid: str, series_instance_uid: str = "") -> list[FoundSeries]:
        below = f"/studies/{study_instance_uid}/series" if study_instance_uid else "/series"
        only = f"&SeriesInstanceUID={series_instance_uid}" if series_instance_uid else ""
        found = self._all(f"{below}?includefield={_TAGS['Modality']}{only}")
        return [
            FoundSeries(
                study_instance_uid=each["StudyInstanceUID"] or study_instance_uid,
                series_instance_uid=each["SeriesInstanceUID"],
                modality=each["Modality"],
                instances=_number(each["NumberOfSeriesRelatedInstances"]),
            )
            for each in found
            if each["SeriesInstanceUID"]
        ]

    def instances(self, series: FoundSeries) -> set[str]:
        found = self._all(f"{_path(series)}/instances?includefield={_TAGS['SOPInstanceUID']}")
        return {each["SOPInstanceUID"] for each in found} - {""}

    def retrieve(self, series: FoundSeries, uids: Sequence[str], told: Told) -> Answered:
        """One after the other; the first that shows that all would fail ends it."""
        came, failed, why = 0, 0, ""
        for uid in uids or sorted(self.instances(series)):
            if self._stop.is_set():
                return Answered(Follow.CANCELLED, "stopped", Counts(completed=came, failed=failed))
            one = self._one(f"{_path(series)}/instances/{quote(uid, safe='')}", uid)
            if one.follow is Follow.STOP:
                return one
            came += one.follow is Follow.DONE
            failed += one.follow is not Follow.DONE
            why = one.text or why
            told(Counts(completed=came, failed=failed))
        follow = Follow.PARTLY if failed else Follow.DONE
        return Answered(follow, why, Counts(completed=came, failed=failed))

    def close(self) -> None:
        self._query.close()

    def _one(self, path: str, uid: str) -> Answered:
        answer = self._query.get(path, _AS_IT_IS, _LONGEST_INSTANCE_BYTES)
        if answer.status in _OF_ALL:
            return Answered(Follow.STOP, f"answered HTTP {answer.status}: see its credentials")
        if answer.status != HTTPStatus.OK:
            return Answered(Follow.PARTLY, f"answered HTTP {answer.status}")

        def check(identity: Identity) -> None:
            if identity.sop_instance_uid != uid:
                raise DataError("pull", "another instance came than was asked for")

        try:
            syntax, data_set = file_parts(only_part(answer.body))
            kept = self._keeper.take(data_set, syntax, check)
        except DataError as error:
            return Answered(Follow.PARTLY, str(error))
        if self._keeper.full:
            return nothing_kept(self._keeper.full)
        if isinstance(kept, Dataset):
            return Answered(Follow.PARTLY, f"not kept here: {kept.ErrorComment}")
        return Answered(Follow.DONE)

    def _all(self, query: str) -> list[dict[str, str]]:
        return [named_values(each, _TAGS) for each in self._query.matches(query)]


def only_part(body: bytes) -> bytes:
    """The one part of a multipart body (RFC 2387); a body that is none, as it is.

    Raises:
        DataError: the part does not end.
    """
    begin = body.find(b"--")
    if begin not in (0, 2) or body[128:132] == b"DICM":
        return body
    line, _, rest = body[begin:].partition(b"\r\n")
    headless = rest.startswith(b"\r\n")
    content = rest[2:] if headless else rest.partition(b"\r\n\r\n")[2]
    part, end, _ = content.rpartition(b"\r\n" + line.rstrip())
    if not end:
        raise DataError("pull", "the answer is cut off")
    return part


def _path(series: FoundSeries) -> str:
    study, own = series.study_instance_uid, series.series_instance_uid
    return f"/studies/{quote(study, safe='')}/series/{quote(own, safe='')}"


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 9 else None
