"""Requests for storage commitment that peers make: kept until they are reported on."""

from __future__ import annotations

from dataclasses import replace

from storage import commitment_answers as answers
from storage.commitment_answers import HeldInstance, OwedReport
from storage.database import Database
from support.storage_samples import NOW, instance, receive, seconds

OWED = OwedReport("SCANNER", "2.25.5", (("1.2", "1.2.3"),), NOW, not_before=NOW + seconds(5))
DUE = NOW + seconds(5)


def enter(database: Database, owed: OwedReport = OWED) -> None:
    with database.write() as session:
        answers.enter(session, owed)


def listed(database: Database) -> tuple[OwedReport, ...]:
    with database.read() as session:
        return answers.list_owed(session)


def test_it_is_taken_when_it_is_due_and_by_one(database: Database) -> None:
    enter(database)
    with database.write() as session:
        assert answers.take_due(session, NOW, DUE) is None
        taken = answers.take_due(session, DUE, DUE + seconds(60))
        assert taken == replace(OWED, attempt=1, not_before=DUE + seconds(60))
        assert answers.take_due(session, DUE, DUE) is None


def test_a_report_ends_it_and_the_same_request_begins_anew(database: Database) -> None:
    enter(database)
    with database.write() as session:
        answers.record_reported(session, OWED, 0, DUE)
        assert answers.take_due(session, DUE, DUE) is None
    assert listed(database) == (replace(OWED, not_before=None, reported_at=DUE, failed=0),)
    enter(database)
    assert listed(database) == (OWED,)


def test_two_peers_may_use_the_same_transaction_uid(database: Database) -> None:
    enter(database)
    enter(database, replace(OWED, ae_title="OTHER"))
    assert len(listed(database)) == 2


def test_it_is_tried_later_and_given_up(database: Database) -> None:
    enter(database)
    with database.write() as session:
        answers.record_unreported(session, OWED, DUE, "away")
        assert answers.remove_answers(session, DUE) == 0  # it is still owed
        answers.record_unreported(session, OWED, None, "for good")
        assert answers.take_due(session, DUE, DUE) is None
    assert [each.error for each in listed(database)] == ["for good"]
    with database.write() as session:
        assert answers.remove_answers(session, NOW) == 0
        assert answers.remove_answers(session, DUE) == 1


def test_what_the_index_knows_is_found(database: Database) -> None:
    receive(database)
    one = instance(1)
    with database.read() as session:
        found = answers.held_instances(session, [one.sop_instance_uid, "1.9"])
    assert found == {one.sop_instance_uid: HeldInstance(one.sop_class_uid, one.path)}
