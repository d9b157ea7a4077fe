"""The troubles of the node outlive the process that saw them."""

from __future__ import annotations

from dataclasses import replace

from storage.database import Database
from storage.overview_records import TroubleRecord
from storage.troubles import put_troubles, remove_troubles, unfinished_troubles
from support.storage_samples import NOW, seconds

AWAY = TroubleRecord("destination_away:pacs", "warning", "it is", "mend it", NOW, NOW, NOW)


def unfinished(database: Database) -> tuple[TroubleRecord, ...]:
    with database.read() as session:
        return unfinished_troubles(session, NOW)


def put(database: Database, *records: TroubleRecord) -> None:
    with database.write() as session:
        put_troubles(session, records)


def test_a_trouble_is_entered_once_with_what_became_of_it(database: Database) -> None:
    later = NOW + seconds(60)
    told = replace(AWAY, last_seen_at=later, text="still", told=frozenset({"mail", "log"}))
    put(database, AWAY)
    put(database, told)
    assert unfinished(database) == (told,)
    over = replace(told, over_at=later, told_over=frozenset({"log"}))
    again = replace(AWAY, first_seen_at=later + seconds(60))
    put(database, over, again)
    assert unfinished(database) == (over, again)


def test_what_is_long_over_is_not_told_again_and_goes_in_the_end(database: Database) -> None:
    over = replace(AWAY, over_at=NOW - seconds(1))
    lasting = replace(AWAY, name="disk_full")
    put(database, over, lasting)
    assert unfinished(database) == (lasting,)
    with database.write() as session:
        remove_troubles(session, NOW - seconds(1))
    with database.read() as session:
        assert len(unfinished_troubles(session, NOW - seconds(9))) == 2
    with database.write() as session:
        remove_troubles(session, NOW)
    with database.read() as session:
        assert unfinished_troubles(session, NOW - seconds(9)) == (lasting,)
