"""What the database tells of a node."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.health.looks import Looks
from dicomnode.health.work import WorkReader
from storage.database import Database
from storage.outbox import claim_deliveries, mark_refused, mark_retry
from support.storage_samples import LEASE, NOW, analyse, instance, queue, receive


def test_what_a_peer_said_in_its_own_words_is_not_among_the_facts(tmp_path: Path) -> None:
    url, error = (
        f"sqlite:///{tmp_path}/node.db",
        Outcome(Ending.HOPELESS, "0xC000", "C-STORE answered 0xC000", comment="DOE^JANE").shown,
    )
    with closing(Database.open(url)) as database:
        receive(database)
        queue(database)
        analyse(database)
        with database.write() as session:
            one, other = claim_deliveries(session, "PACS", "node/d/1/", NOW, LEASE, limit=2)
            mark_refused(session, one, NOW, error, "0xC000")
            mark_retry(session, other, NOW, error, "0xC000")
        looks = Looks()
        work = WorkReader(url, database, HealthPolicy()).read(looks, NOW)
    told = [*(each.error for each in work.deliveries), *(each.error for each in work.parked)]
    assert told == ["C-STORE answered 0xC000"] * 2
    assert looks.blind == []


def test_the_past_of_the_sources_is_read_now_and_then_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.db"
    with closing(Database.open(url)) as database:
        reader = WorkReader(url, database, HealthPolicy())
        assert reader.read(Looks(), NOW).sources == ()
        receive(database, instance(1))
        assert reader.read(Looks(), NOW + timedelta(minutes=4)).sources == ()
        (source,) = reader.read(Looks(), NOW + timedelta(minutes=5)).sources
        assert (source.ae_title, source.last_at) == ("SCANNER", NOW)
        back = reader.read(Looks(), NOW - timedelta(hours=1))
        assert back.sources == (source,), "a clock that was set back stops nothing"


def test_the_series_of_the_last_day_are_counted_however_long_events_are_told(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/node.db"
    with closing(Database.open(url)) as database:
        receive(database, instance(1))
        for hours, counted in ((1, 1), (23, 1), (25, 0)):
            reader = WorkReader(url, database, HealthPolicy(event_hours=2 if hours < 24 else 99))
            series = reader.read(Looks(), NOW + timedelta(hours=hours)).series
            assert sum(series.values()) == counted
