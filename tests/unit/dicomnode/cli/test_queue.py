"""`dicomnode queue`, by the command line: filters, what was refused, stopping and starting."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from storage.refusals import INSTANCE, Refusal, enter
from support.command import dicomnode
from support.storage_samples import NOW, SERIES, STUDY, receive

Command = Callable[..., str]
GONE = "1.2.826.1.99"
FULL = Refusal(
    INSTANCE, "CT1", "N", "192.0.2.1", "0xA700", "no room", NOW, NOW + timedelta(minutes=1)
)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """A series that receives; of it, and of one that never came, instances were refused."""
    config = tmp_path / "dicomnode.toml"
    config.write_text(f"[node]\ndata_directory = '{tmp_path}'\n")
    database = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    receive(database)
    with database.write() as session:
        for uid in (SERIES, GONE):
            named = {"study_instance_uid": STUDY, "series_instance_uid": uid, "count": 12}
            enter(session, [Refusal(**vars(FULL) | named)])
    database.close()

    def run(*arguments: str, status: int = 0) -> str:
        done = dicomnode("queue", *arguments, "--config", str(config))
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stderr if status else done.stdout

    return run


def told(command: Command, *arguments: str) -> Any:
    return json.loads(command(*arguments, "--json"))


def test_why_finds_what_was_refused_and_never_came(command: Command) -> None:
    answer = (
        f"refused: 12 instances of series {GONE} from CT1 (192.0.2.1), 0xA700: no room, "
        "2025-03-01 12:01:00 UTC, first 2025-03-01 12:00:00 UTC; "
        "once that is mended, send it again"
    )
    assert command("why", GONE) == f"{answer}\n"
    found = told(command, "why", GONE)
    assert (found["answer"], found["state"]) == (answer, "refused")
    assert found["refusals"][0]["count"] == 12


def test_why_of_a_series_tells_what_of_it_was_refused(command: Command) -> None:
    assert f"refused: 12 instances of series {SERIES} from CT1" in command("why", SERIES)
    assert [each["count"] for each in told(command, "why", SERIES)["refusals"]] == [12]


def test_refusals_are_listed(command: Command) -> None:
    assert {each["series_instance_uid"] for each in told(command, "refusals")} == {SERIES, GONE}
    assert "0xA700" in command("refusals")
    assert told(command, "refusals", "--source", "CT2") == []
    assert told(command, "refusals", "--since", "1h") == [], "they are long ago"


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 1),
        (["--date", "2025-03-01"], 1),
        (["--date", "2025-03-02"], 0),
        (["--since", "2025-03-01T12:00"], 1),
        (["--since", "2h"], 0),
        (["--source", "SCANNER"], 1),
        (["--source", "CT2"], 0),
        (["--accession", "ACC-7"], 1),
        (["--accession", "ACC"], 0),
        (["--undelivered"], 0),
        (["--state", "receiving", "--state", "queued"], 1),
    ],
)
def test_the_list_is_narrowed(command: Command, filters: list[str], count: int) -> None:
    assert len(told(command, "list", *filters)) == count
    assert f"{count} of {count} series shown" in command("list", *filters)


def test_a_time_that_is_none_is_wrong_use(command: Command) -> None:
    assert "2h, 3d" in command("list", "--since", "yesterday", status=2)


def test_a_series_is_held_released_put_first_and_cancelled(command: Command) -> None:
    assert "is on hold" in command("hold", SERIES)
    assert told(command, "list")[0]["progress"] == "on hold"
    assert command("why", SERIES).startswith("on hold: a person: release it (on hold since ")
    assert "is on hold no more" in command("release", SERIES)
    assert "goes first now: its decision" in command("first", SERIES)
    asked = command("cancel", SERIES, status=2)
    assert "give --yes" in asked
    assert told(command, "cancel", SERIES, "--yes")[0]["state"] == "skipped"
    assert command("why", SERIES).startswith("skipped: cancelled: by a person, ")
    assert "is decided on again" in command("retry", SERIES)
