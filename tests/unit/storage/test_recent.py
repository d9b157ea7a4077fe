"""What became of series lately."""

from __future__ import annotations

from storage.database import Database
from storage.recent import ended_series
from storage.records import JobKind, SeriesState
from storage.series import record_skipped
from support.storage_samples import (
    NOW,
    RELEASED,
    THICK,
    analyse,
    instance,
    queue,
    receive,
    seconds,
    take,
)


def test_series_that_ended_newest_first_with_the_rules_that_they_failed(
    database: Database,
) -> None:
    receive(database)
    queue(database)
    analyse(database, now=NOW + seconds(5))
    receive(database, instance(1, "1.2.3"))
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        superseded = record_skipped(
            session,
            job,
            decided_at=NOW + seconds(9),
            input_digest="d",
            completeness=RELEASED,
            reasons=[THICK],
        )
    assert superseded is None
    receive(database, instance(1, "1.2.4"))
    with database.read() as session:
        found = ended_series(session, NOW)
        assert [(each.state, each.rules, each.instance_count) for each in found] == [
            (SeriesState.SKIPPED, ("slice_thickness",), 1),
            (SeriesState.ANALYSED, (), 2),
        ]
        assert found[0].calling_ae_title == "SCANNER"
        assert len(ended_series(session, NOW + seconds(6))) == 1
