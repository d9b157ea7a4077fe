"""What `audit list` shows."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from dicomnode.audit.reading import Entry, entries
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.wording import how_many

_OUTCOMES = {"0": "done", "4": "failed", "8": "failed badly", "12": "failed: out of order"}


def look_up(file: Path, after: datetime | None, event: str, limit: int) -> tuple[list[Entry], int]:
    """The newest messages, oldest first, and how many lines could not be read.

    `event`: a part of the name or kind of the event, in small letters or capitals.

    Raises:
        OSError
    """
    found: deque[Entry] = deque(maxlen=limit)
    damaged = 0
    for each in entries(file):
        if each is None:
            damaged += 1
        elif (after is None or each.at >= after) and _is_of(each, event):
            found.append(each)
    return list(found), damaged


def _is_of(entry: Entry, event: str) -> bool:
    return event.casefold() in f"{entry.event} {entry.kind}".casefold()


def print_entries(console: Console, found: list[Entry], nothing: str) -> None:
    """`nothing`: as of `print_table`."""
    table = new_table(
        how_many(len(found), "message"), "time (UTC)", "event", "outcome", "who", "what"
    )
    for each in found:
        about = " ".join(each.about)
        add_row(
            table,
            f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{each.event}: {each.kind}" if each.kind else each.event,
            _OUTCOMES.get(each.outcome, each.outcome),
            ", ".join(each.who),
            f"{each.what} {about}".strip(),
        )
    print_table(console, table, nothing=nothing)
