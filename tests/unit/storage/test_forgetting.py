"""A node that never comes back: what it alone had is told, and nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import select

from storage import queries
from storage.database import Database
from storage.forgetting import FORGOTTEN, LeftBehind, forget, left_behind, nodes_called
from storage.index import instances_of_series, record_instances
from storage.lost_nodes import lose_silent, lost_instances, send_for, series_to_send_for
from storage.models import RemovalRow
from storage.nodes import all_nodes, join, tell_alive
from storage.overview_records import TroubleRecord
from storage.records import DeliveryState, FileKind, JobKind, StoredInstance
from storage.troubles import put_troubles, unfinished_troubles
from support.several_nodes import A, B, at, share, take
from support.storage_samples import NOW, SERIES, analyse, instance, queue, receive, result, seconds

LATER = NOW + seconds(120)


def lose(database: Database) -> None:
    """A, which is not heard of."""
    with database.write() as session:
        tell_alive(session, B, LATER)
        lose_silent(session, LATER - seconds(60), LATER)
        for key in series_to_send_for(session):
            send_for(session, key, LATER)


def forgotten(database: Database) -> bool:
    with database.write() as session:
        return forget(session, A)


def analysed(database: Database, instances: Iterable[StoredInstance]) -> None:
    """A series with a result on each node, that wait to be sent; from then on both share it."""
    receive(database, *instances)
    queue(database)
    analyse(database, [replace(result("one"), node_id=A), replace(result("two"), node_id=B)])
    share(database)


def test_what_it_alone_has_is_counted(database: Database) -> None:
    analysed(database, at(A, instance(1), instance(2)))
    other, third = "1.2.826.1.11", "1.2.826.1.12"
    receive(database, *at(A, instance(1, other)), *at(B, instance(2, other), instance(1, third)))
    lose(database)
    with database.read() as session:
        assert left_behind(session, A) == LeftBehind(1, 1, 3, 1, 1)
        assert left_behind(session, "c" * 32) == LeftBehind(0, 0, 0, 0, 0)


def test_only_one_that_is_lost_is_forgotten_and_once(database: Database) -> None:
    share(database)
    assert not forgotten(database), "it is heard of"
    lose(database)
    assert forgotten(database)
    assert not forgotten(database)
    with database.read() as session:
        first, second = all_nodes(session)
        assert (first.forgotten, second.forgotten) == (True, False)
        assert nodes_called(session, "host-0") == nodes_called(session, A) == ()
        for called in ("host-1", B, B[:8]):
            assert [each.node_id for each in nodes_called(session, called)] == [B]
        assert nodes_called(session, B[:7]) == ()


def test_the_others_go_on_having_sent_what_it_had(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)), *at(B, instance(2)))
    lose(database)
    assert forgotten(database)
    fetch = take(database, B, JobKind.FETCH, LATER)
    assert fetch is not None
    with database.write() as session:
        assert lost_instances(session, SERIES) == (f"{SERIES}.1",)
        record_instances(session, at(B, instance(1, received_at=LATER)))
        assert lost_instances(session, SERIES) == ()
        assert {each.node_id for each in instances_of_series(session, SERIES)} == {B}
    assert take(database, B, JobKind.ASSESS, LATER) is not None


def test_what_it_had_not_sent_is_given_up_and_says_why(database: Database) -> None:
    analysed(database, at(B, instance(1)))
    lose(database)
    assert forgotten(database)
    with database.read() as session:
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    found = {each.result.node_id: (each.state, each.error) for each in detail.deliveries}
    assert found == {A: (DeliveryState.FAILED, FORGOTTEN), B: (DeliveryState.WAITING, None)}


def test_nothing_is_noted_of_its_disk_or_its_troubles_any_more(database: Database) -> None:
    share(database)
    trouble = TroubleRecord("disk_full", "error", "full", "mend", NOW, NOW, NOW)
    with database.write() as session:
        for node in (A, B):
            values = {"node_id": node, "kind": FileKind.INSTANCE, "path": "x"}
            session.add(RemovalRow(**values, untouched_since=NOW))
            put_troubles(session, [trouble], node)
    lose(database)
    assert forgotten(database)
    with database.read() as session:
        assert session.scalars(select(RemovalRow.node_id)).all() == [B]
        assert unfinished_troubles(session, NOW, A) == ()
        assert len(unfinished_troubles(session, NOW, B)) == 1


def test_one_that_comes_back_all_the_same_is_a_node_again(database: Database) -> None:
    share(database)
    for comes_back in (join, None):
        lose(database)
        assert forgotten(database)
        with database.write() as session:
            if comes_back is None:  # it ran all the time, and was cut off
                tell_alive(session, A, LATER)
            else:
                comes_back(session, A, "host-0", True, NOW + seconds(1))
            assert not any(each.forgotten or each.left_at for each in all_nodes(session))
