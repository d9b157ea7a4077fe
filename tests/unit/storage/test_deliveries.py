"""What an administrator does with deliveries: of one destination or of all."""

from __future__ import annotations

import pytest

from storage import adopt
from storage.database import Database
from storage.decided import RETRACTED
from storage.deliveries import (
    DROPPED,
    REMOVED,
    RETRIED,
    abandon_deliveries,
    abandon_unknown,
    list_deliveries,
    retry_deliveries,
)
from storage.errors import LeaseLostError
from storage.outbox import (
    claim_deliveries,
    mark_failed,
    mark_refused,
    mark_retry,
    mark_stored,
)
from storage.records import Delivery, DeliveryState
from storage.retention import ended_series
from support.storage_samples import LEASE, NOW, SERIES, analyse, instance, queue, receive, seconds

LATER = NOW + seconds(3600)
BOTH = ("PACS", "ARCHIVE")


def prepare(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database, destinations=BOTH)


def claimed(database: Database, destination: str) -> tuple[Delivery, ...]:
    with database.write() as session:
        return claim_deliveries(session, destination, "node/d/1/", NOW, LEASE, limit=10)


def states(database: Database, *destinations: str) -> list[tuple[str, str, str | None]]:
    with database.read() as session:
        found = list_deliveries(session, destinations)
    assert {uid for _, uid in found} <= {SERIES}
    return sorted((each.destination, each.state.value, each.error) for each, _ in found)


def one_refused_one_stored(database: Database) -> None:
    prepare(database)
    first, second = claimed(database, "PACS")
    with database.write() as session:
        mark_refused(session, first, NOW, "not supported", "0x0122")
        mark_stored(session, second, NOW, "0x0000")


def test_what_did_not_arrive_is_tried_again_at_one_destination(database: Database) -> None:
    one_refused_one_stored(database)
    for each in claimed(database, "ARCHIVE"):
        with database.write() as session:
            mark_retry(session, each, LATER, "out of resources", "0xA700")
    undelivered = (DeliveryState.WAITING, DeliveryState.REFUSED)
    with database.write() as session:
        assert retry_deliveries(session, ["PACS"], undelivered, LATER) == 1
    assert states(database, "PACS") == [("PACS", "stored", None), ("PACS", "waiting", None)]
    assert [error for _, _, error in states(database, "ARCHIVE")] == ["out of resources"] * 2
    with database.read() as session:
        ((tried, _),) = list_deliveries(session, ["PACS"], [DeliveryState.WAITING])
    assert (tried.attempt, tried.status, tried.not_before) == (1, None, LATER)


def test_what_is_dropped_can_be_taken_back_and_what_is_withdrawn_cannot(
    database: Database,
) -> None:
    prepare(database)
    waiting = (DeliveryState.WAITING,)
    with database.write() as session:
        assert abandon_deliveries(session, ["ARCHIVE"], waiting, DROPPED, NOW) == 2
        assert abandon_deliveries(session, ["PACS"], waiting, RETRACTED, NOW) == 2
    abandoned = (DeliveryState.ABANDONED,)
    with database.write() as session:
        assert retry_deliveries(session, [], abandoned, NOW) == 2
    assert states(database) == [
        *[("ARCHIVE", "waiting", None)] * 2,
        *[("PACS", "abandoned", "retracted")] * 2,
    ]


def test_what_is_about_an_older_input_is_not_tried_again(database: Database) -> None:
    """It would arrive after the results of all slices, and be taken for the newest."""
    prepare(database)
    failed, sending = claimed(database, "PACS")
    with database.write() as session:
        mark_failed(session, failed, NOW, "given up")
        abandon_deliveries(session, ["ARCHIVE"], (DeliveryState.WAITING,), DROPPED, NOW)
    receive(database, instance(3))
    queue(database, "all slices")
    with pytest.raises(LeaseLostError), database.write() as session:
        mark_retry(session, sending, NOW, "aborted")
    with database.write() as session:
        assert retry_deliveries(session, [], list(DeliveryState), NOW) == 0
    assert states(database) == [
        *[("ARCHIVE", "abandoned", "superseded")] * 2,
        *[("PACS", "abandoned", "superseded")] * 2,
    ]


def test_what_is_held_is_sent_when_it_is_released_and_not_before(database: Database) -> None:
    prepare(database)
    with database.write() as session:
        assert adopt.hold(session, NOW) == (0, 4)
        assert retry_deliveries(session, [], RETRIED, NOW) == 0
        assert adopt.release(session, NOW) == (0, 4)


def test_a_destination_that_is_no_more_holds_nothing_up(database: Database) -> None:
    one_refused_one_stored(database)
    claimed(database, "ARCHIVE")  # by a process that is dead by now

    def open_deliveries() -> int:
        with database.read() as session:
            (ended,) = ended_series(session, LATER, None, 10)
        return ended.open_deliveries

    assert open_deliveries() == 2
    with database.write() as session:
        assert abandon_unknown(session, ["PACS"], NOW) == {"ARCHIVE": 2}
    assert states(database, "ARCHIVE") == [("ARCHIVE", "abandoned", REMOVED)] * 2
    assert open_deliveries() == 0
    with database.write() as session:
        assert abandon_unknown(session, [], NOW) == {}
    assert [state for _, state, _ in states(database, "PACS")] == ["refused", "stored"]
