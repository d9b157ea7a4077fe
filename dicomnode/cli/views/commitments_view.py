"""What `dicomnode deliveries commitments` shows: who asked us, and whether it got the report."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console

from dicomnode.cli.views.tables import add_row, new_table, print_table
from storage import commitment_answers
from storage.commitment_answers import OwedReport
from storage.database import Database

Row = dict[str, Any]


def look_up(database: Database, limit: int) -> list[Row]:
    """The requests that came last, newest first."""
    with database.read() as session:
        return [_row(each) for each in commitment_answers.list_owed(session, limit)]


def _row(owed: OwedReport) -> Row:
    """`held`: None until the report has reached the peer."""
    told = None if owed.failed is None else len(owed.objects) - owed.failed
    return {
        "ae_title": owed.ae_title,
        "transaction_uid": owed.transaction_uid,
        "state": _state(owed),
        "objects": len(owed.objects),
        "held": told,
        "attempts": owed.attempt,
        "requested_at": _time(owed.requested_at),
        "next_at": _time(owed.not_before),
        "error": owed.error,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _state(owed: OwedReport) -> str:
    if owed.reported_at is not None:
        return "reported"
    return "waiting" if owed.not_before is not None else "failed"


def print_commitments(console: Console, rows: list[Row]) -> None:
    table = new_table("storage commitment asked of this node", *_HEADINGS)
    for row in rows:
        cells = ("" if row[each] is None else str(row[each]) for each in _HEADINGS)
        add_row(table, *cells)
    print_table(console, table)


_HEADINGS = ("ae_title", "state", "objects", "held", "attempts", "requested_at", "error")
