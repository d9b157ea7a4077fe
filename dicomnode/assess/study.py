"""The choice among the eligible series of a study, with what the index knows of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from dicomnode.decisions.eligibility.eligibility import Eligibility
from dicomnode.decisions.eligibility.study_choice import (
    Choice,
    Standing,
    StudyPolicy,
    StudySeries,
    acquisitions_of,
    choose,
    quality_of,
)
from dicomnode.decisions.reasons import failed_rules
from storage.decided import SeriesEvidence
from storage.records import SeriesRecord, SeriesState

_MOST_ACQUISITIONS = 16

_STANDING = {
    SeriesState.QUEUED: Standing.TAKEN,
    SeriesState.ANALYSED: Standing.TAKEN,
    SeriesState.SKIPPED: Standing.OUT,
    SeriesState.FAILED: Standing.OUT,
}


def choose_in_study(
    own_uid: str,
    eligibility: Eligibility,
    study: Iterable[SeriesRecord],
    policy: StudyPolicy,
    noted: SeriesEvidence,
    now: datetime,
) -> tuple[Choice, SeriesEvidence]:
    """Whether an eligible series is the one of its `study` to be analysed.

    The second is `noted` with what the others of the study are to find.
    """
    known = {record.series_key: record for record in study}
    found = known.pop(own_uid, None)
    since = (found and found.completeness and found.completeness.eligible_since) or now
    quality = quality_of(eligibility.stack)
    acquisitions = acquisitions_of(eligibility.stack.headers)
    own = StudySeries(own_uid, Standing.ELIGIBLE, quality, acquisitions)
    others = [_study_series(record) for record in known.values()]
    noted = replace(noted, quality=quality, eligible_since=since)
    return choose(own, others, policy, since, now), noted


def with_acquisitions(noted: SeriesEvidence, eligibility: Eligibility) -> SeriesEvidence:
    """For others of the same scan to find."""
    of_series = sorted(acquisitions_of(eligibility.stack.headers))
    return replace(noted, acquisitions=tuple(of_series[:_MOST_ACQUISITIONS]))


def _study_series(record: SeriesRecord) -> StudySeries:
    noted = record.completeness
    quality = noted and noted.quality
    receiving = Standing.OPEN if quality is None else Standing.ELIGIBLE
    standing = _STANDING.get(record.state, receiving)
    acquisitions = frozenset((noted and noted.acquisitions) or ())
    for_contrast = record.state is SeriesState.SKIPPED and "contrast" in failed_rules(
        record.reasons
    )
    return StudySeries(record.series_key, standing, quality, acquisitions, for_contrast)
