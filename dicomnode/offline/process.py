"""`dicomnode process`: a folder of DICOM files through decision, analysis and results, offline."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from dicomnode.analyse.analysis import Analysis, Refusal, analyse_series
from dicomnode.assess.assessment import assess_files, files_digest
from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import Reason, Verdict, with_later
from dicomnode.dicom_files.folder import read_folder
from dicomnode.dicom_files.headers import read_header_file
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.methods.bundles import Engines, load_engines
from dicomnode.methods.findings_json import findings_json
from dicomnode.notes.offline import EndedSeries, notes_of_folder
from dicomnode.results.build import ResultObject, encode
from inference.errors import InferenceError
from inference.files import write_whole
from inference.progress import Progress

log = logging.getLogger(__name__)

EXPLAINED = frozenset({"analysed", "skipped", "failed", "unreadable"})
"""States with reasons; `error` (a fault of ours) is the only other one."""


@dataclass
class SeriesOutcome:
    """What became of one series (or, without UID, of the files that belong to none).

    Behind the UID of a series stands a number where it is another patient's than the first.
    """

    series_instance_uid: str | None
    state: str
    reasons: tuple[Reason, ...] = ()
    findings: list[dict[str, Any]] | None = None
    agreement: str | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "series_instance_uid": self.series_instance_uid,
            "state": self.state,
            "reasons": [reason.as_json() for reason in self.reasons],
            "objects": self.objects,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }
        if self.findings is not None:
            answer |= {"findings": self.findings, "failures": self.failures}
            answer |= {"agreement": self.agreement}
        return answer


def process_folder(
    folder: Path,
    out: Path,
    settings: Settings,
    progress: Callable[[str, str, int, int], None] | None = None,
) -> list[SeriesOutcome]:
    """Decide on, analyse and write the objects of each series below a folder.

    `progress` is told series UID, stage, done and total.

    Raises:
        ConfigurationError: there is no such folder, or `out` cannot be written.
        InferenceError: a series is to be analysed, but the model or its device is not fit for it.
    """
    check_folders(folder, out)
    found = read_folder(folder)
    engines = cache(lambda: load_engines(settings))  # seconds: only when there is one to analyse
    outcomes: list[SeriesOutcome] = []
    for uid, files in found.files.items():
        text = None if progress is None else partial(progress, uid)
        outcome = SeriesOutcome(uid, "error")
        with _stopped_by(outcome):
            elsewhere = found.elsewhere.get(uid, ())
            _process_series(outcome, files, elsewhere, out / uid, settings, engines, text)
        outcomes.append(outcome)
    _write_notes(outcomes, found.files, out, settings)
    if found.left_out:
        outcomes.append(SeriesOutcome(None, "unreadable", found.left_out))
    return outcomes


def _write_notes(
    outcomes: Sequence[SeriesOutcome],
    by_series: Mapping[str, Sequence[Path]],
    out: Path,
    settings: Settings,
) -> None:
    """By `[results] note`, each beside where the results of its series would be."""
    by_uid = {each.series_instance_uid: each for each in outcomes}
    ended = [
        EndedSeries(
            key=uid,
            files=files,
            analysed=by_uid[uid].state == "analysed",
            failed=by_uid[uid].state != "skipped",
            reasons=by_uid[uid].reasons,
        )
        for uid, files in by_series.items()
    ]
    now = datetime.now(UTC)
    for uid, objects in notes_of_folder(ended, settings, now, files_digest):
        with _stopped_by(by_uid[uid]):
            _write_objects(by_uid[uid], objects, out / uid)


def check_folders(folder: Path, out: Path) -> None:
    """Make `out`, before any work is done.

    Raises:
        ConfigurationError: there is no such folder, or `out` cannot be written.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    _make_writable(out)


def _make_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{out} cannot be written")


@contextmanager
def _stopped_by(outcome: SeriesOutcome) -> Iterator[None]:
    """What stops one series becomes its last reason: it must not end the run for the others."""
    try:
        yield
    except (ConfigurationError, InferenceError):
        raise  # the same for every series, and for a person to mend
    except DataError as error:
        _stop(outcome, "failed", Reason(error.rule, error.value, error.limit, Verdict.FAIL))
    except OSError as error:
        _stop(outcome, "error", Reason("file", error.strerror or str(error), None, Verdict.FAIL))
    except Exception as error:
        log.exception("series %s", outcome.series_instance_uid)
        _stop(outcome, "error", Reason("fault", type(error).__name__, None, Verdict.FAIL))


def _stop(outcome: SeriesOutcome, state: str, why: Reason) -> None:
    outcome.state = state
    outcome.reasons += (why,)


def _process_series(
    outcome: SeriesOutcome,
    files: list[Path],
    elsewhere: tuple[Reason, ...],
    out: Path,
    settings: Settings,
    engines: Callable[[], Engines],
    progress: Progress | None,
) -> None:
    started = time.perf_counter()
    assessment = replace(assess_files(files, settings.eligibility), arrival=elsewhere)
    outcome.reasons = assessment.reasons
    outcome.seconds["decide"] = time.perf_counter() - started
    if not assessment.eligible:
        outcome.state = "skipped"
        return
    analysis = analyse_series(
        engines(),
        assessment,
        settings,
        analysed_at=datetime.now(UTC).astimezone(),
        input_digest=files_digest(files),
        completeness=f"all {len(files)} files of the series in the folder",
        progress=progress,
    )
    if isinstance(analysis, Refusal):
        outcome.state = "skipped"
        outcome.reasons = with_later(outcome.reasons, analysis.reasons)
        return
    outcome.reasons = with_later(outcome.reasons, analysis.reasons)
    _take_over(outcome, analysis, out)


def _take_over(outcome: SeriesOutcome, analysis: Analysis, folder: Path) -> None:
    started = time.perf_counter()
    _write_objects(outcome, analysis.objects, folder)
    outcome.state = "analysed"
    outcome.findings = findings_json(analysis.findings)
    outcome.failures = [failure.as_json() for failure in analysis.failures]
    outcome.agreement = analysis.agreement.sentence if analysis.agreement else None
    outcome.seconds |= analysis.seconds | {"write": time.perf_counter() - started}


def _write_objects(outcome: SeriesOutcome, objects: Sequence[ResultObject], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:02d}-{each.kind}.dcm" for number, each in enumerate(objects, 1)]
    with ThreadPoolExecutor() as pool:  # most of it is waiting for the disk
        list(pool.map(_write_once, paths, objects))
    for path, result in zip(paths, objects, strict=True):
        sop_class = str(result.data_set.SOPClassUID)
        outcome.objects.append({"path": str(path), "sop_class_uid": sop_class})


def _write_once(path: Path, result: ResultObject) -> None:
    """The file whole, or not at all.

    An object that is there already, by its UID, stays as it is: another time of analysis would
    make two objects with one SOP Instance UID.
    """
    if path.is_file() and _sop_instance_uid(path) == str(result.sop_instance_uid):
        return
    write_whole(path, encode(result))


def _sop_instance_uid(path: Path) -> str | None:
    try:
        return read_header_file(path).sop_instance_uid
    except DataError:
        return None
