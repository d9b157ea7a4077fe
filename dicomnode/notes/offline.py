"""The notes on what was not analysed, of a folder: by the same policy as those of the node.

All there is lies in the folder, so nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import Reason
from dicomnode.deliver.result_settings import result_settings
from dicomnode.dicom_files.identity import Identity, identify_file
from dicomnode.notes.series_note import first_source, series_not_analysed
from dicomnode.notes.wanted import MODALITY, needs_no_note
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import note_objects
from dicomnode.results.documents.text_document import TextOrigin


@dataclass(frozen=True)
class EndedSeries:
    """What became of one series of a folder; `key` as in `read_folder`, `reasons` as JSON."""

    key: str
    files: Sequence[Path]
    analysed: bool
    failed: bool
    reasons: Sequence[Reason]

    @property
    def identity(self) -> Identity:
        return identify_file(self.files[0])[0]


Digest = Callable[[Sequence[Path]], str]


def notes_of_folder(
    ended: Sequence[EndedSeries], settings: Settings, moment: datetime, digest: Digest
) -> Iterator[tuple[str, tuple[ResultObject, ...]]]:
    """Each note with the key of the series that it is filed under; by `[results] note`.

    `digest`: names the content of files, as the node has it, so that the note gets the same UIDs.
    """
    policy = settings.results.note
    if policy == "off":
        return
    whole_study = policy == "study"
    for group in _groups(ended, whole_study):
        objects = _note(group, settings, moment, digest, whole_study)
        if objects:
            yield group[-1].key, objects


def _groups(ended: Sequence[EndedSeries], whole_study: bool) -> list[list[EndedSeries]]:
    """The series that one note is about: all CT of a patient's study, or each by itself."""
    of_modality = [each for each in ended if each.identity.modality == MODALITY]
    if not whole_study:
        return [[e] for e in of_modality if not e.analysed and not needs_no_note(e.reasons)]
    studies: dict[str, list[EndedSeries]] = {}
    for each in of_modality:
        studies.setdefault(each.identity.digest, []).append(each)
    return [group for group in studies.values() if not any(each.analysed for each in group)]


def _source(files: Iterable[Path]) -> Dataset | None:
    """Here nothing is tried again later."""
    try:
        return first_source(files)
    except OSError:
        return None


def _note(
    group: Sequence[EndedSeries],
    settings: Settings,
    moment: datetime,
    digest: Digest,
    whole_study: bool,
) -> tuple[ResultObject, ...]:
    """None where no header can be read: nobody could tell whose note it is."""
    sources = [_source(each.files) for each in group]
    readable = [source for source in sources if source is not None]
    if not readable:
        return ()
    series = [
        series_not_analysed(
            each.identity.series_instance_uid,
            source,
            each.reasons,
            instance_count=len(each.files),
            failed=each.failed,
            input_digest=digest(each.files),
        )
        for each, source in zip(group, sources, strict=True)
    ]
    origin = TextOrigin(normalised_header(readable), moment, result_settings(settings))
    number = settings.results.note_series_number
    return note_objects(origin, series, whole_study=whole_study, series_number=number)
