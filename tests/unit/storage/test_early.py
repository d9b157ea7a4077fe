"""Which series may be begun before it is decided upon, and when that is of no use any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from storage.by_hand import hold
from storage.database import Database
from storage.early import OpenSeries, open_series, while_of_use
from storage.index import end_association, open_association
from storage.records import AssociationEnd
from support.storage_samples import NOW, SERIES, association, instance, queue, receive, seconds

OTHER = "1.2.826.1.20"


def found(database: Database, since: datetime, least: int) -> list[OpenSeries]:
    with database.read() as session:
        return open_series(session, since, least)


def of_use(database: Database) -> OpenSeries | None:
    with database.read() as session:
        return while_of_use(session, SERIES, NOW + seconds(5))


def test_what_has_come_lately_is_open_if_it_is_long_enough(database: Database) -> None:
    receive(database, instance(1), instance(2))
    (series,) = found(database, NOW - seconds(5), 2)
    assert (series.series_key, series.instances, series.receiving) == (SERIES, 2, True)
    assert found(database, NOW - seconds(5), 3) == []
    assert found(database, NOW + seconds(60), 2) == []
    assert of_use(database) == series
    with database.write() as session:
        hold(session, SERIES, NOW)
    assert found(database, NOW - seconds(5), 2) == []
    assert of_use(database) is None


def test_one_more_instance_is_another_revision(database: Database) -> None:
    receive(database, instance(1))
    (series,) = found(database, NOW - seconds(5), 1)
    receive(database, instance(2))
    more = of_use(database)
    assert more is not None
    assert more.revision > series.revision
    assert more.instances == 2


def test_another_analysis_ends_its_use_and_its_own_does_not(database: Database) -> None:
    receive(database, instance(1))
    queue(database)
    own = of_use(database)
    assert own is not None
    assert not own.receiving
    receive(database, instance(3, OTHER))
    queue(database)
    assert of_use(database) is None


def test_it_arrives_until_the_associations_that_brought_it_have_ended(database: Database) -> None:
    with database.write() as session:
        open_association(session, association("a1"))
    receive(database, instance(1))
    assert [each.arriving for each in found(database, NOW - seconds(5), 1)] == [True]
    with database.write() as session:
        end_association(session, "a1", NOW, AssociationEnd.RELEASED)
    assert [each.arriving for each in found(database, NOW - seconds(5), 1)] == [False]


def test_it_seems_whole_after_a_silence_that_is_longer_than_those_before(
    database: Database,
) -> None:
    receive(database, instance(1))
    (series,) = found(database, NOW - seconds(5), 1)
    last = series.last_received_at
    assert not series.seems_whole(last + seconds(0.4))
    assert series.seems_whole(last + seconds(0.5))
    open_one = replace(series, arriving=True)  # what it brings is indexed many at a time
    assert not open_one.seems_whole(last + seconds(1.4))
    assert open_one.seems_whole(last + seconds(1.5))
    slow = replace(series, instances=11, first_received_at=last - seconds(20))
    assert not slow.seems_whole(last + seconds(5.9))
    assert slow.seems_whole(last + seconds(6))
