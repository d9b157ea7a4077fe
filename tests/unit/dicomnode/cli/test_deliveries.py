"""`dicomnode deliveries`, and what a partly refused series is called, by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import update
from typer.testing import CliRunner

from dicomnode.audit.trail import user
from dicomnode.cli.views.queue_view import print_deliveries
from storage import commitment_answers
from storage.commitment_answers import OwedReport
from storage.database import Database
from storage.deliveries import list_deliveries
from storage.models import SeriesRow
from storage.outbox import claim_deliveries, mark_refused, mark_retry, mark_stored
from support.audit_file import messages
from support.command import app
from support.storage_samples import LEASE, NOW, SERIES, analyse, queue, receive, seconds

Command = Callable[..., str]
LATER = NOW + seconds(30)
RESEND = f"dicomnode results resend {SERIES}"
PLACES = "".join(
    f"[[destinations]]\nname='{name}'\nae_title='X'\naddress='h'\nport=104\n"
    for name in ("PACS", "ARCHIVE")
)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Two objects for two destinations: one refused and one stored; one to be tried later and one
    not yet tried."""
    config = tmp_path / "dicomnode.toml"
    config.write_text(f"[node]\ndata_directory = '{tmp_path}'\n{PLACES}")
    database = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    receive(database)
    queue(database)
    analyse(database, destinations=["PACS", "ARCHIVE"])
    with database.write() as session:
        first, second = claim_deliveries(session, "PACS", "n/d/1/", NOW, LEASE, limit=9)
        mark_refused(session, first, NOW, "not supported there", "0x0122")
        mark_stored(session, second, NOW, "0x0000")
        (later,) = claim_deliveries(session, "ARCHIVE", "n/d/1/", NOW, LEASE, limit=1)
        mark_retry(session, later, LATER, "out of resources", "0xA700")
        session.execute(update(SeriesRow).values(analysis=None))
    database.close()

    def run(*arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        assert done.exit_code == status, (done.output, done.exception)
        return done.output if not status or done.output else str(done.exception)

    return run


def listed(command: Command, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command("deliveries", "list", "--json", *arguments))
    return found


def test_the_list_tells_where_each_object_is_and_when_it_is_tried_next(command: Command) -> None:
    (refused,) = listed(command, "--state", "refused")
    assert refused == {
        "state": "refused",
        "destination": "PACS",
        "sop_instance_uid": "2.25.sr",
        "series_instance_uid": SERIES,
        "kind": "kind",
        "attempts": 1,
        "status": "0x0122",
        "error": "not supported there",
        "next_at": None,
    }
    waiting = listed(command, "--destination", "ARCHIVE")
    assert [(e["attempts"], e["status"], e["next_at"]) for e in waiting] == [
        (1, "0xA700", LATER.isoformat()),
        (0, None, NOW.isoformat()),
    ]
    text = command("deliveries", "list")
    assert "out of resources" in text
    assert "2025-03-01 12:00:30 UTC" in text


def test_retry_and_drop_are_of_one_destination_or_of_all(command: Command) -> None:
    assert "1 delivery is tried again" in command("deliveries", "retry", "--destination", "PACS")
    assert "0" in command("deliveries", "retry", "--state", "failed", "--json")
    dropped = command(
        "deliveries", "drop", "--destination", "ARCHIVE", "--state", "waiting", "--yes"
    )
    assert "2 deliveries are abandoned" in dropped
    states = sorted((e["destination"], e["state"], e["error"]) for e in listed(command))
    assert states == [
        *[("ARCHIVE", "abandoned", "dropped by the administrator")] * 2,
        ("PACS", "stored", None),
        ("PACS", "waiting", None),
    ]
    command("deliveries", "retry", "--state", "abandoned")
    assert [e["state"] for e in listed(command, "--destination", "ARCHIVE")] == ["waiting"] * 2
    assert "1 delivery is abandoned" in command(
        "deliveries", "drop", "--all", "--state", "waiting", "--destination", "PACS", "--yes"
    )


def test_what_cannot_be_meant_is_refused(command: Command) -> None:
    command("deliveries", "drop", status=2)
    assert "known: ARCHIVE, PACS" in command("deliveries", "list", "--destination", "x", status=1)
    assert "not configured" in command("deliveries", "retry", "--destination", "x", status=1)


def test_a_series_of_which_one_object_is_refused_is_partly_refused(command: Command) -> None:
    (row,) = json.loads(command("queue", "list", "--json"))
    assert (row["state"], row["progress"], row["delivered"]) == (
        "analysed",
        "partly refused",
        [1, 4],
    )
    assert "partly refused" in command("queue", "list")
    assert "state    partly refused;" in command("queue", "show", SERIES)
    why = json.loads(command("queue", "why", SERIES, "--json"))
    assert why["progress"] == "partly refused"
    assert why["next"] == (
        "ARCHIVE: 1 object to be sent (out of resources); ARCHIVE: 1 object to be sent; "
        "PACS: refused kind, parked (not supported there); "
        "mended? dicomnode deliveries retry --destination PACS"
    )


def test_what_was_given_up_is_told_and_how_it_is_sent_all_the_same(command: Command) -> None:
    command("deliveries", "drop", "--all", "--yes")
    assert json.loads(command("queue", "list", "--json"))[0]["progress"] == "delivered"
    assert json.loads(command("queue", "why", SERIES, "--json"))["next"] == (
        f"ARCHIVE: 2 kind abandoned (dropped by the administrator); wanted? {RESEND}; "
        f"PACS: kind abandoned (dropped by the administrator); wanted? {RESEND}"
    )


def test_deliveries_of_which_all_is_alike_are_one_row(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    receive(database)
    queue(database)
    analyse(database, destinations=["PACS", "ARCHIVE"])
    with database.read() as session:
        found = list_deliveries(session)
    database.close()
    shown = StringIO()
    print_deliveries(Console(file=shown, width=80), [delivery for delivery, _series in found])
    assert len(found) == 4
    assert shown.getvalue().count(f"2 kind of {SERIES} ") == 2, "a row for each destination"


def test_a_list_that_finds_nothing_says_for_what_it_looked(command: Command) -> None:
    command("deliveries", "drop", "--all", "--yes")  # so that there is an audit trail
    assert command("deliveries", "list", "--destination", "PACS", "--state", "committed") == (
        "no delivery found of destination PACS, state committed\n"
    )
    assert command("audit", "list", "--event", "alrt") == "no message found of event alrt\n"
    assert command("queue", "refusals", "--source", "CT9") == "no refusal found of source CT9\n"
    assert command("audit", "flights", "ACC-9") == (
        "no flight record found of the study, series or accession number ACC-9\n"
    )


def test_help_shows_every_word_of_where_a_moved_database_is_named() -> None:
    """Words in square brackets vanish from it."""
    assert "node.database_url" in CliRunner().invoke(app, ["database", "move", "--help"]).output


def test_who_asked_for_storage_commitment_and_what_it_was_told(
    command: Command, tmp_path: Path
) -> None:
    assert json.loads(command("deliveries", "commitments", "--json")) == []
    database = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    objects = (("1.2", "1.2.3"), ("1.2", "1.2.4"))
    told = OwedReport("CT1", "2.25.1", objects, NOW, not_before=NOW)
    nobody = replace(told, ae_title="CT2", requested_at=LATER)
    with database.write() as session:
        for each in (told, nobody):
            commitment_answers.enter(session, each)
        commitment_answers.record_reported(session, told, 1, LATER)
        commitment_answers.record_unreported(session, nobody, LATER, "no address")
    database.close()
    second, first = json.loads(command("deliveries", "commitments", "--json"))
    assert (first["state"], first["objects"], first["held"]) == ("reported", 2, 1)
    assert (second["state"], second["held"], second["error"]) == ("waiting", None, "no address")
    shown = command("deliveries", "commitments")
    assert "CT1" in shown
    assert "no address" in shown


def test_what_a_person_changed_is_in_the_audit_trail(command: Command, tmp_path: Path) -> None:
    """Each of these changes rows; to look at them leaves no trace."""
    command("queue", "list")
    command("deliveries", "retry", "--destination", "PACS")
    command("deliveries", "drop", "--all", "--yes")
    command("queue", "hold", SERIES)
    command("queue", "release", SERIES)
    command("results", "resend", SERIES)
    command("database", "release")
    entered = json.loads(command("audit", "list", "--json"))
    assert [each["what"].removeprefix("dicomnode ").partition(": ")[0] for each in entered] == [
        "deliveries retry",
        "deliveries drop",
        "queue hold",
        "queue release",
        "results resend",
        "database release",
    ]
    assert {tuple(each["about"]) for each in entered if "queue" in each["what"]} == {
        ("1.2.826.1.1",)
    }
    assert {each["who"][0] for each in entered} == {user()}
    assert len(messages(tmp_path / "audit" / "audit.log")) == 6
