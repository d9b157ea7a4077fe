"""Troubles are told once, by each way, whatever fails meanwhile and whoever starts again."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import take_database
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.message import Message
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.errors import PeerCause, PeerError
from dicomnode.monitor import telling
from dicomnode.monitor.loops import Seen, Station
from dicomnode.monitor.telling import Teller
from storage.database import Database
from storage.troubles import unfinished_troubles
from support.clock import StandingClock
from support.wait import PATIENCE_SECONDS

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
AWAY = Trouble("destination_away:pacs", Severity.WARNING, "pacs is away", "mend it")
LOST = Trouble("database_away", Severity.ERROR, "the database is away", "start it")


class Mailbox:
    """A way that fails while a test wants it to."""

    severities = frozenset(Severity)

    def __init__(self, name: str = "mail") -> None:
        self.name = name
        self.fails = False
        self.messages: list[list[str]] = []

    def tell(self, message: Message) -> None:
        if self.fails:
            raise PeerError("nobody answers", PeerCause.UNREACHABLE)
        began = [f"+{each.name}" for each in message.began]
        self.messages.append([*began, *(f"-{each.name}" for each in message.over)])


class Node:
    """A monitor whose looks a test makes."""

    def __init__(self, folder: Path, *ways: Mailbox, clock: StandingClock | None = None) -> None:
        self.settings = Settings(node=NodeSettings(data_directory=folder))
        self.clock = clock or StandingClock(NOW)
        database = Database.open_later(self.settings.database_url)
        owner, stop = "node/monitor/1/", threading.Event()
        self.station = Station(self.settings, owner, stop, database, self.clock)
        self.teller = Teller(self.station, ways)

    def look(self, seconds: float, *troubles: Trouble, database: str | None = None) -> None:
        """Another look so many seconds later."""
        facts = Facts(self.clock.move(seconds), database_fault=database)
        self.station.outlook.seen = Seen(facts, troubles)
        self.teller.look()


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """A data directory whose database is the node's own."""
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    take_database(settings, "node")
    return tmp_path


def test_a_message_holds_all_that_is_due_and_one_look_is_told_once(owned: Path) -> None:
    box = Mailbox()
    node = Node(owned, box)
    node.teller.look()  # nothing was seen yet
    node.look(0, AWAY, LOST)
    node.look(60, AWAY, LOST)
    node.teller.look()
    assert box.messages == [["+destination_away:pacs", "+database_away"]]
    node.look(120)
    assert box.messages[1:] == [["-destination_away:pacs", "-database_away"]]


def test_a_monitor_that_is_started_again_repeats_nothing(owned: Path) -> None:
    box = Mailbox()
    node = Node(owned, box)
    node.look(0, AWAY)
    node.look(60, AWAY)
    again = Node(owned, box, clock=node.clock)
    again.look(30, AWAY)
    again.look(60, AWAY)
    again.look(120)
    assert box.messages == [["+destination_away:pacs"], ["-destination_away:pacs"]]
    with again.station.database.read() as session:
        (record,) = unfinished_troubles(session, NOW)
    assert record.told == record.told_over == frozenset({"mail"})


def test_that_the_database_is_away_is_told_without_it(tmp_path: Path, owned: Path) -> None:
    box = Mailbox()
    node = Node(tmp_path / "elsewhere", box)
    node.look(0, LOST, database="gone")
    node.look(60, LOST, database="gone")
    node.look(120, database=None)  # there is none, whatever was said
    assert box.messages == [["+database_away"], ["-database_away"]]
    assert not (tmp_path / "elsewhere").exists()
    back = Node(owned, box)
    back.look(0, LOST, database="gone")
    back.look(60, LOST, database="gone")
    back.look(10, LOST)
    with back.station.database.read() as session:
        (record,) = unfinished_troubles(session, NOW)
    assert (record.name, record.told) == ("database_away", frozenset({"mail"}))


def test_one_way_that_fails_holds_up_no_other_and_is_told_once_in_the_log(
    owned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    failing, box = Mailbox("webhook"), Mailbox()
    failing.fails = True
    node = Node(owned, failing, box)
    node.look(0, AWAY)
    for _ in range(12):
        node.look(60, AWAY)
    assert (failing.messages, box.messages) == ([], [["+destination_away:pacs"]])
    told = [each.getMessage() for each in caplog.records]
    assert told == ["telling troubles by webhook waits: nobody answers"]
    failing.fails = False
    node.look(600, AWAY)
    assert (failing.messages, len(box.messages)) == ([["+destination_away:pacs"]], 1)
    assert caplog.records[-1].getMessage() == "telling troubles by webhook goes on"


def test_a_way_that_never_comes_back_is_not_waited_for(
    owned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_TELL_SECONDS", 0.05)
    release = threading.Event()

    class Hanging(Mailbox):
        def tell(self, message: Message) -> None:  # noqa: ARG002 - as of any way
            assert release.wait(PATIENCE_SECONDS)

    box = Mailbox()
    node = Node(owned, Hanging("webhook"), box)
    node.look(0, AWAY)
    node.look(60, AWAY)
    assert box.messages == [["+destination_away:pacs"]]
    release.set()


def test_a_database_that_is_another_nodes_is_not_written(owned: Path) -> None:
    node = Node(owned, Mailbox())
    node.station = replace(node.station, owner="other/monitor/1/")
    node.teller = Teller(node.station, (Mailbox(),))
    node.look(0, AWAY)
    node.look(60, AWAY)
    with node.station.database.read() as session:
        assert unfinished_troubles(session, NOW) == ()
