"""What an alert says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dicomnode.decisions.operating.message import Message
from storage.overview_records import TroubleRecord

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
AWAY = TroubleRecord(
    *("destination_away:pacs", "warning", "pacs is away", "mend pacs"), NOW, NOW, NOW
)
FULL = replace(AWAY, name="disk_full", severity="error", text="the disk is full", remedy="free it")
OVER = replace(FULL, since=NOW - timedelta(hours=3), over_at=NOW)


def message(
    *began: TroubleRecord, over: tuple[TroubleRecord, ...] = (), lasting: int = 0
) -> Message:
    return Message("NODE", "ct-ai", "1.2", NOW, began, over, lasting)


def test_one_trouble_is_the_subject_and_several_are_counted() -> None:
    assert message(AWAY).subject == "[dicomnode warning] NODE: pacs is away"
    assert message(over=(OVER,)).subject == "[dicomnode over] NODE: the disk is full"
    assert message(AWAY, FULL).subject == "[dicomnode error] NODE: 2 troubles began"
    both = message(AWAY, over=(OVER,))
    assert both.subject == "[dicomnode warning] NODE: 1 trouble began, 1 trouble over"
    assert len(message(replace(AWAY, text="x" * 500)).subject) == 200


def test_no_line_break_in_a_name_keeps_an_alert_from_being_told() -> None:
    """A header of a mail takes none, and a line of its own would be a trouble that is none."""
    told = message(replace(AWAY, text="pacs\r\nBcc: x is away", remedy="mend\npacs"))
    assert told.subject == "[dicomnode warning] NODE: pacs Bcc: x is away"
    assert "WARNING  pacs Bcc: x is away\n  what to do: mend pacs\n" in told.text


def test_the_text_says_what_to_do_and_how_long_it_lasted() -> None:
    assert message(AWAY, over=(OVER,), lasting=2).text == (
        "NODE on ct-ai, 2026-03-04 12:00 UTC\n\n"
        "WARNING  pacs is away\n  what to do: mend pacs\n\n"
        "OVER  after 3 h: the disk is full\n\n"
        "2 other troubles told before still lasting.\n\n"
        "dicomnode status tells all of it.\n"
    )


def test_the_document_holds_all_of_it() -> None:
    told = json.loads(json.dumps(message(AWAY, over=(OVER,)).as_json()))
    assert told["product"] == "dicomnode"
    (began,), (over,) = told["began"], told["over"]
    assert began == {
        "name": "destination_away:pacs",
        "severity": "warning",
        "text": "pacs is away",
        "remedy": "mend pacs",
        "since": "2026-03-04T12:00:00+00:00",
        "over_at": None,
    }
    assert over["over_at"] == "2026-03-04T12:00:00+00:00"
