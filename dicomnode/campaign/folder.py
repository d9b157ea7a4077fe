"""A folder of files as the source of a campaign: looked at as `dicomnode process` does, and what is
worth it goes into the node as if it had come over the network."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path

from dicomnode.assess.assessment import assess_files
from dicomnode.campaign.cohort import Studies
from dicomnode.campaign.sources import Told
from dicomnode.campaign.taking import Taking
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.windows import Window
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.dicom_files.folder import read_folder
from dicomnode.dicom_files.identity import identify_file
from dicomnode.pull.steps import SeriesPulled
from storage.campaign_records import FoundClaim, NewFound
from storage.database import Database

AE_TITLE = "CAMPAIGN_FOLDER"
"""Stands for a sender, in the place of an AE title."""


class FolderSource:
    """What lies below one folder."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        folder: Path,
        images_per_second: float,
        stop: threading.Event,
        role: str,
    ) -> None:
        self._settings, self._folder = settings, folder
        self._taking = Taking(settings, database, AE_TITLE, images_per_second, stop, role)

    def everything(self) -> list[NewFound]:
        """As it is now. A file that is no DICOM instance is none of a series."""
        self.__dict__.pop("_files", None)
        found = []
        for uid, files in self._files.items():
            identity = identify_file(files[0])[0]
            study = identity.study_instance_uid
            found.append(NewFound(uid, study, identity.modality, len(files)))
        return found

    def studies(self, window: Window) -> Studies:  # noqa: ARG002 - nothing is asked for by time
        return Studies(())

    def series(self, study_instance_uid: str) -> list[NewFound]:  # noqa: ARG002
        return []

    def look(self, claimed: FoundClaim) -> tuple[Reason, ...]:
        """By all rules, as all headers are there."""
        files = self._files.get(claimed.series_instance_uid)
        if files is None:
            return (Reason("dicom_file", "not in the folder any more", None, Verdict.FAIL),)
        assessment = assess_files(files, self._settings.eligibility)
        if assessment.eligible or assessment.may_pass:
            return ()
        return tuple(each for each in assessment.reasons if each.verdict is Verdict.FAIL)

    def pull(self, claimed: FoundClaim, told: Told) -> SeriesPulled:
        files = self._files.get(claimed.series_instance_uid, [])
        return self._taking.series(claimed, files, Path.read_bytes, told)

    def close(self) -> None:
        self._taking.close()

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """Of two patients under one UID together: the node parts them again."""
        found: dict[str, list[Path]] = {}
        for key, files in read_folder(self._folder).files.items():
            found.setdefault(key.partition("~")[0], []).extend(files)
        return found
