"""The outbox: a series' results together, SR first, each destination by itself, fenced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from storage.database import Database
from storage.errors import LeaseLostError
from storage.outbox import (
    claim_deliveries,
    enter_results,
    hold_deliveries,
    mark_failed,
    mark_retry,
    mark_stored,
    renew_deliveries,
    to_each,
    wake_deliveries,
)
from storage.queries import delivery_counts, series_detail
from storage.records import RETRACTION_KIND, Delivery, DeliveryRecord, DeliveryState
from support.storage_samples import (
    LEASE,
    NOW,
    SERIES,
    SR,
    STUDY,
    analyse,
    instance,
    queue,
    receive,
    result,
    seconds,
)


def send(
    database: Database, destination: str = "PACS", now: datetime = NOW, limit: int = 10
) -> tuple[Delivery, ...]:
    with database.write() as session:
        return claim_deliveries(session, destination, "node/d/1/", now, LEASE, limit=limit)


def prepare(
    database: Database, series: str, priority: int = 1, now: datetime = NOW, study: str = ""
) -> None:
    """A series of a study of its own, unless one is named."""
    study = study or (STUDY if series == SERIES else f"{series}.0")
    receive(database, instance(1, series, received_at=now, priority=priority, study=study))
    queue(database, priority=priority, now=now)
    results = [result(f"{series}.{n}", series) for n in (1, 2)]
    analyse(database, [*results, result(f"{series}.sr", series, SR)], ["PACS", "ARCHIVE"], now)


def deliveries(database: Database, series: str = SERIES) -> tuple[DeliveryRecord, ...]:
    with database.read() as session:
        found = series_detail(session, series)
    assert found is not None
    return found.deliveries


def names(claimed: tuple[Delivery, ...]) -> list[str]:
    return [each.result.path.removesuffix(".dcm") for each in claimed]


def test_the_results_of_one_series_come_together_the_report_first(database: Database) -> None:
    prepare(database, "1.1")
    prepare(database, "1.2")
    assert names(send(database)) == ["1.1.sr", "1.1.1", "1.1.2"]
    assert names(send(database)) == ["1.2.sr", "1.2.1", "1.2.2"]
    assert send(database) == ()


def test_who_is_back_is_sent_what_was_held_the_urgent_first_and_the_refused_later(
    database: Database,
) -> None:
    prepare(database, "1.1")
    prepare(database, "1.2", priority=0)
    (refused,) = send(database, limit=1)
    probe = send(database, limit=1)
    with database.write() as session:
        mark_retry(session, refused, NOW + seconds(30), "out of resources", "0xA700")
        hold_deliveries(session, probe, "PACS", NOW + seconds(600), "away", "no connection")
        assert wake_deliveries(session, "PACS", NOW + seconds(2)) == 5
    assert send(database, now=NOW + seconds(1)) == ()
    assert names(send(database, now=NOW + seconds(2))) == ["1.2.1", "1.2.2"]
    assert names(send(database, now=NOW + seconds(2))) == ["1.1.sr", "1.1.1", "1.1.2"]
    assert names(send(database, now=NOW + seconds(30))) == ["1.2.sr"]


def test_the_urgent_series_is_sent_first(database: Database) -> None:
    prepare(database, "1.1")
    prepare(database, "1.2", priority=0, now=NOW + seconds(5))
    assert names(send(database, now=NOW + seconds(5)))[0] == "1.2.sr"


def test_no_more_than_the_limit(database: Database) -> None:
    prepare(database, SERIES)
    assert [names(send(database, limit=2)), names(send(database, limit=2))] == [
        [f"{SERIES}.sr", f"{SERIES}.1"],
        [f"{SERIES}.2"],
    ]


def test_a_dead_destination_holds_up_no_other(database: Database) -> None:
    prepare(database, SERIES)
    for delivery in send(database, "ARCHIVE"):
        with database.write() as session:
            mark_retry(session, delivery, NOW + seconds(300), "refused")
    assert len(send(database, "PACS")) == 3


def test_a_retry_waits_and_remembers_the_first_try(database: Database) -> None:
    prepare(database, SERIES)
    first, *_ = send(database, limit=1)
    with database.write() as session:
        mark_retry(session, first, NOW + seconds(30), "refused: 0xA700")
    assert first.result.sop_instance_uid not in {
        each.result.sop_instance_uid for each in send(database)
    }
    (again,) = send(database, now=NOW + seconds(30))
    assert (again.delivery_id, again.attempt) == (first.delivery_id, 2)
    assert (first.first_tried_at, again.first_tried_at) == (NOW, NOW)


def test_what_arrived_is_not_sent_again_and_what_failed_is_given_up(database: Database) -> None:
    prepare(database, SERIES)
    report, first, second = send(database)
    with database.write() as session:
        mark_stored(session, report, NOW + seconds(1), "0x0000")
        mark_failed(session, first, NOW, "0xA900")
        mark_stored(session, second, NOW, "0x0000")
    assert send(database, now=NOW + 99 * LEASE) == ()
    found = [each for each in deliveries(database) if each.destination == "PACS"]
    assert [(each.state, each.stored_at, each.error) for each in found] == [
        (DeliveryState.STORED, NOW + seconds(1), None),
        (DeliveryState.FAILED, None, "0xA900"),
        (DeliveryState.STORED, NOW, None),
    ]
    with database.read() as session:
        assert delivery_counts(session, [SERIES, "1.2.3"]) == {SERIES: (2, 6)}


@pytest.mark.parametrize(
    "write",
    [
        lambda session, delivery: mark_stored(session, delivery, NOW, "0x0000"),
        lambda session, delivery: mark_retry(session, delivery, NOW, "refused"),
        lambda session, delivery: mark_failed(session, delivery, NOW, "refused"),
    ],
    ids=["stored", "retry", "failed"],
)
def test_a_sender_that_wakes_up_late_can_write_nothing(
    database: Database, write: Callable[[Session, Delivery], None]
) -> None:
    prepare(database, SERIES)
    late = send(database)
    holder = send(database, now=NOW + LEASE)
    assert names(holder) == names(late)
    with pytest.raises(LeaseLostError, match="PACS, attempt 1"), database.write() as session:
        write(session, late[0])
    with database.write() as session:
        assert renew_deliveries(session, late, NOW, LEASE) == []
        assert renew_deliveries(session, holder, NOW + 2 * LEASE, LEASE) == list(holder)
    assert send(database, now=NOW + 2 * LEASE) == ()


def test_a_large_object_is_held_as_long_as_a_slow_line_takes(database: Database) -> None:
    """Else a second sender would take it over, and the first from the second, for ever."""
    large = replace(result("seg"), size_bytes=60_000_000)  # 3,000 s
    receive(database)
    queue(database)
    analyse(database, [large, result("sr", sop_class_uid=SR)])
    _, seg = send(database)
    almost = NOW + LEASE + seconds(2999)
    assert names(send(database, now=almost)) == ["sr"]
    with database.write() as session:
        assert renew_deliveries(session, [seg], almost, LEASE) == [seg]
    assert names(send(database, now=almost + LEASE + seconds(2999))) == ["sr"]


def test_results_of_a_series_that_was_opened_again_stay_here(database: Database) -> None:
    prepare(database, SERIES)
    receive(database, instance(2))
    assert send(database) == ()


def test_a_withdrawal_waits_for_no_new_analysis(database: Database) -> None:
    prepare(database, SERIES)
    note = replace(result("note", sop_class_uid=SR), kind=RETRACTION_KIND)
    with database.write() as session:
        enter_results(session, [note], to_each("PACS"), 1, NOW)
    receive(database, instance(2))
    assert names(send(database)) == ["note"]
    queue(database, "d2")
    assert send(database) == ()


def test_a_delivery_that_was_given_up_is_begun_anew_by_the_same_result(database: Database) -> None:
    """Its attempts count on: where one had no answer, the object may have arrived."""
    prepare(database, SERIES)
    for delivery in send(database):
        with database.write() as session:
            mark_failed(session, delivery, NOW, "0x0122")
    receive(database, instance(2))
    prepare(database, SERIES)
    assert [each.attempt for each in send(database)] == [2, 2, 2]


def test_two_claimers_never_share_the_results_of_a_series(database: Database) -> None:
    for number in range(12):
        prepare(database, f"1.{number}")
    start = threading.Barrier(4)
    claimed: list[tuple[Delivery, ...]] = []

    def drain() -> None:
        start.wait()
        while found := send(database):
            claimed.append(found)

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len({each.result.series_key for each in one}) for one in claimed) == [1] * 12
    assert [len(one) for one in claimed] == [3] * 12
