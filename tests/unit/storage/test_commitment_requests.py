"""What is stored and whose promise is asked for: by study, durably, and fenced."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import event

from storage import commitment_requests as requests
from storage.commitment_requests import Awaited
from storage.database import Database
from storage.outbox import claim_deliveries, mark_stored
from storage.queries import series_detail
from storage.records import DeliveryRecord, DeliveryState
from support.storage_samples import (
    LEASE,
    NOW,
    SERIES,
    STUDY,
    analyse,
    queue,
    receive,
    result,
    seconds,
)

LATER = NOW + seconds(10)


@pytest.fixture
def stored(database: Database) -> Database:
    """Three objects at PACS, stored at NOW, whose promise is to be asked for from LATER on."""
    receive(database)
    queue(database)
    analyse(database, [result("1"), result("2"), result("3")], ["PACS"])
    send(database, NOW, LATER)
    return database


def send(database: Database, now: datetime, confirm_at: datetime | None) -> None:
    with database.write() as session:
        for each in claim_deliveries(session, "PACS", "node/d/1/", now, LEASE, limit=9):
            mark_stored(session, each, now, "0x0000", "coerced", confirm_at)


def awaited(database: Database, now: datetime = LATER) -> tuple[Awaited, ...]:
    with database.read() as session:
        return requests.awaited_of_study(session, "PACS", STUDY, now)


def ask(database: Database, uid: str, now: datetime = LATER) -> tuple[Awaited, ...]:
    until = now + seconds(60)
    with database.write() as session:
        found = requests.awaited_of_study(session, "PACS", STUDY, now)
        return requests.enter_request(session, found, uid, now, until)


def commit(database: Database, uid: str, *names: str, now: datetime = LATER) -> set[str]:
    with database.write() as session:
        request = requests.find_request(session, uid)
        assert request is not None
        return requests.commit(session, request, [f"2.25.{name}" for name in names], now)


def deliveries(database: Database) -> dict[str, DeliveryRecord]:
    with database.read() as session:
        detail = series_detail(session, SERIES)
    assert detail is not None
    return {each.result.sop_instance_uid.rpartition(".")[2]: each for each in detail.deliveries}


def states(database: Database) -> dict[str, str]:
    return {name: each.state.value for name, each in deliveries(database).items()}


def test_what_is_stored_is_due_by_study_from_its_time_on(stored: Database) -> None:
    with stored.read() as session:
        assert requests.studies_to_ask_for(session, "PACS", NOW) == ()
        assert requests.studies_to_ask_for(session, "PACS", LATER) == (STUDY,)
        assert requests.studies_to_ask_for(session, "OTHER", LATER) == ()
    first, *_ = found = awaited(stored)
    assert [each.sop_instance_uid for each in found] == ["2.25.1", "2.25.2", "2.25.3"]
    assert (first.asked, first.study_instance_uid, first.series_instance_uid) == (
        0,
        STUDY,
        "2.25.99",
    )


def test_a_study_is_not_asked_for_while_it_is_being_sent(stored: Database) -> None:
    with stored.write() as session:
        found = requests.awaited_of_study(session, "PACS", STUDY, LATER)
        requests.send_again(session, found[0], NOW, "again", None)
        assert claim_deliveries(session, "PACS", "node/d/1/", NOW, LEASE, limit=1)
    with stored.read() as session:
        assert requests.studies_to_ask_for(session, "PACS", LATER) == ()


def test_a_request_takes_what_is_due_once(stored: Database) -> None:
    seen = awaited(stored)
    assert len(ask(stored, "2.25.100")) == 3
    assert ask(stored, "2.25.101") == ()
    with stored.write() as session:  # as another process that had read them before
        assert requests.enter_request(session, seen, "2.25.102", LATER, LATER) == ()
        assert requests.find_request(session, "2.25.102") is None
        assert requests.unreported(session, ["2.25.100", "2.25.101"]) == 1


def test_it_is_asked_again_after_its_time_and_counted(stored: Database) -> None:
    ask(stored, "2.25.100")
    again = LATER + seconds(60)
    assert [each.asked for each in awaited(stored, again)] == [1, 1, 1]
    ask(stored, "2.25.101", again)
    with stored.read() as session:
        request = requests.find_request(session, "2.25.101")
    assert request is not None
    assert request.attempt == 2


def test_a_promise_is_kept_with_the_warning_from_before(stored: Database) -> None:
    ask(stored, "2.25.100")
    assert commit(stored, "2.25.100", "1", "2", "77") == {"2.25.1", "2.25.2"}
    assert commit(stored, "2.25.100", "1") == {"2.25.1"}  # twice is once
    found = deliveries(stored)
    assert states(stored) == {"1": "committed", "2": "committed", "3": "stored"}
    assert (found["1"].error, found["1"].committed_at, found["1"].arrived) == (
        "coerced",
        LATER,
        True,
    )
    assert not found["3"].arrived


def test_a_late_report_counts_for_what_was_stored_before_it_was_asked_for(stored: Database) -> None:
    ask(stored, "2.25.100")
    again = LATER + seconds(60)
    ask(stored, "2.25.101", again)
    assert commit(stored, "2.25.100", "1", now=again) == {"2.25.1"}
    with stored.write() as session:
        one = requests.awaited_of_study(session, "PACS", STUDY, again + seconds(60))[0]
        requests.send_again(session, one, again, "gone", "0x0112")
    send(stored, again + seconds(1), again + seconds(2))  # it was sent anew after both requests
    assert commit(stored, "2.25.101", "2", now=again) == set()
    assert states(stored) == {"1": "committed", "2": "stored", "3": "stored"}


def test_what_is_sent_again_is_asked_for_from_the_beginning(stored: Database) -> None:
    ask(stored, "2.25.100")
    with stored.write() as session:
        one, *_ = requests.awaited_of_request(session, "2.25.100")
        requests.send_again(session, one, LATER, "not there", "0x0112")
        requests.send_again(session, one, LATER, "a second time", "0x0112")  # changes nothing
    found = deliveries(stored)["1"]
    assert (found.state, found.error, found.status) == (
        DeliveryState.WAITING,
        "not there",
        "0x0112",
    )
    send(stored, LATER, LATER)
    assert {each.sop_instance_uid: each.asked for each in awaited(stored)} == {"2.25.1": 0}
    with stored.read() as session:
        assert len(requests.awaited_of_request(session, "2.25.100")) == 2


def test_it_ends_as_stored_without_a_promise_or_parked(stored: Database) -> None:
    one, two, three = awaited(stored)
    with stored.write() as session:
        requests.leave_stored(session, [one], "no promise")
        requests.give_up(session, two, DeliveryState.REFUSED, LATER, "class", "0x0122")
        requests.ask_again(session, [three], LATER + seconds(5))
    found = deliveries(stored)
    assert (found["1"].arrived, found["1"].error) == (True, "coerced; no promise")
    assert (found["2"].state, found["2"].open) == (DeliveryState.REFUSED, False)
    assert found["3"].confirm_at == LATER + seconds(5)


def test_what_lies_where_nobody_asks_any_more_stays_stored(stored: Database) -> None:
    with stored.write() as session:
        assert requests.leave_unasked(session, ["PACS"], "not asked") == 0
        assert requests.leave_unasked(session, [], "not asked") == 3
    assert {each.error for each in deliveries(stored).values()} == {"coerced; not asked"}
    assert all(each.arrived for each in deliveries(stored).values())


def test_a_report_is_noted_once_and_old_requests_go(stored: Database) -> None:
    ask(stored, "2.25.100")
    with stored.write() as session:
        requests.close_request(session, "2.25.100", LATER)
        requests.close_request(session, "2.25.100", LATER + seconds(5))
        request = requests.find_request(session, "2.25.100")
        assert request is not None
        assert request.reported_at == LATER
        assert requests.unreported(session, ["2.25.100"]) == 0
        assert requests.remove_requests(session, LATER) == 0
        assert requests.remove_requests(session, LATER + seconds(1)) == 1


def test_a_request_for_many_objects_holds_the_database_for_no_time(database: Database) -> None:
    """A statement for each, under the lock of SQLite, kept receivers waiting for seconds."""
    receive(database)
    queue(database)
    analyse(database, [result(str(number)) for number in range(30)], ["PACS"])
    for _ in range(4):
        send(database, NOW, LATER)
    found = awaited(database)
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    with database.write() as session:
        event.listen(session.get_bind(), "before_cursor_execute", count)
        assert requests.enter_request(session, found, "2.25.7", LATER, LATER) == found
        session.flush()
        event.remove(session.get_bind(), "before_cursor_execute", count)
    assert len(found) == 30
    assert len([each for each in statements if each.startswith("UPDATE")]) == 1


def test_a_trial_is_told_apart_and_ends_with_a_count_that_moves_no_delivery(
    stored: Database,
) -> None:
    with stored.write() as session:
        requests.enter_trial(session, "2.25.77", "PACS", NOW)
        requests.end_trial(session, "2.25.77", LATER, 2)
        request = requests.find_request(session, "2.25.77")
    assert request is not None
    assert (request.is_trial, request.reported_at, request.failed) == (True, LATER, 2)
    assert set(states(stored).values()) == {"stored"}
