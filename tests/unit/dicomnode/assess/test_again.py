"""`queue retry`: a series that failed is decided on again; any other is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from dicomnode.assess.again import Retried, check_started_with, try_again
from dicomnode.cli.views.queue_view import find
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import keep_settings
from dicomnode.decisions.delivery.routes import Route
from dicomnode.decisions.result_options import SrClass
from dicomnode.errors import ConfigurationError, DataError
from storage.database import Database
from storage.decided import Reason, Verdict
from storage.jobs import claim
from storage.models import SeriesRow
from storage.records import JobKind, JobState, SeriesState
from storage.series import record_failed, record_skipped
from support.storage_samples import (
    LEASE,
    NOW,
    RELEASED,
    SERIES,
    STUDY,
    analyse,
    instance,
    queue,
    receive,
    take,
)

LATER = NOW + timedelta(hours=1)
DISK = Reason("file", "Input/output error", None, Verdict.FAIL)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    yield opened
    opened.close()


def retry(database: Database, text: str = SERIES) -> tuple[Retried, ...]:
    return try_again(database, find(database, text), LATER)


def fail_analysis(database: Database) -> None:
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.write() as session:
        record_failed(session, job, ended_at=NOW, reasons=[DISK], error="file")


def park_analysis(database: Database) -> None:
    queue(database)
    for attempt in range(3):
        take(database, JobKind.ANALYSE, NOW + attempt * LEASE)
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "n/w/1/", NOW + 3 * LEASE, LEASE) is None


def fail_assessment(database: Database) -> None:
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        record_failed(session, job, ended_at=NOW, reasons=[DISK], error="file")


@pytest.mark.parametrize("fail", [fail_analysis, park_analysis, fail_assessment])
def test_a_series_that_failed_has_all_its_attempts_again(
    database: Database, fail: Callable[[Database], None]
) -> None:
    receive(database)
    fail(database)
    (detail,) = find(database, SERIES)
    assert detail.series.state is SeriesState.FAILED
    (retried,) = retry(database)
    assert retried.series_key == SERIES
    assert retried.failed_by
    queue(database, now=LATER)
    analyse(database, now=LATER)
    (again,) = find(database, SERIES)
    assert again.series.state is SeriesState.ANALYSED
    assert [each.state for each in again.series.history] == ["failed"]
    (job,) = [each for each in again.jobs if each.kind is JobKind.ANALYSE]
    assert (job.state, job.attempt) == (JobState.DONE, 1)


def skip(database: Database) -> None:
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        record_skipped(
            session, job, decided_at=NOW, input_digest="d", completeness=RELEASED, reasons=[DISK]
        )


def queue_and_analyse(database: Database) -> None:
    queue(database)
    analyse(database)


def fail_and_remove(database: Database) -> None:
    fail_analysis(database)
    with database.write() as session:
        session.execute(update(SeriesRow).values(removed_at=NOW))


@pytest.mark.parametrize(
    ("bring", "told"),
    [
        (lambda _database: None, "not decided yet"),
        (queue, "waits to be analysed"),
        (queue_and_analyse, "`results renew`"),
        (skip, "it was skipped"),
        (fail_and_remove, "its files were removed 2025-03-01"),
    ],
)
def test_any_other_is_refused_with_the_reason(
    database: Database, bring: Callable[[Database], None], told: str
) -> None:
    receive(database)
    bring(database)
    before = find(database, SERIES)
    with pytest.raises(DataError, match=told):
        retry(database)
    assert find(database, SERIES) == before


def test_a_second_retry_changes_nothing(database: Database) -> None:
    receive(database)
    fail_analysis(database)
    retry(database)
    before = find(database, SERIES)
    with pytest.raises(DataError, match="not decided yet"):
        retry(database)
    assert find(database, SERIES) == before


def test_of_a_study_those_that_failed_are_tried_again(database: Database) -> None:
    receive(database)
    fail_analysis(database)
    receive(database, instance(1, "1.2.5"))
    assert [each.series_key for each in retry(database, STUDY)] == [SERIES]


def test_the_node_must_have_been_started_with_these_settings(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with pytest.raises(ConfigurationError, match="no node has run yet"):
        check_started_with(settings, "CT1")
    (tmp_path / "settings.json").write_text('{"inference": {"key_of_another_version": 1}}')
    with pytest.raises(ConfigurationError, match="another version of the node"):
        check_started_with(settings, "CT1")
    keep_settings(settings)
    check_started_with(settings, "CT1")


def test_where_results_go_is_no_other_setting_but_in_which_classes_they_are_asked_for_is(
    tmp_path: Path,
) -> None:
    def settings(*destinations: Destination) -> Settings:
        routes = tuple(Route((each.name,), ("CT2",)) for each in destinations)
        node = NodeSettings(data_directory=tmp_path)
        return Settings(node=node, destinations=destinations, routes=routes)

    pacs = Destination(name="pacs", ae_title="PACS", address="x", port=104)
    keep_settings(settings(pacs))
    renamed, more = (pacs.model_copy(update={"name": name}) for name in ("PACS 1", "archive"))
    check_started_with(settings(more, renamed), "CT2")
    other = settings(pacs.model_copy(update={"sr_class": SrClass.ENHANCED}))
    check_started_with(other, "CT1")  # nothing that it sends goes there
    with pytest.raises(ConfigurationError, match="other settings"):
        check_started_with(other, "CT2")
