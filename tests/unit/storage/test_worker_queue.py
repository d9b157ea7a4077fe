"""What is left for the workers of one node, as they ask before they end."""

from __future__ import annotations

from storage.by_hand import hold
from storage.database import Database
from storage.jobs import put_back
from storage.lost_nodes import lose_silent
from storage.nodes import tell_alive, tell_equipment
from storage.records import JobKind
from storage.worker_queue import Left, left_to_analyse
from support.several_nodes import A, B, at, seal, share, take
from support.storage_samples import LEASE, NOW, SERIES, instance, queue, receive, seconds

EMPTY, OWN, OTHERS, COMING = Left(False), Left(True), Left(False, True), Left(False, coming=True)


def queued(database: Database, *, sealed: bool = True) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    queue(database, owner=f"{A}/w/1/")
    if sealed:
        seal(database, A)


def left(database: Database, node: str, after: float = 0) -> Left:
    with database.read() as session:
        return left_to_analyse(session, node, NOW + seconds(after), {"", "cpu"}, 8 << 30)


def test_what_can_be_read_is_for_everybody(database: Database) -> None:
    assert left(database, B) == EMPTY
    queued(database)
    assert left(database, A) == left(database, B) == OWN


def test_what_is_not_sealed_is_another_s(database: Database) -> None:
    queued(database, sealed=False)
    assert (left(database, A), left(database, B)) == (OWN, COMING)


def test_what_is_not_decided_yet_is_coming_unless_its_node_is_lost(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    assert left(database, A) == left(database, B) == COMING
    with database.write() as session:
        tell_alive(session, B, NOW + seconds(100))
        lose_silent(session, NOW + seconds(60), NOW + seconds(100))
    assert left(database, B, 100) == EMPTY


def test_what_is_for_another_equipment_is_not(database: Database) -> None:
    queued(database)
    with database.write() as session:
        tell_equipment(session, A, {}, "m1", receives=True)
    with database.read() as session:
        asked = (session, B, NOW, {""}, None)
        assert left_to_analyse(*asked, "m1") == OWN
        assert left_to_analyse(*asked, "m2") == EMPTY


def test_what_another_holds_is_left_until_its_lease_runs_out(database: Database) -> None:
    queued(database)
    assert take(database, A, JobKind.ANALYSE) is not None
    assert (left(database, A), left(database, B)) == (OWN, OTHERS)
    assert left(database, B, LEASE.total_seconds() + 1) == OWN


def test_what_is_tried_again_later_is_waited_for(database: Database) -> None:
    queued(database)
    job = take(database, A, JobKind.ANALYSE)
    assert job is not None
    with database.write() as session:
        put_back(session, job, NOW + seconds(600), count_attempt=False)
    assert left(database, B) == OWN


def test_what_a_person_holds_is_not(database: Database) -> None:
    queued(database)
    with database.write() as session:
        hold(session, SERIES, NOW)
    assert left(database, B) == EMPTY
