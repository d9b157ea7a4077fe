"""What a DICOMweb server is asked about a cohort by QIDO-RS (PS3.18 section 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomnode.campaign.cohort import (
    IMAGE_KEYS,
    SERIES_KEYS,
    QueryPace,
    Studies,
    counted_series,
    header_of,
)
from dicomnode.config.destinations import WebServer
from dicomnode.decisions.campaign.windows import Window
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import PYDICOM_QUIET, UNREADABLE
from dicomnode.errors import PeerError
from dicomnode.pull.web_query import WebQuery

_TOO_MUCH = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,  # the query was too broad (PS3.18 table 10.6.3-1)
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_STUDY, _SERIES = ("StudyInstanceUID",), ("SeriesInstanceUID",)


class WebCohort:
    """Asks one DICOMweb server."""

    def __init__(self, server: WebServer, timeout: float) -> None:
        """`timeout`: seconds for an answer.

        Raises:
            ConfigurationError: a TLS file of ours cannot be used.
        """
        self._query = WebQuery(server, timeout)
        self._pace = QueryPace()

    def studies(self, window: Window, modality: str) -> Studies:
        """Study Instance UIDs.

        Raises:
            PeerError: it does not answer, or refuses to, and not since it would be too much.
        """
        keys = {"StudyDate": window.study_date, "StudyTime": window.study_time}
        asked = {key: value for key, value in keys.items() if value} | {
            "ModalitiesInStudy": modality
        }
        try:
            found = self._matches("/studies", _STUDY, asked)
        except PeerError as error:
            if self._query.status not in _TOO_MUCH:
                raise
            return Studies((), refused=str(error))
        uids = dict.fromkeys(AttributeReader(each).uid("StudyInstanceUID") for each in found)
        return Studies(tuple(uid for uid in uids if uid))

    def series(self, study_instance_uid: str) -> list[tuple[InstanceHeader, int | None]]:
        """Of each what the server tells of it, and how many instances it has.

        Raises:
            PeerError
        """
        path = f"/studies/{quote(study_instance_uid, safe='')}/series"
        return counted_series(self._matches(path, (*_SERIES, *SERIES_KEYS)))

    def images(self, study_uid: str, series_uid: str, most: int) -> list[InstanceHeader]:
        """What the server tells of some of its instances.

        Raises:
            PeerError
        """
        uids = (quote(each, safe="") for each in (study_uid, series_uid))
        path = "/studies/{}/series/{}/instances".format(*uids)
        return [header_of(each) for each in self._matches(path, IMAGE_KEYS, most=most)]

    def close(self) -> None:
        self._query.close()

    def _matches(
        self,
        path: str,
        returned: Iterable[str],
        keys: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> list[Dataset]:
        self._pace.wait()
        asked = [f"{key}={quote(value, safe='')}" for key, value in (keys or {}).items()]
        fields = [f"includefield={Tag(each):08X}" for each in returned]
        wanted = (*(keys or ()), *_STUDY, *_SERIES, *returned)
        items = self._query.matches(f"{path}?{'&'.join((*asked, *fields))}", most)
        return [_data_set(each, wanted) for each in items]


def _data_set(item: Mapping[str, Any], keywords: Iterable[str]) -> Dataset:
    """Of an object of DICOM JSON (PS3.18 annex F) these attributes, as far as they can be read; it
    comes from the network, and anything may be in it."""
    data_set = Dataset()
    for keyword in dict.fromkeys(keywords):
        tag = Tag(keyword)
        element = item.get(f"{tag:08X}")
        values = element.get("Value") if isinstance(element, dict) else None
        told = values if isinstance(values, list) else []
        texts = [str(each) for each in told if isinstance(each, str | int | float)]
        if texts:
            with PYDICOM_QUIET, suppress(*UNREADABLE):
                data_set.add_new(tag, dictionary_VR(tag), texts if len(texts) > 1 else texts[0])
    return data_set
