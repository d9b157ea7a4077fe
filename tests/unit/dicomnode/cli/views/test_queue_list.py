"""`queue list`: a row that fits a terminal, a line in a pipe, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update

from dicomnode.cli.views.queue_list import Listing, look, print_listing
from dicomnode.cli.views.queue_view import find
from dicomnode.config.settings import Settings
from storage import queries
from storage.database import Database
from storage.models import SeriesRow
from storage.queries import Wanted
from storage.records import JobKind
from storage.series import record_skipped
from support.storage_samples import (
    NOW,
    RELEASED,
    THICK,
    analyse,
    instance,
    queue,
    receive,
    result,
    seconds,
    take,
)

ROOT = "1.2.826.0.1.3680043.10.77.123456789012345678901234567890123"
UIDS = tuple(f"{ROOT}.{ending}" for ending in ("481516", "234216", "1.999999", "2.999999"))
LATER = NOW + timedelta(minutes=30)
SETTINGS = Settings()
ALL = Wanted()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One being sent, one skipped, one queued, one that still receives."""
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    for number, uid in enumerate(UIDS):
        came = instance(1, uid, received_at=NOW + seconds(number), study=f"1.2.{number}")
        receive(opened, replace(came, accession_number=f"ACC-2025-{number:07}"))
    queue(opened)
    analyse(opened, [result("r", UIDS[0])], ["PACS-OF-RADIOLOGY"])
    job = take(opened, JobKind.ASSESS, NOW + seconds(1))
    with opened.write() as session:
        record_skipped(
            session,
            job,
            decided_at=NOW,
            input_digest="d",
            completeness=RELEASED,
            reasons=[THICK],
        )
    queue(opened, now=NOW + seconds(2))
    with opened.write() as session:
        session.execute(update(SeriesRow).values(analysis=None))
    yield opened
    opened.close()


def listing(database: Database, wanted: Wanted = ALL, limit: int = 9) -> Listing:
    return look(database, SETTINGS, wanted, limit, LATER)


def printed(shown: Listing, *, terminal: bool) -> list[str]:
    out = StringIO()
    print_listing(Console(file=out, width=80, force_terminal=terminal, color_system=None), shown)
    return out.getvalue().splitlines()


def test_on_a_terminal_of_80_columns_each_series_is_found_by_what_is_shown(
    database: Database,
) -> None:
    lines = printed(listing(database), terminal=True)
    assert max(map(len, lines)) <= 80
    endings = [line.split()[0] for line in lines if line.startswith("…")]
    assert [find(database, each)[0].series.series_key for each in endings] == list(UIDS[::-1])
    assert endings[-1] == "…481516"
    text = " ".join(lines)
    for number in range(4):
        assert f"ACC-2025-{number:07}" in text
    assert "skipped:" in text
    assert "12:00" in text
    assert lines[-1].startswith("4 of 4 series shown: 1 receiving, 1 queued, 1 analysed, 1 skipped")


def test_in_a_pipe_a_series_is_one_line_with_its_whole_uid(database: Database) -> None:
    heading, *rows, summary = printed(listing(database), terminal=False)
    assert heading.split() == ["series", "accession", "received", "from", "state", "next"]
    assert [row.split()[0] for row in rows] == list(UIDS[::-1])
    sent, skipped, queued, receiving = reversed(rows)
    assert "2025-03-01 12:00:00" in sent
    assert sent.endswith("PACS-OF-RADIOLOGY: 1 object to be sent")
    assert "  analysed 0/1  " in sent
    assert "skipped: slice_thickness" in skipped
    assert queued.endswith("waits for a worker")
    assert "looked at again at 12:00" in receiving
    assert summary == "4 of 4 series shown: 1 receiving, 1 queued, 1 analysed, 1 skipped"


def test_the_summary_counts_what_is_not_shown_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = listing(database, limit=1)
    assert shown.summary == "1 of 4 series shown: 1 receiving, 1 queued, 1 analysed, 1 skipped"
    assert listing(database, Wanted(source="CT9")).summary == "0 of 0 series shown"
    (undelivered,) = listing(database, Wanted(undelivered=True)).rows
    assert undelivered.detail.series.series_key == UIDS[0]
    monkeypatch.setattr(queries, "COUNTED", 3)
    assert listing(database, limit=1).summary == (
        "1 of the 3 newest series shown: 1 receiving, 1 queued, 1 skipped"
    )


def test_a_program_is_told_the_same_and_the_times_whole(database: Database) -> None:
    told = [row.as_json(LATER) for row in listing(database).rows]
    assert [each["series_key"] for each in told] == list(UIDS[::-1])
    assert (told[3]["progress"], told[3]["delivered"]) == ("analysed", [0, 1])
    assert told[3]["next"] == "PACS-OF-RADIOLOGY: 1 object to be sent"
    assert told[3]["next_steps"] == [
        {
            "who": "PACS-OF-RADIOLOGY",
            "what": "1 object to be sent",
            "at": None,
            "why": "",
            "remedy": "",
        }
    ]
    assert told[0]["next_steps"][0]["at"] == (NOW + seconds(3)).isoformat()


def test_what_a_peer_sent_breaks_no_line(database: Database) -> None:
    with database.write() as session:
        session.get_one(SeriesRow, UIDS[0]).accession_number = "A\n\x1b[31mB"
    assert len(printed(listing(database), terminal=False)) == 6
    assert "\x1b" not in "".join(printed(listing(database), terminal=True))
