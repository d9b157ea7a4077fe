"""A bucket of DICOM files as the source of a campaign: of each object the beginning is read, for
its tags; whole is read what is worth it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from itertools import islice

import pydicom

from dicomnode.campaign.cohort import Studies
from dicomnode.campaign.sources import MOST_LOOKED_AT, Told
from dicomnode.campaign.taking import Taking
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.tags import judge_tags
from dicomnode.decisions.campaign.windows import Window
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.dicom_files.headers import PYDICOM_QUIET, UNREADABLE, read_header
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.steps import SeriesPulled
from storage.bucket import Bucket, Listed
from storage.campaign_records import FoundClaim, NewFound
from storage.database import Database
from storage.errors import ObjectMissingError, ObjectStoreError

BUCKET_TITLE = "CAMPAIGN_BUCKET"
"""Stands for a sender, in the place of an AE title."""

_BEGINNING_BYTES = 1 << 16
_AT_ONCE = 16
_BATCH = 1000


@dataclass
class _Series:
    """`headers`: of a few of its instances."""

    study_instance_uid: str
    modality: str
    names: list[str] = field(default_factory=list)
    headers: list[InstanceHeader] = field(default_factory=list)


class BucketSource:
    """What lies below one prefix; known by heart, so of some million objects at most."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        bucket: Bucket,
        images_per_second: float,
        stop: threading.Event,
        role: str,
    ) -> None:
        self._bucket, self._stop, self._policy = bucket, stop, settings.eligibility
        self._taking = Taking(settings, database, BUCKET_TITLE, images_per_second, stop, role)

    def everything(self) -> list[NewFound]:
        """As it is now. An object that is no DICOM instance is none of a series.

        Raises:
            PeerError: the bucket is away, or may not be read.
        """
        self.__dict__.pop("_series", None)
        return [
            NewFound(uid, each.study_instance_uid, each.modality, len(each.names))
            for uid, each in self._series.items()
        ]

    def studies(self, window: Window) -> Studies:  # noqa: ARG002 - nothing is asked for by time
        return Studies(())

    def series(self, study_instance_uid: str) -> list[NewFound]:  # noqa: ARG002
        return []

    def look(self, claimed: FoundClaim) -> tuple[Reason, ...]:
        """By the tags of a few of its instances."""
        found = self._series.get(claimed.series_instance_uid)
        if found is None:
            return (Reason("dicom_file", "not in the bucket any more", None, Verdict.FAIL),)
        return judge_tags(found.headers, len(found.names), self._policy)

    def pull(self, claimed: FoundClaim, told: Told) -> SeriesPulled:
        found = self._series.get(claimed.series_instance_uid)
        names = () if found is None else sorted(found.names)
        return self._taking.series(claimed, names, self._bucket.whole, told)

    def close(self) -> None:
        self._taking.close()

    @cached_property
    def _series(self) -> dict[str, _Series]:
        found: dict[str, _Series] = {}
        try:
            for name, header in self._headers():
                uids = header.study_instance_uid, header.modality
                series = found.setdefault(header.series_instance_uid, _Series(*uids))
                series.names.append(name)
                if len(series.headers) < MOST_LOOKED_AT:
                    series.headers.append(header)
        except ObjectStoreError as error:
            raise PeerError(f"the bucket: {error}", PeerCause.UNREACHABLE) from error
        return found

    def _headers(self) -> Iterator[tuple[str, InstanceHeader]]:
        listed = self._bucket.listed()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._stop.is_set() and (batch := list(islice(listed, _BATCH))):
                for each, header in zip(batch, pool.map(self._header, batch), strict=True):
                    if header is not None and header.series_instance_uid:
                        yield each.name, header

    def _header(self, listed: Listed) -> InstanceHeader | None:
        """None of what is no DICOM instance, or went since it was listed; what does not fit into
        the beginning is read whole."""
        try:
            begun = self._bucket.beginning(listed, _BEGINNING_BYTES)
            header = _read(begun)
            if header is None and begun[128:132] == b"DICM" and listed.size_bytes > len(begun):
                header = _read(self._bucket.whole(listed.name))
        except ObjectMissingError:
            return None
        return header


def _read(content: bytes) -> InstanceHeader | None:
    try:
        with PYDICOM_QUIET:
            return read_header(pydicom.dcmread(BytesIO(content), stop_before_pixels=True))
    except UNREADABLE:
        return None
