"""The trail of a process: whatever the disk does, who records neither waits nor fails."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from dicomnode.audit import trail
from dicomnode.audit.events import Activity, Changed, Peer, Refused
from dicomnode.audit.messages import Us
from dicomnode.audit.trail import Trail, record_command
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.shared_file import SharedFile
from support.audit_schema import checked
from support.wait import wait_for

US = Us("DICOMNODE", "node", "receiver-1[42]")


def test_each_event_is_a_line_as_rfc_5424_has_it(tmp_path: Path) -> None:
    kept = Trail(SharedFile(tmp_path / "audit" / "audit.log", 1 << 20, 1), US)
    kept.start()
    kept.record(Activity(started=True))
    kept.record(Refused(Peer("X\r\nY", "192.0.2.7"), "not known"))
    kept.close()
    first, second = (tmp_path / "audit" / "audit.log").read_text().splitlines()
    head = r"1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 node dicomnode \d+ DICOM\+RFC3881 - "
    assert re.match(f"<85>{head}<AuditMessage>", first)
    assert re.match(f"<84>{head}<AuditMessage>", second)
    checked(first.partition(" - ")[2])
    checked(second.partition(" - ")[2])


class _Stuck(SharedFile):
    """A disk that does not answer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 0, 1)
        self.answers = threading.Event()
        self.fails = False

    def append(self, line: bytes) -> None:
        self.answers.wait()
        if self.fails:
            raise OSError(28, "No space left on device")
        super().append(line)


def test_what_finds_no_room_is_lost_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trail, "MOST_WAITING", 3)
    file = _Stuck(tmp_path / "audit.log")
    kept = Trail(file, US)
    for _ in range(10):
        kept.record(Activity(started=True))  # does not wait
    file.answers.set()
    kept.start()
    kept.close()
    assert len(file.path.read_text().splitlines()) == 3
    assert "7 messages of the audit trail are lost" in caplog.text


def test_a_full_disk_is_told_once_and_what_it_cost_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = _Stuck(tmp_path / "audit.log")
    file.fails = True
    file.answers.set()
    kept = Trail(file, US)
    kept.start()
    for _ in range(3):
        kept.record(Activity(started=True))
    wait_for(kept._waiting.empty, "all taken")
    file.fails = False
    kept.record(Activity(started=True))
    kept.close()
    told = [each.getMessage() for each in caplog.records]
    assert told[0] == "the audit trail cannot be written: No space left on device"
    assert re.fullmatch("[23] messages of the audit trail are lost", told[1])
    assert len(told) == 2


def test_a_command_is_recorded_when_it_returns_in_the_name_of_who_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    record_command(settings, Changed("deliveries drop", "3 deliveries are abandoned"))
    text = settings.audit_file.read_text()
    root = checked(text.rstrip().partition(" - ")[2])
    assert next(root.iter("ActiveParticipant")).get("UserID") == "alice"


def test_a_command_that_cannot_be_recorded_says_so(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    settings.audit_file.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"done, but .* cannot be written"):
        record_command(settings, Changed("deliveries drop"))
