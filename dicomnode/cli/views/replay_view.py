"""What `replay` shows, and which record it is about."""

from __future__ import annotations

from rich.console import Console

from dicomnode.analyse.replay import Replay
from dicomnode.cli.views import queue_view
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.wording import how_many
from dicomnode.errors import DataError
from storage import flight_records
from storage.database import Database
from storage.flight_records import FlightRecord


def record_of(database: Database, text: str, number: int | None) -> FlightRecord:
    """The record with this number, or the newest, of the one series that is meant.

    Raises:
        DataError: there is none, or several series are meant.
    """
    with database.read() as session:
        found = [each for each in flight_records.records(session, text.strip()) if text.strip()]
    if not found:
        keys = {each.series.series_key for each in queue_view.find(database, text)}
        with database.read() as session:
            found = [
                each
                for key in sorted(keys)
                for each in flight_records.records(session, key)
                if each.series_key == key
            ]
    if number is not None:
        found = [each for each in found if each.number == number]
    if not found:
        raise DataError("replay", f"there is no flight record of {text!r}")
    if len(series := {each.series_key for each in found}) > 1:
        raise DataError("replay", f"{len(series)} series match: {', '.join(sorted(series))}")
    return found[-1]


def print_replay(console: Console, record: FlightRecord, done: Replay) -> None:
    """A sentence; where the findings differ, a row for each difference."""
    name = f"series {record.series_key}, flight record {record.number}"
    for text in done.elsewhere:
        console.print(f"computed otherwise than then: {text}", highlight=False, markup=False)
    if done.is_same:
        text = f"{name}: the same findings (scores within {done.tolerance:g})"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
        return
    count = how_many(len(done.differences), "difference")
    title = f"{name}: {count} (scores beyond {done.tolerance:g})"
    table = new_table(title, "what", "then", "now")
    for each in done.differences:
        add_row(table, each.what, each.then, each.now)
    print_table(console, table)
