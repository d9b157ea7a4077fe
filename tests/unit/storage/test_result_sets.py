"""Results after they were made: found, sent again, withdrawn; on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from storage.database import Database
from storage.decided import Withdrawal
from storage.errors import LeaseLostError
from storage.outbox import claim_deliveries, mark_retry, mark_stored, to_each
from storage.queries import series_detail
from storage.records import (
    RETRACTION_KIND,
    Delivery,
    DeliveryState,
    ResultRecord,
    ResultSet,
    SeriesDetail,
)
from storage.result_history import KeptWithdrawal
from storage.result_sets import (
    enter_withdrawal,
    find_sets,
    recent_sets,
    resend,
    sets_of_series,
)
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

LATER = NOW + seconds(100)
FIRST = [result("sr", sop_class_uid=SR), result("sc")]
SECOND = [replace(result("sr2", sop_class_uid=SR), created_at=LATER)]
KEY_OBJECT = replace(
    result("ko", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59"),
    kind=RETRACTION_KIND,
    created_at=LATER,
)
WHY = ("safety", "Rejected for Patient Safety Reasons")


def analysed(database: Database, *destinations: str) -> ResultSet:
    receive(database)
    queue(database)
    analyse(database, FIRST, destinations or ("PACS",))
    return only_set(database)


def only_set(database: Database) -> ResultSet:
    with database.read() as session:
        (found,) = sets_of_series(session, SERIES)
    return found


def detail(database: Database) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, SERIES)
    assert found is not None
    return found


def claim(
    database: Database, destination: str = "PACS", now: datetime = LATER
) -> tuple[Delivery, ...]:
    with database.write() as session:
        return claim_deliveries(session, destination, "node/d/1/", now, LEASE, limit=10)


def deliver(database: Database, destination: str = "PACS") -> int:
    claimed = claim(database, destination)
    with database.write() as session:
        for each in claimed:
            mark_stored(session, each, LATER, "0x0000")
    return len(claimed)


def kept(chosen: ResultSet, notes: dict[str, ResultRecord]) -> KeptWithdrawal:
    uids = tuple(each.sop_instance_uid for each in chosen.results)
    return KeptWithdrawal(SERIES, Withdrawal(LATER, uids, 0, (), *WHY), notes)


def withdraw(
    database: Database, chosen: ResultSet, **notes: ResultRecord
) -> tuple[str, ...] | None:
    with database.write() as session:
        return enter_withdrawal(session, kept(chosen, notes or {"PACS": KEY_OBJECT}))


def states(database: Database) -> dict[str, tuple[DeliveryState, str | None]]:
    return {d.result.path: (d.state, d.error) for d in detail(database).deliveries}


@pytest.mark.parametrize("text", [SERIES, STUDY, "ACC-7", "2.25.sr", "25.sc", "2.25.99"])
def test_a_set_is_found_by_whatever_names_it(database: Database, text: str) -> None:
    made = analysed(database)
    with database.read() as session:
        assert find_sets(session, text) == (made,)
    assert {each.sop_instance_uid for each in made.results} == {"2.25.sr", "2.25.sc"}
    assert made.stands


@pytest.mark.parametrize("text", ["", "  ", "%", "9.9.9"])
def test_what_names_nothing_finds_nothing(database: Database, text: str) -> None:
    analysed(database)
    with database.read() as session:
        assert find_sets(session, text) == ()


def test_the_older_set_of_a_series_is_superseded(database: Database) -> None:
    analysed(database)
    deliver(database)
    receive(database, instance(3))
    queue(database, "d2")
    analyse(database, SECOND)
    with database.read() as session:
        newest, oldest = recent_sets(session, 10)
        assert recent_sets(session, 1) == (newest,)
    assert (newest.superseded, oldest.superseded) == (False, True)
    assert [each.path for each in newest.results] == ["sr2.dcm"]


def test_what_was_delivered_is_sent_again_to_all_and_to_who_is_new(database: Database) -> None:
    made = analysed(database)
    assert deliver(database) == 2
    with database.write() as session:
        assert resend(session, made, to_each("PACS", "ARCHIVE"), LATER) == 4
    found = detail(database)
    assert {(d.destination, d.state, d.stored_at) for d in found.deliveries} == {
        ("PACS", DeliveryState.WAITING, None),
        ("ARCHIVE", DeliveryState.WAITING, None),
    }
    assert deliver(database) == deliver(database, "ARCHIVE") == 2


def test_what_is_being_sent_is_left_to_its_deliverer(database: Database) -> None:
    made = analysed(database)
    claimed = claim(database)
    with database.write() as session:
        assert resend(session, made, to_each("PACS"), LATER) == 0
    with database.write() as session:
        for each in claimed:
            mark_stored(session, each, LATER, "0x0000")
    assert {d.state for d in detail(database).deliveries} == {DeliveryState.STORED}


def test_a_withdrawal_is_told_to_who_has_it_and_stands_in_the_history(database: Database) -> None:
    made = analysed(database, "PACS", "ARCHIVE")
    deliver(database)
    notes = {"PACS": KEY_OBJECT, "ARCHIVE": KEY_OBJECT}
    assert withdraw(database, made, **notes) == ("PACS",)
    found = detail(database)
    (entry,) = found.series.history
    assert isinstance(entry, Withdrawal)
    assert entry.retracted == ("2.25.sr", "2.25.sc")
    assert (entry.state, entry.why, entry.notified) == ("retracted", "safety", ("PACS",))
    archive = [d for d in found.deliveries if d.destination == "ARCHIVE"]
    assert {(d.state, d.error) for d in archive} == {(DeliveryState.ABANDONED, "retracted")}
    assert [d.result.path for d in claim(database)] == ["ko.dcm"]
    assert claim(database, "ARCHIVE") == ()


def test_a_withdrawn_set_is_neither_withdrawn_nor_sent_again(database: Database) -> None:
    made = analysed(database)
    deliver(database)
    assert withdraw(database, made) == ("PACS",)
    assert withdraw(database, made) is None
    assert len(detail(database).series.history) == 1
    with database.write() as session:
        assert resend(session, made, to_each("PACS"), LATER) == 0
    with database.read() as session:
        first, retraction = sets_of_series(session, SERIES)
    assert (first.retracted_at, first.stands) == (LATER, False)
    assert retraction.is_retraction
    assert retraction.stands


def test_who_is_sending_when_it_is_withdrawn_cannot_put_it_back(database: Database) -> None:
    made = analysed(database)
    sending = claim(database)
    assert withdraw(database, made) == ("PACS",)  # it may have arrived
    with pytest.raises(LeaseLostError), database.write() as session:
        mark_retry(session, sending[0], LATER, "no answer")
    assert states(database)["sr.dcm"] == (DeliveryState.ABANDONED, "retracted")
    assert claim(database) == ()  # over another association it would arrive before its object
    assert [d.result.path for d in claim(database, now=LATER + LEASE)] == ["ko.dcm"]


def test_a_destination_that_was_resent_to_still_counts_as_having_it(database: Database) -> None:
    made = analysed(database)
    deliver(database)
    with database.write() as session:
        resend(session, made, to_each("PACS"), LATER)
    assert withdraw(database, made) == ("PACS",)


def test_a_withdrawal_goes_out_even_when_the_series_is_decided_anew(database: Database) -> None:
    made = analysed(database)
    deliver(database)
    withdraw(database, made)
    receive(database, instance(3, received_at=LATER))
    queue(database, "d2", now=LATER)
    analyse(database, SECOND, now=LATER)
    assert {d.result.path for d in claim(database)} == {"ko.dcm", "sr2.dcm"}
    history = detail(database).series.history
    assert [entry.state for entry in history] == ["retracted", "analysed"]


def test_withdrawal_and_history_are_kept_or_lost_together(database: Database) -> None:
    made = analysed(database)
    deliver(database)

    def break_off() -> None:
        with database.write() as session:
            enter_withdrawal(session, kept(made, {"PACS": KEY_OBJECT}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    found = detail(database)
    assert (found.series.history, len(found.results)) == ((), 2)
