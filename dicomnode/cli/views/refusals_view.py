"""What `dicomnode queue refusals` shows, and `why` of what was refused: who, what, when, why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from dicomnode.cli.views.queue_view import as_json, say, shown_time
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.wording import how_many
from storage import refusals
from storage.database import Database
from storage.refusals import ASSOCIATION, Refusal


def find(database: Database, text: str) -> tuple[Refusal, ...]:
    """Those that a UID, a unique ending of one, or an accession number names, newest first."""
    with database.read() as session:
        return refusals.find(session, text)


def told_of(refusal: Refusal) -> str:
    """One refusal in a sentence."""
    what = how_many(refusal.count, refusal.kind)
    series = f" of series {refusal.series_instance_uid}" if refusal.series_instance_uid else ""
    since = "" if refusal.count == 1 else f", first {shown_time(refusal.first_at)}"
    return (
        f"{what}{series} from {refusal.calling_ae_title} ({refusal.peer_address}), "
        f"{refusal.status}: {refusal.reason}, {shown_time(refusal.last_at)}{since}"
    )


def answer_line(found: Sequence[Refusal]) -> str:
    """Of what never came into the queue."""
    again = "; once that is mended, send it again"
    return f"refused: {told_of(found[0])}{again}"


def why_json(found: Sequence[Refusal]) -> dict[str, Any]:
    """For a program, in place of a series that is not there."""
    first = found[0]
    return {
        "answer": answer_line(found),
        "state": "refused",
        "series_instance_uid": first.series_instance_uid,
        "study_instance_uid": first.study_instance_uid,
        "refusals": as_json(list(found)),
    }


def print_refused(console: Console, found: Sequence[Refusal]) -> None:
    """The answer, then the others."""
    say(console, answer_line(found), style="bold")
    for each in found[1:]:
        say(console, f"refused: {told_of(each)}")


def print_refusals(console: Console, found: Sequence[Refusal], nothing: str) -> None:
    """A row for each. `nothing`: as of `print_table`."""
    table = new_table("", "last", "from", "what", "status", "why", "series")
    for each in found:
        add_row(
            table,
            f"{each.last_at:%Y-%m-%d %H:%M}",
            f"{each.calling_ae_title} {each.peer_address}",
            how_many(each.count, "association" if each.kind == ASSOCIATION else "instance"),
            each.status,
            each.reason,
            each.series_instance_uid or each.sop_instance_uid,
        )
    print_table(console, table, nothing=nothing)
    if found:
        say(console, f"{how_many(len(found), 'kind')} of refusals, newest first; times in UTC")
