"""The choice among the eligible series of a study, with what the index knows of the others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from dicomnode.decisions.eligibility.eligibility import Eligibility
from dicomnode.decisions.eligibility.study_choice import (
    Choice,
    SeriesQuality,
    Standing,
    StudyPolicy,
    StudySeries,
    acquisitions_of,
    choose,
)
from dicomnode.decisions.reasons import Verdict
from storage.records import SeriesRecord, SeriesState

QUALITY, ELIGIBLE_SINCE = "quality", "eligible_since"
"""Keys in the completeness of a series that is eligible."""

ACQUISITIONS = "acquisitions"
"""Key in the completeness of each series that is decided."""

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
    now: datetime,
) -> tuple[Choice, dict[str, Any]]:
    """Whether an eligible series is the one of its `study` to be analysed.

    The second is what to add to the record of its completeness, for the others to find.
    """
    quality = SeriesQuality.of(eligibility.stack)
    known = {record.series_key: record for record in study}
    since = _eligible_since(known.pop(own_uid, None), now)
    acquisitions = acquisitions_of(eligibility.stack.headers)
    own = StudySeries(own_uid, Standing.ELIGIBLE, quality, acquisitions)
    others = [_study_series(record) for record in known.values()]
    noted = {QUALITY: quality.as_json(), ELIGIBLE_SINCE: since.isoformat()}
    return choose(own, others, policy, since, now), noted


def noted_acquisitions(eligibility: Eligibility) -> dict[str, list[str]]:
    """What to add to the completeness of a series, for others of the same scan to find."""
    return {ACQUISITIONS: sorted(acquisitions_of(eligibility.stack.headers))[:_MOST_ACQUISITIONS]}


def _eligible_since(own: SeriesRecord | None, now: datetime) -> datetime:
    noted = None if own is None else (own.completeness or {}).get(ELIGIBLE_SINCE)
    return now if noted is None else datetime.fromisoformat(noted)


def _study_series(record: SeriesRecord) -> StudySeries:
    noted = (record.completeness or {}).get(QUALITY)
    quality = None if noted is None else SeriesQuality.from_json(noted)
    receiving = Standing.OPEN if quality is None else Standing.ELIGIBLE
    standing = _STANDING.get(record.state, receiving)
    acquisitions = frozenset((record.completeness or {}).get(ACQUISITIONS, ()))
    return StudySeries(
        record.series_key, standing, quality, acquisitions, _skipped_for_contrast(record)
    )


def _skipped_for_contrast(record: SeriesRecord) -> bool:
    return record.state is SeriesState.SKIPPED and any(
        reason["rule"] == "contrast" and reason["verdict"] == Verdict.FAIL
        for reason in record.reasons
    )
