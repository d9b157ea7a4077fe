"""Watching a campaign in a pipe: what has changed, as text or as a line of JSON."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from dicomnode.campaign.standing import Standing, look
from dicomnode.cli.views.campaign_view import watch
from storage import campaigns
from storage.database import Database
from support.campaigns import campaign
from support.storage_samples import NOW


def test_each_change_is_a_line_of_json(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/node.db")
    made = campaign(database)
    turns = iter([campaigns.resume, campaigns.resume, campaigns.pause])

    def looked() -> Standing:
        with database.write() as session:
            next(turns)(session, made.campaign_id)
        found = look(database, made.name, NOW)
        assert found is not None
        return found

    waits = iter([True, True, False])
    out = StringIO()
    watch(Console(file=out, width=40), looked, lambda: next(waits), as_json=True)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each["state"] for each in told] == ["ready", "paused"]
    database.close()
