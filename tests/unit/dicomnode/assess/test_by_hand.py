"""What a person did with series, in words; what cannot be done is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.assess.again import try_again
from dicomnode.assess.by_hand import cancel, hold, put_first, release
from dicomnode.cli.views.queue_view import find
from dicomnode.errors import DataError
from storage.database import Database
from storage.outbox import claim_deliveries
from storage.records import JobKind, SeriesDetail, SeriesState
from support.storage_samples import LEASE, NOW, SERIES, analyse, instance, queue, receive, take

OTHER = "1.2.826.1.20"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    receive(opened)
    yield opened
    opened.close()


def found(database: Database, text: str = SERIES) -> tuple[SeriesDetail, ...]:
    return find(database, text)


def test_a_hold_says_what_it_stopped_and_what_still_goes_out(database: Database) -> None:
    queue(database)
    take(database, JobKind.ANALYSE)
    (done,) = hold(database, found(database), NOW)
    assert done.as_json() == {
        "series_key": SERIES,
        "on_hold_since": NOW.isoformat(),
        "analysis_stopped": True,
        "being_sent": 0,
    }
    assert done.text.endswith("before `dicomnode queue release`; its analysis was stopped")
    with pytest.raises(DataError, match=f"{SERIES}: it is on hold already"):
        hold(database, found(database), NOW)
    (gone_on,) = release(database, found(database), None, NOW)
    assert gone_on.as_json() == {"series_key": SERIES, "released": True}
    with pytest.raises(DataError, match=f"{SERIES}: nothing of it is held"):
        release(database, found(database), None, NOW)
    analyse(database)
    with database.write() as session:
        claim_deliveries(session, "PACS", "n/d/1/", NOW, LEASE, limit=1)
    (done,) = hold(database, found(database), NOW)
    assert done.text.endswith("1 object just being sent will arrive")


def test_a_cancelled_series_is_decided_on_anew_by_retry(database: Database) -> None:
    (done,) = cancel(database, found(database), NOW)
    assert done.as_json() == {
        "series_key": SERIES,
        "state": "skipped",
        "analysis_stopped": False,
        "reconsidered": [],
    }
    with pytest.raises(DataError, match="it was skipped: it is not analysed anyway"):
        cancel(database, found(database), NOW)
    (retried,) = try_again(database, found(database), NOW)
    assert retried.text == (
        "had ended by cancelled: by a person, 2025-03-01 12:00 UTC; is decided on again"
    )
    assert found(database)[0].series.state is SeriesState.RECEIVING


def test_what_was_analysed_is_not_cancelled_but_withdrawn(database: Database) -> None:
    queue(database)
    analyse(database)
    with pytest.raises(DataError, match="`dicomnode results retract` withdraws its results"):
        cancel(database, found(database), NOW)


def test_first_says_what_goes_first(database: Database) -> None:
    (done,) = put_first(database, found(database))
    assert done.text == "goes first now: its decision"
    queue(database)
    analyse(database)
    (done,) = put_first(database, found(database))
    assert done.as_json() == {"series_key": SERIES, "jobs": 0, "deliveries": 2}
    assert done.text == "goes first now: 2 deliveries"


def test_of_a_study_those_are_done_that_can_be(database: Database) -> None:
    """An accession number names both; one has nothing that waits."""
    queue(database)
    analyse(database, destinations=[])
    receive(database, instance(1, OTHER))
    (done,) = put_first(database, found(database, "ACC-7"))
    assert done.series_key == OTHER
    queue(database)
    analyse(database, [], destinations=[])
    with pytest.raises(DataError, match=r"analysed: nothing waits; .*: analysed: nothing waits"):
        put_first(database, found(database, "ACC-7"))
