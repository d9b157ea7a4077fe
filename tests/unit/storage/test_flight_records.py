"""The flight recorder: whatever is changed, removed, put in between or cut off is found out."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from storage import flight_records
from storage.database import Database
from storage.flight_records import BEGINNING, Anchor, Break, check
from storage.move import move_rows
from storage.operating_tables import FlightRecordRow

NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, UTC)


def _append(database: Database, key: str = "1.2.3", **content: Any) -> Anchor:
    with database.write() as session:
        return flight_records.append(session, NOW, key, "1.2.826", content or {"found": 1})


@pytest.fixture
def chain(database: Database) -> list[Anchor]:
    """Five records."""
    return [_append(database, f"1.2.{number}", number_of_it=number) for number in range(1, 6)]


def _breaks(database: Database, anchor: Anchor | None = None) -> list[Break]:
    with database.read() as session:
        return list(check(flight_records.records(session), anchor))


def test_records_follow_each_other_and_each_digest_is_that_of_its_text_and_the_one_before(
    database: Database, chain: list[Anchor]
) -> None:
    with database.read() as session:
        rows = list(flight_records.records(session))
        assert flight_records.head(session) == chain[-1]
    assert [each.number for each in rows] == [1, 2, 3, 4, 5]
    previous = BEGINNING
    for row in rows:
        assert row.previous == previous
        previous = hashlib.sha256(f"{previous}\n{row.record}".encode()).hexdigest()
        assert row.digest == previous
        assert row.content["series_key"] == row.series_key
    assert _breaks(database) == []
    assert _breaks(database, chain[2]) == []


def test_a_record_that_was_changed_is_found(database: Database, chain: list[Anchor]) -> None:
    with database.write() as session:
        text = FlightRecordRow.record
        changed = update(FlightRecordRow).where(FlightRecordRow.number == 3)
        session.execute(changed.values(record=func.replace(text, '"number_of_it":3', '"n":"8"')))
    assert _breaks(database) == [Break(3, "record 3 was changed")]


@pytest.mark.parametrize("text", ["no JSON", "[]"])
def test_a_last_record_that_is_none_is_found_although_its_digest_fits(
    database: Database, chain: list[Anchor], text: str
) -> None:
    digest = flight_records.digest_of(chain[3].digest, text)
    with database.write() as session:
        changed = update(FlightRecordRow).where(FlightRecordRow.number == 5)
        session.execute(changed.values(record=text, digest=digest))
    assert _breaks(database) == [Break(5, "record 5 was changed")]


@pytest.mark.parametrize(
    "column", [{"series_key": "1.9"}, {"study_instance_uid": "1.9"}, {"recorded_at": NOW.min}]
)
def test_a_column_that_was_changed_is_found(
    database: Database, chain: list[Anchor], column: dict[str, Any]
) -> None:
    if "recorded_at" in column:
        column = {"recorded_at": NOW + timedelta(days=1)}
    with database.write() as session:
        session.execute(update(FlightRecordRow).where(FlightRecordRow.number == 2).values(**column))
    assert _breaks(database) == [Break(2, "record 2 was changed")]


def test_a_record_changed_together_with_its_digest_is_found_by_the_next(
    database: Database, chain: list[Anchor]
) -> None:
    with database.write() as session:
        row = session.scalars(select(FlightRecordRow).where(FlightRecordRow.number == 3)).one()
        row.record = row.record.replace('"number_of_it":3', '"number_of_it":8')
        row.digest = flight_records.digest_of(row.previous, row.record)
    assert _breaks(database) == [Break(4, "record 4 does not follow the one before it")]


def test_records_that_were_removed_are_found(database: Database, chain: list[Anchor]) -> None:
    with database.write() as session:
        session.execute(delete(FlightRecordRow).where(FlightRecordRow.number.in_((1, 3, 4))))
    assert _breaks(database) == [
        Break(2, "record 1 was removed"),
        Break(5, "records 3 to 4 were removed"),
    ]


def test_a_record_that_was_put_in_the_place_of_another_is_found(
    database: Database, chain: list[Anchor]
) -> None:
    with database.write() as session:
        session.execute(delete(FlightRecordRow).where(FlightRecordRow.number == 4))
        content = {
            "number": 4,
            "series_key": "1.2.9",
            "study_instance_uid": "1.2.826",
            "recorded_at": NOW.isoformat(),
        }
        text, before = flight_records.canonical(content), chain[2].digest
        digest = flight_records.digest_of(before, text)
        session.add(
            FlightRecordRow(
                number=4,
                recorded_at=NOW,
                series_key="1.2.9",
                study_instance_uid="1.2.826",
                record=text,
                previous=before,
                digest=digest,
            )
        )
    assert _breaks(database) == [Break(5, "record 5 does not follow the one before it")]


def test_what_was_cut_off_is_found_by_what_the_log_once_told(
    database: Database, chain: list[Anchor]
) -> None:
    with database.write() as session:
        session.execute(delete(FlightRecordRow).where(FlightRecordRow.number > 3))
    assert _breaks(database) == []  # the chain itself cannot tell
    assert _breaks(database, chain[-1]) == [Break(5, "records 4 to 5 were removed at the end")]
    for number in (4, 5):
        _append(database, f"1.9.{number}")
    text = "record 5 is not the one that the log told of"
    assert _breaks(database, chain[-1]) == [Break(5, text)]


def test_a_transaction_that_is_rolled_back_leaves_no_gap(database: Database) -> None:
    _append(database)
    with pytest.raises(ZeroDivisionError):
        _append_and_fail(database)
    assert _append(database).number == 2
    assert _breaks(database) == []


def _append_and_fail(database: Database) -> None:
    with database.write() as session:
        flight_records.append(session, NOW, "1.2", "1", {})
        raise ZeroDivisionError


def test_several_workers_make_one_chain(database: Database) -> None:
    """Each appends within a transaction of its own; on PostgreSQL they run at the same time."""

    def work() -> None:
        for number in range(5):
            _append(database, f"1.2.{number}")

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    with database.read() as session:
        assert flight_records.head(session).number == 20
    assert _breaks(database) == []


def test_the_time_of_a_record_is_that_of_its_text_from_any_time_zone(database: Database) -> None:
    with database.write() as session:
        east = NOW.astimezone(timezone(timedelta(hours=9)))
        flight_records.append(session, east, "1.2", "1", {})
    assert _breaks(database) == []


def test_records_of_a_study_or_of_a_series_and_its_further_parts(database: Database) -> None:
    for key in ("1.2.3", "1.2.3~2", "1.2.34"):
        _append(database, key)
    with database.read() as session:
        found = [each.series_key for each in flight_records.records(session, "1.2.3")]
        of_study = [each.number for each in flight_records.records(session, "1.2.826")]
        by_ending = [each.series_key for each in flight_records.records(session, "….3~2")]
    assert found == ["1.2.3", "1.2.3~2"]
    assert of_study == [1, 2, 3]
    assert by_ending == ["1.2.3~2"]


def test_a_database_that_is_moved_takes_its_records_along(
    database: Database, chain: list[Anchor], tmp_path: Path
) -> None:
    target = Database.open(f"sqlite:///{tmp_path}/moved.db")
    move_rows(database, target)
    assert _breaks(target, chain[-1]) == []
    target.close()
