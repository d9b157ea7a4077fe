"""`dicomnode process`: a folder of DICOM files through decision, analysis and results, offline."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomnode.analysis import Analysis, analyse_series, probabilities
from dicomnode.assess import assess_files
from dicomnode.bundles import prepare_bundle
from dicomnode.config import Settings
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.identity import identify_file
from dicomnode.results.build import encode
from inference.engine import Engine

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

EXPLAINED = frozenset({"analysed", "skipped", "failed", "unreadable"})
"""States with reasons; `error` (a fault of ours) is the only other one."""


@dataclass
class SeriesOutcome:
    """What became of one series (or, without UID, of the files that belong to none)."""

    series_instance_uid: str | None
    state: str
    reasons: tuple[Reason, ...] = ()
    probabilities: dict[str, float] | None = None
    warning: str | None = None
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
        if self.probabilities is not None:
            answer |= {"probabilities": self.probabilities, "warning": self.warning}
        return answer


def files_by_series(folder: Path) -> tuple[dict[str, list[Path]], tuple[Reason, ...]]:
    """The DICOM files below a folder by Series Instance UID, and why others were left out."""
    found: dict[str, list[Path]] = {}
    left_out: list[Reason] = []
    for path in _files_below(folder):
        try:
            identity, _meta = identify_file(path)
        except (DataError, OSError) as error:
            why = error.value if isinstance(error, DataError) else str(error.strerror)
            value = f"{path.relative_to(folder)}: {why}"
            left_out.append(Reason("dicom_file", value, None, Verdict.FAIL))
            continue
        found.setdefault(identity.series_instance_uid, []).append(path)
    return found, tuple(left_out)


def _files_below(folder: Path) -> Iterator[Path]:
    """Regular files, links not followed out of the folder; DICOMDIR is no instance."""
    for parent, _folders, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink() and name != "DICOMDIR":
                yield path


def load_engine(settings: Settings) -> Engine:
    """The engine of the configured bundle."""
    inference = settings.inference
    return Engine.load(prepare_bundle(settings), inference.device, inference.threads or None)


def process_folder(
    folder: Path,
    out: Path,
    settings: Settings,
    progress: Callable[[str, str, int, int], None] | None = None,
) -> list[SeriesOutcome]:
    """Decide on, analyse and write the objects of each series below a folder.

    `progress` is told series UID, stage, done and total.

    Raises:
        ConfigurationError: the folder cannot be read or `out` not be written.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
    by_series, left_out = files_by_series(folder)
    engine: Engine | None = None
    outcomes: list[SeriesOutcome] = []
    for uid, files in by_series.items():
        told = None if progress is None else _telling(progress, uid)
        engine = engine or load_engine(settings)
        outcomes.append(
            _process_series(uid, files, out, settings=settings, engine=engine, progress=told)
        )
    if left_out:
        outcomes.append(SeriesOutcome(None, "unreadable", left_out))
    return outcomes


def _telling(progress: Callable[[str, str, int, int], None], uid: str) -> Progress:
    return lambda stage, done, total: progress(uid, stage, done, total)


def _process_series(
    uid: str,
    files: list[Path],
    out: Path,
    *,
    settings: Settings,
    engine: Engine,
    progress: Progress | None,
) -> SeriesOutcome:
    started = time.perf_counter()
    assessment = assess_files(files, settings.eligibility)
    outcome = SeriesOutcome(uid, "skipped", assessment.reasons)
    outcome.seconds["decide"] = time.perf_counter() - started
    if not assessment.eligible:
        return outcome
    try:
        analysis = analyse_series(
            engine,
            assessment,
            settings,
            analysed_at=datetime.now(UTC).astimezone(),
            completeness=f"all {len(files)} files of the series in the folder",
            progress=progress,
        )
    except DataError as error:
        outcome.state = "failed"
        outcome.reasons += (Reason(error.rule, error.value, error.limit, Verdict.FAIL),)
        return outcome
    except Exception as error:
        # one series must not end the run for the others; it is told as what it is
        log.exception("series %s", uid)
        outcome.state = "error"
        outcome.reasons += (Reason("fault", f"{type(error).__name__}", None, Verdict.FAIL),)
        return outcome
    _take_over(outcome, analysis, out / uid)
    return outcome


def _take_over(outcome: SeriesOutcome, analysis: Analysis, folder: Path) -> None:
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    for number, result in enumerate(analysis.objects, start=1):
        path = folder / f"{number:02d}-{result.kind}.dcm"
        path.write_bytes(encode(result))
        sop_class = str(result.data_set.SOPClassUID)
        outcome.objects.append({"path": str(path), "sop_class_uid": sop_class})
    outcome.state = "analysed"
    outcome.probabilities = probabilities(analysis.findings)
    outcome.warning = analysis.findings.model.warning
    outcome.seconds |= analysis.seconds | {"write": time.perf_counter() - started}
