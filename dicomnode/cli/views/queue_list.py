"""What `dicomnode queue list` shows: a row for each series, and how many there are in which state.

On a terminal UIDs are shortened to an ending by which every command finds the series, so that a row
fits; in a pipe each series is one line, its UID whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from dicomnode.cli.views.delivery_words import is_analysed_now, series_word
from dicomnode.cli.views.next_steps import Around, next_steps
from dicomnode.cli.views.queue_view import as_json, say
from dicomnode.cli.views.step import Step, clock_time
from dicomnode.cli.views.tables import (
    Table,
    add_row,
    for_terminal,
    new_table,
    one_line,
    print_table,
)
from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import failed_rules
from dicomnode.notes.wanted import MODALITY
from storage import nodes, queries, study
from storage.database import Database
from storage.decided import OWN_RESULT
from storage.endings import unique_endings
from storage.notes import NOT_ANALYSED
from storage.queries import Wanted
from storage.records import SeriesDetail, SeriesState

_NEVER_FOLDED = 3
"""Columns: what is copied stays in one piece."""

HEADINGS = ("series", "accession", "received", "from", "state", "next")


@dataclass(frozen=True)
class Row:
    """`ending`: by which the series is found. `delivered`: of how many deliveries how many are."""

    detail: SeriesDetail
    ending: str
    word: str
    delivered: tuple[int, int]
    steps: tuple[Step, ...]

    def as_json(self, now: datetime) -> dict[str, Any]:
        told = {
            "progress": self.word,
            "delivered": list(self.delivered),
            "ending": self.ending,
            "next": "; ".join(step.text(now) for step in self.steps),
            "next_steps": [step.as_json() for step in self.steps],
        }
        return {**as_json(self.detail.series), **told}

    @property
    def state(self) -> str:
        """In words, with the rules that the series fails and what has arrived of its results."""
        failed = failed_rules(self.detail.series.reasons)
        if OWN_RESULT in failed:
            return "own result"
        done, total = self.delivered
        rules = f": {', '.join(failed)}" if failed else ""
        return f"{self.word}{rules}" + (f" {done}/{total}" if total else "")

    def cells(self, now: datetime, *, short: bool) -> tuple[str, ...]:
        """Under HEADINGS, on one line; "–" for what is not known."""
        record = self.detail.series
        last = record.last_received_at
        following = "; ".join(step.short(now) for step in self.steps)
        return tuple(
            one_line(text) or "–"
            for text in (
                f"…{self.ending}" if short else record.series_key,
                record.accession_number,
                clock_time(last, now, seconds=False) if short else f"{last:%Y-%m-%d %H:%M:%S}",
                record.calling_ae_title,
                self.state,
                following,
            )
        )


@dataclass(frozen=True)
class Listing:
    """`counts`: by state, of the series that fit, whether shown or not; of as many as are counted,
    the newest."""

    rows: tuple[Row, ...]
    counts: Mapping[SeriesState, int]
    now: datetime

    @property
    def summary(self) -> str:
        states = ", ".join(
            f"{self.counts[state]} {state.value}" for state in SeriesState if state in self.counts
        )
        total = sum(self.counts.values())
        of = f"the {total} newest" if total >= queries.COUNTED else str(total)
        return f"{len(self.rows)} of {of} series shown" + (f": {states}" if states else "")


def look(
    database: Database, settings: Settings, wanted: Wanted, limit: int, now: datetime
) -> Listing:
    """The newest series that fit."""
    with database.read() as session:
        records = queries.list_series(session, wanted, limit)
        keys = [each.series_key for each in records]
        details = queries.details_of(session, records)
        endings = unique_endings(session, keys)
        delivered = queries.delivery_counts(session, keys)
        ahead = queries.analyses_ahead(session)
        studies = {
            each.series_key: study.series_of_study(session, each.series_key)
            for each in (records if settings.results.note == "study" else ())
            if each.state in NOT_ANALYSED and each.modality == MODALITY
        }
        counts = queries.count_series(session, wanted, queries.COUNTED)
        hosts = nodes.all_nodes(session)
    rows = []
    for detail in details:
        key = detail.series.series_key
        around = Around(studies.get(key, ()), ahead.get(key, queries.AHEAD), nodes=hosts)
        word = series_word(detail.series, detail.deliveries, running=is_analysed_now(detail))
        steps = next_steps(detail, settings, now, around)
        rows.append(Row(detail, endings[key], word, delivered.get(key, (0, 0)), steps))
    return Listing(tuple(rows), counts, now)


def print_listing(console: Console, listing: Listing) -> None:
    """As wide as the terminal is; in a pipe a line for each series, however long."""
    if console.is_terminal:
        console.print(for_watching(listing))
        return
    print_table(console, _table(listing, short=False))
    say(console, listing.summary)


def for_watching(listing: Listing) -> Group:
    """For a terminal."""
    shown = for_terminal(_table(listing, short=True))
    return Group(shown, Text(f"{listing.summary}; times in UTC", "dim"))


def _table(listing: Listing, *, short: bool) -> Table:
    table = new_table("", *HEADINGS, whole=_NEVER_FOLDED)
    for row in listing.rows:
        add_row(table, *row.cells(listing.now, short=short))
    return table
