"""Reports to peers that asked for our commitment: one that is away keeps nobody else waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.commitment.reporting import Reporter
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.errors import PeerCause, PeerError
from storage import commitment_answers as answers
from storage.commitment_answers import OwedReport
from storage.database import Database
from support.clock import StandingClock
from support.storage_samples import NOW, seconds

NAMES = ("AWAY", "HERE")


def test_a_peer_that_is_away_is_tried_once_for_all_that_it_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [Destination(name=e, ae_title=e, address="127.0.0.1", port=104) for e in NAMES]
    settings = Settings(node=NodeSettings(data_directory=tmp_path), destinations=tuple(peers))
    requests = [("AWAY", 1), ("AWAY", 2), ("AWAY", 3), ("HERE", 4)]
    database = Database.open(settings.database_url)
    with database.write() as session:
        for title, number in requests:
            due = NOW + seconds(number)
            owed = OwedReport(title, f"2.25.{number}", (("1.2", "1.3"),), NOW, not_before=due)
            answers.enter(session, owed)
    tried: list[str] = []

    def send(peer: Destination, *_what: object) -> int:
        tried.append(peer.ae_title)
        if peer.ae_title == "AWAY":
            raise PeerError("AWAY cannot be reached", PeerCause.UNREACHABLE)
        return 0x0000

    reporter = Reporter(settings, StandingClock(NOW + seconds(60)))
    monkeypatch.setattr(reporter, "_send", send)
    while reporter.look():
        pass
    assert tried == ["AWAY", "HERE"]
    database.close()
