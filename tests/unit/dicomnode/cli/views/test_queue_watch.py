"""`queue watch`: the list live, or a line for each change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dicomnode.cli.views.queue_list import Listing, look
from dicomnode.cli.views.queue_watch import watch_changes, watch_live
from dicomnode.config.settings import Settings
from storage.by_hand import hold
from storage.database import Database
from storage.queries import Wanted
from support.storage_samples import NOW, SERIES, instance, receive

OTHER = "1.2.826.1.20"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    receive(opened)
    yield opened
    opened.close()


def watched(
    database: Database,
    meanwhile: list[Callable[[], None]],
    *,
    terminal: bool = False,
    as_json: bool = False,
) -> list[str]:
    """What is shown while these happen, one between two looks."""
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None)
    left = iter(meanwhile)

    def wait() -> bool:
        happens = next(left, None)
        if happens is not None:
            happens()
        return happens is not None

    def look_now() -> Listing:
        return look(database, Settings(), Wanted(), 9, NOW)

    if terminal:
        watch_live(console, look_now, wait)
    else:
        watch_changes(console, look_now, wait, as_json=as_json)
    return out.getvalue().splitlines()


def held(database: Database) -> Callable[[], None]:
    def act() -> None:
        with database.write() as session:
            hold(session, SERIES, NOW)

    return act


def test_in_a_pipe_only_what_changes_is_told(database: Database) -> None:
    lines = watched(
        database,
        [lambda: None, held(database), lambda: receive(database, instance(1, OTHER))],
    )
    assert [line.split()[3] for line in lines] == [SERIES, SERIES, OTHER]
    assert "on hold" in lines[1]
    assert lines[1].endswith("a person: release it")


def test_a_program_gets_an_object_a_line(database: Database) -> None:
    told = [json.loads(line) for line in watched(database, [held(database)], as_json=True)]
    assert [each["progress"] for each in told] == ["receiving", "on hold"]


def test_on_a_terminal_the_list_is_written_anew(database: Database) -> None:
    text = "\n".join(watched(database, [held(database)], terminal=True))
    assert "1 of 1 series shown" in text
    assert text.index("receiving") < text.index("on hold")
