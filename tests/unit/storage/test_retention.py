"""Rows go first, files after, and what comes again in between stays."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from storage.columns import Base
from storage.database import Database
from storage.durable import INCOMING, LEAVING
from storage.index import end_association, instances_of_series, open_association, record_instances
from storage.instances import InstanceFiles
from storage.models import (
    AssociationRow,
    DeliveryRow,
    InstanceConflictRow,
    InstanceRow,
    JobRow,
    RemovalRow,
    ResultRow,
)
from storage.outbox import claim_deliveries, mark_stored
from storage.queries import series_detail
from storage.records import (
    Arrival,
    AssociationEnd,
    EndedSeries,
    FileKind,
    JobKind,
    SeriesDetail,
    SeriesState,
    StoredInstance,
)
from storage.removable_files import RemovableFiles
from storage.retention import (
    ended_series,
    noted_for_removal,
    remove_associations,
    remove_files,
    remove_series,
    stored_paths,
)
from support.storage_samples import (
    LEASE,
    NOW,
    SERIES,
    analyse,
    association,
    instance,
    queue,
    receive,
    result,
    seconds,
    take,
)

LATER = NOW + timedelta(days=100)
HEAD = b"head"


def ended(database: Database, before: datetime = LATER) -> tuple[EndedSeries, ...]:
    with database.read() as session:
        return ended_series(session, before, None, 10)


def remove(database: Database, series: str = SERIES, looked_at: datetime = LATER) -> int | None:
    with database.write() as session:
        return remove_series(session, series, lambda _series: True, looked_at)


def rows(database: Database, *tables: type[Base]) -> list[int]:
    with database.read() as session:
        return [session.scalar(select(func.count()).select_from(each)) or 0 for each in tables]


def detail(database: Database) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, SERIES)
    assert found is not None
    return found


def deliver_all(database: Database) -> None:
    with database.write() as session:
        for delivery in claim_deliveries(session, "PACS", "o/", NOW, LEASE, limit=9):
            mark_stored(session, delivery, NOW, "0x0000")


def analysed(database: Database) -> None:
    receive(database)
    with database.write() as session:
        record_instances(session, [instance(1, content="other")])
    queue(database)
    analyse(database)
    deliver_all(database)


def test_only_the_record_of_the_series_stays(database: Database) -> None:
    analysed(database)
    before = detail(database).series
    assert remove(database) == 5  # two instances, one conflicting copy, two results
    tables = (InstanceRow, InstanceConflictRow, ResultRow, DeliveryRow, JobRow)
    assert rows(database, *tables, RemovalRow) == [0, 0, 0, 0, 0, 5]
    after = detail(database).series
    assert after.removed_at == LATER
    assert (after.state, after.reasons, after.analysis, after.ended_at) == (
        before.state,
        before.reasons,
        before.analysis,
        before.ended_at,
    )
    assert after.instance_count == 2
    assert ended(database) == ()
    assert remove(database) is None


def test_what_is_still_going_on_is_counted(database: Database) -> None:
    receive(database)
    assert ended(database) == ()
    queue(database)
    assert ended(database) == ()
    analyse(database)
    (found,) = ended(database)
    assert (found.state, found.open_jobs, found.open_deliveries) == (SeriesState.ANALYSED, 0, 2)
    deliver_all(database)
    (found,) = ended(database)
    assert (found.ended_at, found.open_deliveries) == (NOW, 0)
    assert ended(database, before=NOW) == ()


def test_the_walk_goes_on_where_it_was(database: Database) -> None:
    uids = [f"1.2.{number}" for number in range(5)]
    for uid in uids:
        receive(database, instance(1, uid))
        queue(database)
        analyse(database, [result(uid, uid)], destinations=[])
    seen: list[str] = []
    place = None
    while True:
        with database.read() as session:
            found = ended_series(session, LATER, place, 2)
        if not found:
            break
        seen += [each.series_key for each in found]
        place = (found[-1].ended_at, found[-1].series_key)
    assert seen == uids


def test_the_judge_is_asked_again_with_the_series_locked(database: Database) -> None:
    analysed(database)
    asked: list[EndedSeries] = []

    def may_go(series: EndedSeries) -> bool:
        asked.append(series)
        return True

    with database.write() as session:
        record_instances(session, [instance(3)])
        assert remove_series(session, SERIES, may_go, LATER) is None
    assert asked == []  # a late instance has opened it again: it has not ended
    assert rows(database, InstanceRow, RemovalRow) == [3, 0]
    with database.read() as session:
        assert len(stored_paths(session, SERIES)) == 6


class Stored:
    """A series of two instances that was skipped; its files are a year old."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.root = folder / "instances"
        self.files = InstanceFiles(self.root)
        self.removable = RemovableFiles(self.root)
        self.instances = [self.store(1), self.store(2)]
        receive(database, *self.instances)
        queue(database)
        analyse(database, destinations=[])
        for each in self.instances:
            os.utime(self.files.open_path(each.path), (0, 0))

    def store(self, number: int) -> StoredInstance:
        data_set = f"pixels {number}".encode() * 10
        sample = instance(number)
        stored = self.files.store(SERIES, sample.sop_instance_uid, HEAD, data_set)
        values = vars(sample) | {"path": stored.path, "sha256": stored.sha256}
        return StoredInstance(**values)

    def arrive(self, instance: StoredInstance) -> Arrival:
        with self.database.write() as session:
            (arrival,) = record_instances(session, [instance], self.is_there)
        return arrival

    def is_there(self, path: str) -> bool:
        return self.files.open_path(path).exists()

    def unlink(self) -> int:
        with self.database.write() as session:
            place, unlinked = remove_files(session, FileKind.INSTANCE, self.removable, None, 100)
        assert place is None
        return unlinked

    def names(self) -> list[str]:
        return sorted(each.name for each in self.root.rglob("*") if each.is_file())

    def indexed(self) -> list[str]:
        with self.database.read() as session:
            return [each.path for each in instances_of_series(session, SERIES)]


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> Stored:
    return Stored(database, tmp_path)


def test_files_and_their_folder_go_and_the_table_is_empty_again(stored: Stored) -> None:
    folder = stored.files.open_path(stored.instances[0].path).parent
    remove(stored.database, looked_at=datetime.now(UTC))
    assert stored.unlink() == 2
    assert stored.names() == []
    assert not folder.exists()
    assert stored.unlink() == 0
    with stored.database.read() as session:
        assert noted_for_removal(session, [each.path for each in stored.instances]) == {}


def test_unlinking_goes_on_a_batch_at_a_time(stored: Stored) -> None:
    remove(stored.database, looked_at=datetime.now(UTC))
    with stored.database.write() as session:
        place, unlinked = remove_files(session, FileKind.INSTANCE, stored.removable, None, 1)
    assert (place, unlinked) == (min(each.path for each in stored.instances), 1)
    assert stored.unlink() == 1


def test_a_resend_before_the_files_go_is_a_new_arrival(stored: Stored) -> None:
    remove(stored.database, looked_at=datetime.now(UTC))
    again = stored.store(1)
    assert stored.arrive(again) is Arrival.NEW
    assert stored.unlink() == 1
    assert stored.indexed() == [again.path]
    assert stored.is_there(again.path)
    series = detail(stored.database).series
    assert (series.state, series.instance_count) == (SeriesState.RECEIVING, 1)
    assert series.removed_at is None
    assert series.former_decisions[0].removed_at is not None
    assert take(stored.database, JobKind.ASSESS, LATER).series_key == SERIES


def test_a_resend_that_is_not_yet_indexed_keeps_its_file(stored: Stored) -> None:
    """The receiver has answered 0x0000; its event waits for the database."""
    remove(stored.database, looked_at=datetime.now(UTC))
    again = stored.store(1)
    assert stored.unlink() == 1
    assert stored.is_there(again.path)
    assert stored.arrive(again) is Arrival.NEW
    assert stored.indexed() == [again.path]


def test_a_resend_after_the_files_went_is_written_anew(stored: Stored) -> None:
    remove(stored.database, looked_at=datetime.now(UTC))
    stored.unlink()
    again = stored.store(2)
    assert stored.arrive(again) is Arrival.NEW
    assert stored.files.open_path(again.path).read_bytes().startswith(HEAD)


def test_no_row_speaks_of_a_file_that_is_gone(stored: Stored) -> None:
    """An event that waited for the database longer than its file was kept."""
    remove(stored.database, looked_at=datetime.now(UTC))
    stored.unlink()
    assert stored.arrive(stored.instances[0]) is Arrival.REMOVED
    assert stored.indexed() == []
    assert detail(stored.database).series.removed_at is not None
    other = instance(1, "1.2.3.4")
    other = StoredInstance(**(vars(other) | {"path": stored.instances[0].path}))
    assert stored.arrive(other) is Arrival.REMOVED
    with stored.database.read() as session:
        assert series_detail(session, "1.2.3.4") is None


def test_the_name_taken_away_between_two_steps_of_a_receiver_is_noticed(stored: Stored) -> None:
    """`confirm` has opened and touched the file when the cleaner renames it: each way round."""
    path = stored.files.open_path(stored.instances[0].path)
    leaving = stored.root / INCOMING / (stored.instances[0].path.replace("/", "+") + LEAVING)
    remove(stored.database, looked_at=datetime.now(UTC))
    path.rename(leaving)
    os.utime(leaving)
    assert stored.unlink() == 1  # the touched one is given back, as its killed remover would have
    assert path.exists()
    assert not leaving.exists()


def test_a_file_that_was_written_anew_is_not_replaced_by_the_old_one(stored: Stored) -> None:
    path = stored.files.open_path(stored.instances[0].path)
    leaving = stored.root / INCOMING / (stored.instances[0].path.replace("/", "+") + LEAVING)
    remove(stored.database, looked_at=datetime.now(UTC))
    path.rename(leaving)
    stored.store(1)
    assert stored.files.remove_leftovers(LATER) == 0
    assert stored.unlink() == 1
    assert path.exists()
    assert stored.names() == [path.name]


def test_a_file_that_cannot_be_unlinked_stays_noted(stored: Stored) -> None:
    path = stored.files.open_path(stored.instances[0].path)
    remove(stored.database, looked_at=datetime.now(UTC))
    leaving = stored.root / INCOMING / (stored.instances[0].path.replace("/", "+") + LEAVING)
    leaving.mkdir()
    (leaving / "in the way").touch()
    assert stored.unlink() == 1
    assert path.exists()
    (leaving / "in the way").unlink()
    leaving.rmdir()
    assert stored.unlink() == 1
    assert stored.names() == []


def test_associations_that_brought_nothing_that_is_left_go(database: Database) -> None:
    with database.write() as session:
        for name in ("a1", "a2", "a3"):
            open_association(session, association(name))
        for name in ("a1", "a2"):
            end_association(session, name, NOW, AssociationEnd.RELEASED)
    receive(database)  # over a1
    with database.write() as session:
        assert remove_associations(session, NOW, 10) == 0
        assert remove_associations(session, NOW + seconds(1), 10) == 1
    with database.read() as session:
        left = session.scalars(select(AssociationRow.association_id)).all()
    assert sorted(left) == ["a1", "a3"]


def test_a_guessed_association_gives_way_to_the_one_that_is_open(database: Database) -> None:
    """A sibling's start found its file before it had written its own events."""
    receive(database)  # no row of the association: it is guessed, as LOST
    with database.write() as session:
        open_association(session, association())
    (found,) = detail(database).associations
    assert (found.node_id, found.ended_at, found.end) == ("node", None, None)
    with database.write() as session:
        end_association(session, "a1", NOW, AssociationEnd.RELEASED)
        open_association(session, association())
    (found,) = detail(database).associations
    assert found.end is AssociationEnd.RELEASED
