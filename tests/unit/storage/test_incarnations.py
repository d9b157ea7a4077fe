"""What the rows say is on the disk of a node, and is not, counts as lost: it is sent for."""

from __future__ import annotations

from dataclasses import replace

from storage.database import Database
from storage.forgetting import Unreadable, unreadable
from storage.incarnations import alone_on, give_up, held, note_twice, sign
from storage.index import instances_of_series, record_instances
from storage.lost_nodes import (
    lost_instances,
    send_for,
    series_to_analyse_again,
    series_to_send_for,
)
from storage.nodes import all_nodes, join
from storage.queries import series_detail
from storage.records import JobKind
from support.several_nodes import A, B, at, share, take
from support.storage_samples import NOW, SERIES, analyse, instance, queue, receive, result, seconds

LATER = NOW + seconds(120)
FORMER = f"host-0 before {LATER:%Y-%m-%d %H:%M UTC}"


def test_a_node_bears_the_mark_of_its_last_start_and_that_it_was_wanted_twice(
    database: Database,
) -> None:
    share(database)
    with database.write() as session:
        sign(session, A, "start/word")
        note_twice(session, A, "copy", LATER)
        found = held(session, A)
        assert found is not None
        assert (found.mark, found.twice_on, found.twice_at) == ("start/word", "copy", LATER)
        assert held(session, "c" * 32) is None
        join(session, A, "host-0", True, LATER)
        begun = held(session, A)
    assert begun is not None
    assert (begun.twice_on, begun.twice_at) == ("", None), "it is settled"


def test_what_is_gone_from_a_disk_is_sent_for_and_taken_over_when_it_comes(
    database: Database,
) -> None:
    share(database)
    receive(database, *at(A, instance(1), instance(2)), *at(B, instance(3)))
    with database.write() as session:
        alone = alone_on(session, A)
        assert set(alone.instances) == {f"{SERIES}.1", f"{SERIES}.2"}
        assert give_up(session, A, [f"{SERIES}.2"], [], LATER) == FORMER
        assert lost_instances(session, SERIES) == (f"{SERIES}.2",)
        assert series_to_send_for(session) == (SERIES,)
        send_for(session, SERIES, LATER)
        assert unreadable(session, SERIES) == (Unreadable(FORMER, 1, 0, forgotten=False),)
        assert all(each.forgotten for each in all_nodes(session) if each.name == FORMER)
    assert take(database, A, JobKind.ASSESS, LATER) is None, "it cannot read all of it"
    assert take(database, A, JobKind.FETCH, LATER) is not None
    with database.write() as session:
        record_instances(session, at(A, instance(2, received_at=LATER)))
        assert lost_instances(session, SERIES) == ()
        holders = [each.node_id for each in instances_of_series(session, SERIES)]
        assert sorted(holders) == [A, A, B]
        assert unreadable(session, SERIES) == ()
        detail = series_detail(session, SERIES)
    assert detail is not None
    assert [each.state for each in detail.series.history] == ["node_lost"]


def test_results_that_are_gone_and_not_sent_are_made_anew(database: Database) -> None:
    receive(database, *at(A, instance(1)))
    queue(database)
    analyse(database, [replace(result("one"), node_id=A), replace(result("two"), node_id=A)])
    share(database)
    with database.write() as session:
        assert set(alone_on(session, A).results) == {"2.25.one", "2.25.two"}
        assert series_to_analyse_again(session) == ()
        give_up(session, A, [], ["2.25.two"], LATER)
        assert series_to_analyse_again(session) == (SERIES,)
