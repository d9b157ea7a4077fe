"""What is next with a series: who, what, when, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dicomnode.cli.views.next_steps import Around, ended, next_steps, trouble_of
from dicomnode.cli.views.step import PERSON, Step
from dicomnode.config.settings import Settings
from dicomnode.decisions.result_options import ResultOptions
from storage.by_hand import cancelled_reason
from storage.decided import OWN_RESULT, Reason, SeriesEvidence, Verdict
from storage.overview_records import Node, TroubleRecord
from storage.queries import AHEAD
from storage.records import (
    NOTE_KIND,
    DeliveryRecord,
    DeliveryState,
    JobKind,
    JobRecord,
    JobState,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)
from support.storage_samples import NOW, THICK, a_series, result, seconds

SETTINGS = Settings()
NOTHING = Around()
LATER = NOW + seconds(60)


def job(kind: JobKind, state: JobState = JobState.QUEUED, **more: object) -> JobRecord:
    made = JobRecord(1, kind, state, "1.2.3", 1, 0, NOW, LATER, None, None, None, None, None)
    return replace(made, **more)  # type: ignore[arg-type]


def delivery(state: DeliveryState, **more: object) -> DeliveryRecord:
    made = DeliveryRecord(
        1, "pacs", state, 1, LATER, None, None, None, None, None, replace(result("r"), kind="sr")
    )
    return replace(made, **more)  # type: ignore[arg-type]


def told(detail: SeriesDetail, settings: Settings = SETTINGS, around: Around = NOTHING) -> str:
    return "; ".join(step.text(NOW) for step in next_steps(detail, settings, NOW, around))


def noted(**more: object) -> SeriesEvidence:
    return replace(SeriesEvidence(True, "released, quiet"), **more)  # type: ignore[arg-type]


RECEIVING = replace(a_series(), state=SeriesState.RECEIVING)
SKIPPED = replace(a_series(), state=SeriesState.SKIPPED, ended_at=NOW, reasons=(THICK,))
ANALYSED = replace(a_series(), state=SeriesState.ANALYSED, ended_at=NOW)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (None, "looked at again at 12:01:00 UTC"),
        (
            noted(complete=False, look_again_at=LATER),
            "complete, if nothing more comes, at 12:01:00 UTC (released, quiet)",
        ),
        (
            noted(eligible_since=NOW),
            "waits for its study until 12:01:00 UTC (others of it still come)",
        ),
    ],
)
def test_a_series_that_receives_says_what_it_waits_for(
    evidence: SeriesEvidence | None, said: str
) -> None:
    series = replace(RECEIVING, completeness=evidence)
    assert told(SeriesDetail(series, jobs=(job(JobKind.ASSESS),))) == said


def test_what_kept_the_last_look_from_a_decision_is_told() -> None:
    waiting = job(JobKind.ASSESS, error="file: Input/output error")
    assert "(last time: file: Input/output error)" in told(SeriesDetail(RECEIVING, jobs=(waiting,)))


def test_a_series_in_the_queue_says_how_many_are_before_it() -> None:
    queued = SeriesDetail(a_series(), jobs=(job(JobKind.ANALYSE, not_before=NOW),))
    assert told(queued, around=Around(ahead=2)) == "waits for a worker (2 before it)"
    many = told(queued, around=Around(ahead=AHEAD))
    assert many == "waits for a worker (1000 or more before it)"
    later = SeriesDetail(a_series(), jobs=(job(JobKind.ANALYSE, attempt=1, error="disk full"),))
    assert told(later) == (
        "waits for a worker, not before 12:01:00 UTC (attempt 1, last time: disk full)"
    )
    running = job(JobKind.ANALYSE, JobState.RUNNING, attempt=1, started_at=NOW)
    assert told(SeriesDetail(a_series(), jobs=(running,))) == (
        "being analysed (attempt 1, since 12:00:00 UTC)"
    )


def test_a_person_has_the_next_word_on_a_series_on_hold() -> None:
    held = SeriesDetail(replace(a_series(), on_hold_since=NOW), jobs=(job(JobKind.ANALYSE),))
    (step,) = next_steps(held, SETTINGS, NOW, NOTHING)
    assert step == Step(
        PERSON,
        "release it",
        why="on hold since 12:00:00 UTC",
        remedy="dicomnode queue release 1.2.3",
    )


def test_deliveries_are_told_by_destination_those_that_need_a_person_last() -> None:
    deliveries = (
        delivery(DeliveryState.REFUSED, error="not supported there"),
        delivery(DeliveryState.WAITING, destination="archive", error="out of resources"),
        delivery(DeliveryState.SENDING, destination="archive"),
        delivery(DeliveryState.STORED, destination="vna", confirm_at=LATER),
    )
    assert told(SeriesDetail(ANALYSED, deliveries=deliveries)).split("; ") == [
        "archive: 1 object to be sent, next try at 12:01:00 UTC (out of resources)",
        "archive: 1 object being sent",
        "vna: 1 object stored, storage commitment asked for at 12:01:00 UTC",
        "pacs: refused SR, parked (not supported there)",
        "mended? dicomnode deliveries retry --destination pacs",
    ]


def test_a_report_of_a_refused_class_is_made_anew_once_its_key_is_set() -> None:
    error = 'set sr_class = "enhanced", or have the class accepted there'
    refused = delivery(DeliveryState.REFUSED, error=error)
    assert told(SeriesDetail(ANALYSED, deliveries=(refused,))) == (
        f"pacs: refused SR, parked ({error}); key set? dicomnode config reload; "
        f"dicomnode results renew {ANALYSED.series_key}; "
        "accepted there? dicomnode deliveries retry --destination pacs"
    )


def trouble(name: str, over_at: datetime | None = None) -> TroubleRecord:
    return TroubleRecord(name, "error", "worker-1 is ill", "kill -9 7: it", NOW, NOW, NOW, over_at)


def test_an_analysis_that_does_not_get_on_is_told_with_what_mends_it() -> None:
    queued = SeriesDetail(a_series(), jobs=(job(JobKind.ANALYSE, not_before=NOW),))
    ill = trouble("process_down:worker-1")
    assert told(queued, around=Around(ahead=0, trouble=ill)) == (
        "waits for a worker (0 before it, worker-1 is ill); kill -9 7: it"
    )
    running = job(JobKind.ANALYSE, JobState.RUNNING, attempt=1, started_at=NOW)
    assert told(replace(queued, jobs=(running,)), around=Around(trouble=ill)).endswith(
        "worker-1 is ill); kill -9 7: it"
    )


def test_what_no_worker_has_that_it_waits_for_is_told_with_what_to_do() -> None:
    asks = job(JobKind.ANALYSE, not_before=NOW, capability="gpu")
    queued = SeriesDetail(a_series(), jobs=(asks,))
    one = Node("1", "a", NOW, NOW, None, True, capabilities="cpu", memory_bytes=1)
    told_of = told(queued, around=Around(workers=(one,)))
    assert told_of.startswith("waits for a worker (no worker that lives has gpu); start one")
    able = replace(one, capabilities="cpu gpu")
    assert told(queued, around=Around(workers=(one, able))) == "waits for a worker"
    assert told(queued, around=Around(workers=())).startswith(
        "waits for a worker (no worker lives)"
    )
    running = replace(asks, state=JobState.RUNNING)
    assert told(replace(queued, jobs=(running,)), around=Around(workers=(one,))) == "being analysed"


def test_the_trouble_of_a_series_is_its_own_or_the_workers() -> None:
    stuck, down = trouble("job_stuck:1.2.3"), trouble("process_down:worker-1")
    assert trouble_of("1.2.3", (down, stuck)) == stuck
    assert trouble_of("1.2.4", (stuck, down)) == down
    assert trouble_of("1.2.4", (stuck, trouble("disk_full"))) is None
    assert trouble_of("1.2.3", (replace(stuck, over_at=NOW),)) is None
    assert trouble_of("1.2", (stuck,)) is None  # the UID of another series begins alike


OTHER = replace(SKIPPED, series_key="1.2.4", ended_at=NOW + seconds(10))
OPEN = replace(RECEIVING, series_key="1.2.4")
NOTE = replace(result("n"), kind=NOTE_KIND)


@pytest.mark.parametrize(
    ("series", "policy", "study", "said"),
    [
        (SKIPPED, "study", (SKIPPED,), "a note is due at 12:01:00 UTC"),
        (SKIPPED, "study", (SKIPPED, OTHER), "a note is due at 12:01:10 UTC"),
        (SKIPPED, "all", (SKIPPED, OTHER), "a note is due at 12:00:00 UTC"),
        (
            SKIPPED,
            "study",
            (SKIPPED, OPEN),
            "a note is due once all series of its study are decided",
        ),
        (SKIPPED, "study", (SKIPPED, replace(ANALYSED, series_key="1.2.4")), ""),
        (SKIPPED, "off", (SKIPPED,), ""),
        (replace(SKIPPED, modality="MR"), "study", (), ""),
        (replace(SKIPPED, ended_at=NOW - timedelta(hours=1)), "study", (), ""),
        (
            replace(SKIPPED, reasons=(Reason(OWN_RESULT, 1, 0, Verdict.FAIL),)),
            "study",
            (SKIPPED,),
            "",
        ),
        (
            replace(SKIPPED, reasons=(cancelled_reason(NOW),)),
            "study",
            (SKIPPED,),
            "a note is due at 12:01:00 UTC",
        ),
    ],
)
def test_a_series_that_was_not_analysed_says_when_its_note_is_due(
    series: SeriesRecord, policy: str, study: tuple[SeriesRecord, ...], said: str
) -> None:
    results = ResultOptions(note=policy)  # type: ignore[arg-type]
    settings = SETTINGS.model_copy(update={"results": results})
    assert told(SeriesDetail(series), settings, Around(study)) == said
    assert told(SeriesDetail(series, results=(NOTE,)), settings, Around(study)) == ""


def test_where_nothing_is_next_it_says_why() -> None:
    assert ended(SeriesDetail(ANALYSED)) == "the series is done"
    kept, given_up = delivery(DeliveryState.COMMITTED), delivery(DeliveryState.ABANDONED)
    arrived = SeriesDetail(ANALYSED, deliveries=(kept, given_up))
    assert ended(arrived) == f"1 object committed at {kept.destination}"
    gone = SeriesDetail(replace(ANALYSED, removed_at=NOW))
    assert ended(gone) == "its files were removed 2025-03-01 12:00:00 UTC"
    assert told(gone) == ""
