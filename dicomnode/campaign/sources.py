"""What a runner asks of a source, and an archive that is asked: for tags by C-FIND or QIDO-RS, then
for series, by C-MOVE, C-GET or WADO-RS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from dicomnode.campaign.cohort import Studies
from dicomnode.campaign.shared_pace import SharedPace
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.tags import is_told, judge_tags
from dicomnode.decisions.campaign.windows import Window
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.pulling import FoundSeries
from dicomnode.decisions.reasons import Reason
from dicomnode.pull.run import Pulling, opened
from dicomnode.pull.steps import SeriesPulled
from storage.campaign_records import FoundClaim, FoundState, NewFound
from storage.database import Database

MOST_LOOKED_AT = 8
"""Instances whose tags are asked for: enough to see past the localizers before a scan."""

Told = Callable[[], object]
"""Told now and then while something is under way."""


class Source(Protocol):
    """
    Raises:
        PeerError: by every call, where nobody answers.
    """

    def everything(self) -> list[NewFound]:
        """All series, where they need not be asked for by time."""

    def studies(self, window: Window) -> Studies: ...

    def series(self, study_instance_uid: str) -> list[NewFound]:
        """Those of the modality, judged as far as is told of them."""

    def look(self, claimed: FoundClaim) -> tuple[Reason, ...]:
        """Why its tags reject a series, looked at more closely."""

    def pull(self, claimed: FoundClaim, told: Told) -> SeriesPulled: ...

    def close(self) -> None: ...


class Catalogue(Protocol):
    """What an archive tells of a cohort: `Cohort` and `WebCohort`, where it is described."""

    def studies(self, window: Window, modality: str) -> Studies: ...

    def series(self, study_instance_uid: str) -> list[tuple[InstanceHeader, int | None]]: ...

    def images(self, study_uid: str, series_uid: str, most: int) -> list[InstanceHeader]: ...

    def close(self) -> None: ...


class ArchiveSource:
    """An archive that is asked about a cohort, and sends."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        cohort: Catalogue,
        modality: str,
        stop: threading.Event,
        role: str,
        pace: SharedPace,
    ) -> None:
        """`settings`: with the archive, and its rate, under `query`."""
        self._pace = pace
        self._settings, self._cohort = settings, cohort
        self._database, self._stop, self._role = database, stop, role
        self._policy, self._modality = settings.eligibility, modality
        self._pulling: Pulling | None = None
        self._open = ExitStack()
        self._told: Told = lambda: None

    def everything(self) -> list[NewFound]:
        return []

    def studies(self, window: Window) -> Studies:
        return self._cohort.studies(window, self._modality)

    def series(self, study_instance_uid: str) -> list[NewFound]:
        found = self._cohort.series(study_instance_uid)
        return [
            self._judged(header, study_instance_uid, instances)
            for header, instances in found
            if header.modality in ("", self._modality)
        ]

    def _judged(self, header: InstanceHeader, study: str, instances: int | None) -> NewFound:
        reasons = judge_tags([header], instances, self._policy)
        state = FoundState.WANTED if is_told(header) else FoundState.FOUND
        return NewFound(
            header.series_instance_uid,
            study,
            header.modality,
            instances,
            FoundState.FALLEN if reasons else state,
            reasons,
        )

    def look(self, claimed: FoundClaim) -> tuple[Reason, ...]:
        uids = claimed.study_instance_uid, claimed.series_instance_uid
        headers = self._cohort.images(*uids, MOST_LOOKED_AT)
        return judge_tags(headers, claimed.instances, self._policy)

    def pull(self, claimed: FoundClaim, told: Told) -> SeriesPulled:
        self._told = told
        found = FoundSeries(
            claimed.study_instance_uid,
            claimed.series_instance_uid,
            claimed.modality,
            claimed.instances,
        )
        return self._connected().series(found)

    def close(self) -> None:
        self._cohort.close()
        self._open.close()
        self._pulling = None

    def _connected(self) -> Pulling:
        if self._pulling is None:
            archive, keeper = self._open.enter_context(
                opened(self._settings, self._database, self._role, self._stop)
            )
            self._pulling = Pulling(
                self._settings,
                self._database,
                archive,
                keeper,
                self._stop,
                told=lambda *_progress: self._told(),
                turn=lambda images: self._pace.take_turn(images, self._told),
            )
        return self._pulling
