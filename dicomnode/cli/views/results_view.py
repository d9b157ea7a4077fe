"""What `dicomnode results` shows and does: sets of results, and how far they have got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from dicomnode.cli.views import queue_view
from dicomnode.cli.views.delivery_words import counted
from dicomnode.cli.views.queue_view import as_json, print_deliveries, say, shown_time
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.wording import how_many
from dicomnode.errors import DataError
from storage import result_sets
from storage.database import Database
from storage.records import ResultSet, SeriesRecord


def list_sets(database: Database, limit: int) -> tuple[ResultSet, ...]:
    """The sets made last, newest first."""
    with database.read() as session:
        return result_sets.recent_sets(session, limit)


def find_sets(database: Database, text: str) -> tuple[ResultSet, ...]:
    """The sets that a UID (of a result or of its CT series or study), a unique ending, or an
    accession number names, newest first.

    Raises:
        DataError: there are none.
    """
    with database.read() as session:
        found = result_sets.find_sets(session, text)
    if not found:
        raise DataError("results", f"none has the UID, UID ending or accession number {text!r}")
    return found


def one_set(database: Database, text: str) -> ResultSet:
    """The one set that is meant: of those of one CT series the newest that is no retraction.

    Raises:
        DataError: there is none, or sets of several CT series match; they are named.
    """
    found = find_sets(database, text)
    series = sorted({each.series.series_key for each in found})
    if len(series) > 1:
        shown = ", ".join(series[:10]) + (" …" if len(series) > 10 else "")
        raise DataError("results", f"those of {len(series)} series match {text!r}: {shown}")
    made = [each for each in found if not each.is_retraction]
    return (made or found)[0]


def one_series(database: Database, text: str) -> SeriesRecord:
    """The one CT series that is meant, by a UID of its results or as `queue` finds it.

    It need not have results: it may have been skipped or have failed, without a note.

    Raises:
        DataError: there is none, or several match; they are named.
    """
    with database.read() as session:
        has_results = bool(result_sets.find_sets(session, text))
    if has_results:
        return one_set(database, text).series
    details = queue_view.find(database, text)
    if len(details) > 1:
        shown = ", ".join(each.series.series_key for each in details[:10])
        raise DataError("series", f"{len(details)} match {text!r}: {shown}")
    return details[0].series


def standing_set(database: Database, text: str) -> ResultSet:
    """The one set that is meant, if it still stands.

    Raises:
        DataError: no such set, or it was withdrawn or superseded.
    """
    chosen = one_set(database, text)
    if not chosen.stands:
        uid = chosen.series.series_key
        raise DataError("results", f"those of series {uid} are {state_of(chosen)}: not sent again")
    return chosen


def state_of(chosen: ResultSet) -> str:
    """In a word: standing, withdrawn, superseded, or a retraction itself."""
    if chosen.is_retraction:
        return "retraction"
    if chosen.retracted_at is not None:
        return "withdrawn"
    return "superseded" if chosen.superseded else "standing"


def told_of(chosen: ResultSet) -> str:
    """What a set is, for who is asked what shall become of it."""
    sent = sorted({each.destination for each in chosen.deliveries if each.stored_at})
    where = f"delivered to {', '.join(sent)}" if sent else "not delivered yet"
    return (
        f"series {chosen.series.series_key}: {_kinds(chosen)}, made "
        f"{shown_time(chosen.created_at)}, {where}"
    )


def set_json(chosen: ResultSet) -> dict[str, Any]:
    """A set for a program."""
    return {
        "series_key": chosen.series.series_key,
        "series_instance_uid": chosen.series.series_instance_uid,
        "study_instance_uid": chosen.series.study_instance_uid,
        "created_at": chosen.created_at.isoformat(),
        "state": state_of(chosen),
        "retracted_at": as_json(chosen.retracted_at),
        "results": as_json(chosen.results),
        "deliveries": as_json(chosen.deliveries),
    }


def print_list(console: Console, sets: Sequence[ResultSet], endings: Mapping[str, str]) -> None:
    """A row for each set. `endings`: as of `print_table`."""
    headings = ("series", "made", "objects", "state", "delivered")
    title = f"{how_many(len(sets), 'set')} of results, newest first"
    table = new_table(title, *headings, whole=1)
    for each in sets:
        done = sum(d.arrived for d in each.deliveries)
        add_row(
            table,
            each.series.series_key,
            shown_time(each.created_at),
            _kinds(each),
            state_of(each),
            f"{done}/{len(each.deliveries)}" if each.deliveries else "–",
        )
    print_table(console, table, endings)


def _kinds(chosen: ResultSet) -> str:
    return counted(each.kind for each in chosen.results)


def print_set(console: Console, chosen: ResultSet) -> None:
    """One set, with each object and where it has got."""
    say(console, f"series   {chosen.series.series_key}")
    say(console, f"made     {shown_time(chosen.created_at)}")
    withdrawn = f" {shown_time(chosen.retracted_at)}" if chosen.retracted_at else ""
    say(console, f"state    {state_of(chosen)}{withdrawn}")
    for each in chosen.results:
        say(console, f"{each.kind:<10} {each.sop_instance_uid} ({each.size_bytes / 1e6:.2f} MB)")
    print_deliveries(console, chosen.deliveries)
