"""The runs of the canary: registered before they are sent, ended once, compared with the first."""

from __future__ import annotations

from dataclasses import replace

from storage import canary_runs, overview
from storage.canary_runs import CANARY_AE_TITLE, CanaryRecord
from storage.database import Database
from storage.queries import Wanted, list_series
from support.storage_samples import NOW, SERIES, instance, receive, seconds

RUN = CanaryRecord("2.25.1", "2.25.2", "nightly", "C-STORE", "1.0", "c1", "m1", NOW)


def register(database: Database, *runs: CanaryRecord) -> None:
    with database.write() as session:
        for each in runs:
            canary_runs.register(session, each)


def test_a_series_is_a_canary_only_while_its_run_is_under_way(database: Database) -> None:
    register(database, RUN)
    with database.write() as session:
        assert canary_runs.is_registered(session, "2.25.2", "2.25.1")
        assert not canary_runs.is_registered(session, "2.25.1", "2.25.1")
        assert not canary_runs.is_registered(session, "2.25.2", "1.2.840.1")  # a patient's
        canary_runs.end_run(session, "2.25.1", NOW, passed=True, text="fine", scores="{}")
        assert not canary_runs.is_registered(session, "2.25.2", "2.25.1")


def test_it_ends_once_and_what_was_broken_off_leaves_nothing(database: Database) -> None:
    register(database, RUN, replace(RUN, series_instance_uid="2.25.9", started_at=NOW + seconds(9)))
    with database.write() as session:
        canary_runs.end_run(session, "2.25.1", NOW, passed=False, text="skipped")
        canary_runs.end_run(session, "2.25.1", NOW, passed=True, text="fine")
        canary_runs.forget_run(session, "2.25.9")
        last = canary_runs.last_run(session)
    assert last is not None
    assert (last.series_instance_uid, last.passed, last.text) == ("2.25.1", False, "skipped")


def test_runs_whose_process_died_are_ended_as_failed(database: Database) -> None:
    young = replace(RUN, series_instance_uid="2.25.9", started_at=NOW + seconds(9))
    register(database, RUN, young)
    with database.write() as session:
        lost = canary_runs.end_lost_runs(session, NOW + seconds(5), NOW + seconds(10))
        old, new = (canary_runs.find_run(session, uid) for uid in ("2.25.1", "2.25.9"))
    assert old is not None
    assert new is not None
    assert (old.passed, new.passed, lost) == (False, None, ("2.25.1",))


def test_a_clock_that_was_wrong_keeps_no_later_run_back(database: Database) -> None:
    future = replace(RUN, series_instance_uid="2.25.8", started_at=NOW + seconds(1e8))
    register(database, future)
    with database.write() as session:
        assert canary_runs.end_lost_runs(session, NOW - seconds(5), NOW) == ("2.25.8",)
    register(database, replace(RUN, passed=True, ended_at=NOW))
    with database.read() as session:
        last = canary_runs.last_run(session)
        assert last is not None
        assert last.series_instance_uid == "2.25.1"
        assert overview.last_canary_runs(session)[0].started_at == NOW


def test_the_first_scores_are_those_of_the_same_version_and_models(database: Database) -> None:
    ended = replace(RUN, passed=True, ended_at=NOW)
    register(
        database,
        replace(ended, series_instance_uid="2.25.3", scores="third", started_at=NOW + seconds(3)),
        replace(ended, series_instance_uid="2.25.4", scores="first"),
        replace(ended, series_instance_uid="2.25.5", scores="failed", passed=False),
        replace(ended, series_instance_uid="2.25.6", scores="other", models="m2"),
    )
    with database.read() as session:
        assert canary_runs.first_scores(session, "1.0", "m1") == "first"
        assert canary_runs.first_scores(session, "1.0", "m2") == "other"
        assert canary_runs.first_scores(session, "2.0", "m1") == ""


def test_a_series_of_the_canary_is_listed_only_where_all_are(database: Database) -> None:
    receive(database, replace(instance(1), calling_ae_title=CANARY_AE_TITLE))
    with database.read() as session:
        assert [each.series_key for each in list_series(session)] == [SERIES]
        assert list_series(session, Wanted(own_results=False)) == ()
