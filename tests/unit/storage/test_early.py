"""Which series may be begun before it is decided upon, and when that is of no use any more."""

from __future__ import annotations

from datetime import datetime

from storage.by_hand import hold
from storage.database import Database
from storage.early import OpenSeries, newest_quiet, still_of_use
from support.storage_samples import NOW, SERIES, instance, queue, receive, seconds

OTHER = "1.2.826.1.20"


def quiet(database: Database, since: datetime, until: datetime, least: int) -> OpenSeries | None:
    with database.read() as session:
        return newest_quiet(session, since, until, least)


def of_use(database: Database, series: OpenSeries) -> bool:
    with database.read() as session:
        return still_of_use(session, series, NOW + seconds(5))


def test_the_newest_that_is_quiet_and_long_enough(database: Database) -> None:
    receive(database, instance(1), instance(2))
    around = (NOW - seconds(5), NOW + seconds(5))
    found = quiet(database, *around, 2)
    assert found is not None
    assert found.series_key == SERIES
    assert quiet(database, *around, 3) is None
    assert quiet(database, NOW + seconds(60), NOW + seconds(90), 2) is None
    with database.write() as session:
        hold(session, SERIES, NOW)
    assert quiet(database, *around, 2) is None
    assert not of_use(database, found)


def test_one_more_instance_or_another_analysis_ends_its_use(database: Database) -> None:
    receive(database, instance(1))
    found = quiet(database, NOW - seconds(5), NOW + seconds(5), 1)
    assert found is not None
    assert of_use(database, found)
    receive(database, instance(2))
    assert not of_use(database, found)


def test_its_own_analysis_does_not(database: Database) -> None:
    receive(database, instance(1))
    found = quiet(database, NOW - seconds(5), NOW + seconds(5), 1)
    assert found is not None
    queue(database)
    assert of_use(database, found)
    receive(database, instance(3, OTHER))
    queue(database)
    assert not of_use(database, found)
