"""A standby was promoted that lacks what was committed last: the index is told it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from dicomnode.clock import Clock
from dicomnode.receive import arrivals, going_back
from dicomnode.receive.arrivals import ArrivalIndexer
from dicomnode.receive.events import AssociationEnded
from dicomnode.receive.going_back import GoingBack
from dicomnode.receive.reconciliation import Reconciler
from storage.models import AssociationRow, InstanceRow, JobRow, SeriesRow
from storage.records import AssociationEnd
from support.house import NODE, House
from support.storage_samples import NOW, association
from support.wait import wait_for

SERIES = "1.2.3"


class Running:
    """An indexer over three files, which an association brought that is still open."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        for module in (arrivals, going_back):
            patch.setattr(module, "LOOK_SECONDS", 0.01)
        patch.setattr(arrivals, "_GATHER_SECONDS", 0.0)
        self.timeline = "00000001"
        patch.setattr(going_back, "timeline", lambda _database: self.timeline)
        self.house = House(folder)
        reconciler = Reconciler(self.house.database, self.house.files, NODE)
        back = GoingBack(self.house.database, NODE, Clock())
        self.indexer = ArrivalIndexer(self.house.database, reconciler, going_back=back)
        self.indexer.start()
        wait_for(lambda: self.indexer.caught_up, "the files were looked at")
        for name in ("open", "ended"):
            self.indexer.put(replace(association(), association_id=name, node_id=NODE))
        for each in self.house.store_files(SERIES, 3):
            self.indexer.put(replace(each, association_id="open"))
        self.indexer.put(AssociationEnded("ended", NOW, AssociationEnd.RELEASED))
        wait_for(lambda: self.instances() == 3 and self.ending("ended"), "all is in the index")

    def instances(self) -> int:
        with self.house.database.read() as session:
            return len(session.scalars(select(InstanceRow)).all())

    def ending(self, name: str) -> str | None:
        """None too where there is no such row."""
        with self.house.database.read() as session:
            row = session.get(AssociationRow, name)
            return None if row is None else row.ending

    def is_open(self, name: str) -> bool:
        with self.house.database.read() as session:
            row = session.get(AssociationRow, name)
            return row is not None and row.ending is None


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    made = Running(tmp_path / "data", monkeypatch)
    yield made
    assert made.indexer.close(30)
    made.house.database.close()


def test_what_the_promoted_standby_lacks_is_entered_again(running: Running) -> None:
    """Of three instances two are gone from it, and that one association opened, another ended."""
    with running.house.database.write() as session:
        lost = session.scalars(select(InstanceRow.sop_instance_uid)).all()[1:]
        session.execute(delete(InstanceRow).where(InstanceRow.sop_instance_uid.in_(lost)))
        session.execute(update(InstanceRow).values(association_id=None))
        session.execute(delete(AssociationRow).where(AssociationRow.association_id == "open"))
        unended = update(AssociationRow).where(AssociationRow.association_id == "ended")
        session.execute(unended.values(ended_at=None, ending=None))
    running.timeline = "00000002"
    wait_for(lambda: running.instances() == 3, "all is in the index again")
    assert running.is_open("open")
    assert running.ending("ended") == AssociationEnd.LOST


def test_all_may_be_gone(running: Running) -> None:
    with running.house.database.write() as session:
        for table in (JobRow, InstanceRow, SeriesRow, AssociationRow):
            session.execute(delete(table))
    running.timeline = "00000002"
    wait_for(lambda: running.instances() == 3, "all is in the index again")
    assert running.is_open("open")


def test_as_long_as_the_server_is_the_same_nothing_is_looked_through(running: Running) -> None:
    with running.house.database.write() as session:
        session.execute(delete(JobRow))
        session.execute(delete(InstanceRow))
    running.indexer.put(replace(association(), association_id="another"))
    wait_for(lambda: running.is_open("another"), "it goes on")
    assert running.instances() == 0
