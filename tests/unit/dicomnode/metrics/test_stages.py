"""The time of each stage, observed once a series, where the stage ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from dicomnode.metrics.stages import observe_analysed, observe_committed, observe_stored
from storage import outbox
from storage.database import Database
from storage.models import DeliveryRow, SeriesRow
from storage.queries import list_series
from storage.records import DeliveryState, SeriesState
from support.counted import stage_seconds
from support.storage_samples import LEASE, NOW, SERIES, analyse, queue, receive, result, seconds

ENDED = NOW + seconds(40)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A series whose last slice came at NOW, decided 10 s later, analysed 40 s after NOW."""
    made = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    receive(made)
    queue(made, now=NOW + seconds(10))
    analyse(made, [result("1"), result("2")], now=ENDED)
    yield made
    made.close()


class Grown:
    """What the stages have grown by since."""

    def __init__(self) -> None:
        self._before = {stage: stage_seconds(stage) for stage in STAGES}

    def by(self) -> dict[str, object]:
        grown: dict[str, object] = {}
        for stage, (count, total) in self._before.items():
            now = stage_seconds(stage)
            if now[0] != count:
                grown[stage] = (now[0] - count, pytest.approx(now[1] - total))
        return grown


STAGES = ("completeness", "queue", "analysis", "delivery", "commitment", "total")


def store(database: Database, uid: str, after: float) -> None:
    with database.write() as session:
        claimed = outbox.claim_deliveries(session, "PACS", "o/", ENDED, LEASE, limit=1)
        assert [each.result.sop_instance_uid for each in claimed] == [uid]
        outbox.mark_stored(session, claimed[0], ENDED + seconds(after), "0x0000")


def observe(database: Database, after: float, is_the_end: bool = True) -> None:
    with database.read() as session:
        last = {SERIES: ENDED + seconds(after)}
        observe_stored(session, "PACS", last, is_the_end=is_the_end)


def test_an_analysis_tells_of_the_stages_up_to_its_end(database: Database) -> None:
    grown = Grown()
    with database.read() as session:
        (series,) = list_series(session)
    observe_analysed(series, NOW + seconds(15), ENDED)
    assert grown.by() == {"completeness": (1, 10), "queue": (1, 5), "analysis": (1, 25)}


def test_a_delivery_ends_with_its_last_object_and_once(database: Database) -> None:
    grown = Grown()
    store(database, "2.25.1", 3)
    observe(database, 3)
    assert grown.by() == {}, "the other object is on its way"
    store(database, "2.25.2", 8)
    observe(database, 3)
    assert grown.by() == {}, "another thread had the last one"
    observe(database, 8)
    assert grown.by() == {"delivery": (1, 8), "total": (1, 48)}


def test_with_commitment_it_ends_with_the_last_promise(database: Database) -> None:
    grown = Grown()
    store(database, "2.25.1", 3)
    store(database, "2.25.2", 8)
    observe(database, 8, is_the_end=False)
    promised = ENDED + seconds(20)
    with database.write() as session:
        for uid, at in (("2.25.1", ENDED + seconds(12)), ("2.25.2", promised)):
            statement = update(DeliveryRow).where(DeliveryRow.sop_instance_uid == uid)
            committed = {"state": DeliveryState.COMMITTED, "committed_at": at}
            session.execute(statement.values(committed))
            observe_committed(session, "PACS", [uid], at)
        observe_committed(session, "PACS", ["2.25.1", "2.25.2"], ENDED + seconds(90))
    assert grown.by() == {"delivery": (1, 8), "commitment": (1, 12), "total": (1, 60)}


def test_what_is_sent_again_by_hand_or_changed_since_is_left_out(database: Database) -> None:
    grown = Grown()
    store(database, "2.25.1", 3)
    store(database, "2.25.2", 8)
    with database.write() as session:
        session.execute(update(DeliveryRow).values(created_at=ENDED + seconds(5)))
    observe(database, 8)
    with database.write() as session:
        session.execute(update(DeliveryRow).values(created_at=ENDED))
        session.execute(update(SeriesRow).values(last_received_at=ENDED + seconds(1)))
    observe(database, 8)
    assert grown.by() == {}
    with database.read() as session:
        assert session.scalars(select(SeriesRow.state)).one() is SeriesState.ANALYSED
