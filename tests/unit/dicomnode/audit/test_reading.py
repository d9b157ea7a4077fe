"""What the trail holds, read back."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.audit.events import AlertKind, Changed, Outcome, Peer, Refused, Transferred
from dicomnode.audit.reading import entries
from dicomnode.audit.trail import record_command
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from support.command import dicomnode

CT1 = Peer("CT1", "192.0.2.7")
EVENTS = (
    Transferred(True, CT1, "1.2.826", (("1.2.840.10008.5.1.4.1.1.2", 120),)),
    Refused(CT1, "the calling AE title is not known", 4),
    Changed("results retract", "3 objects", ("1.2.826", "1.2.827")),
    Changed("database move", kind=AlertKind.SOFTWARE_CONFIGURATION),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a node whose trail holds these events, over several files."""
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    for event in EVENTS:
        record_command(settings, event)
    settings.audit_file.rename(settings.audit_file.with_name("audit.log.1"))
    record_command(settings, Changed("deliveries drop", outcome=Outcome.MINOR_FAILURE))
    path = tmp_path / "dicomnode.toml"
    path.write_text(f'[node]\ndata_directory = "{tmp_path}"\n')
    return path


def _list(config: Path, *arguments: str) -> list[dict[str, object]]:
    done = dicomnode("audit", "list", "--json", "--config", str(config), *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_messages_are_told_from_all_files_oldest_first(config: Path) -> None:
    first, second, third, fourth, fifth = _list(config)
    assert first["event"] == "DICOM Instances Transferred"
    assert first["who"] == ["CT1", first["who"][1]]  # type: ignore[index]
    assert first["what"] == "120 of 1.2.840.10008.5.1.4.1.1.2"
    assert (second["kind"], second["outcome"]) == ("Node Authentication", "4")
    assert second["what"] == "the calling AE title is not known; 4 times so far"
    assert (third["about"], third["what"]) == (
        ["1.2.826", "1.2.827"],
        "dicomnode results retract: 3 objects",
    )
    assert (fourth["kind"], fifth["outcome"]) == ("Software Configuration", "4")


def test_messages_are_chosen_by_event_time_and_number(config: Path) -> None:
    assert [each["event"] for each in _list(config, "--event", "transferred")] == [
        "DICOM Instances Transferred"
    ]
    assert len(_list(config, "--event", "node auth")) == 1
    assert _list(config, "--since", "2999-01-01") == []
    assert len(_list(config, "--since", datetime.now(UTC).strftime("%Y-01-01"))) == 5
    (last,) = _list(config, "--limit", "1")
    assert last["outcome"] == "4"


def test_a_time_is_of_utc_as_in_every_other_command(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        before = datetime.now(UTC) - timedelta(hours=1)
        assert len(_list(config, "--since", before.strftime("%Y-%m-%dT%H:%M"))) == 5
        assert len(_list(config, "--since", "1h")) == 5
        shown = dicomnode("audit", "list", "--config", str(config)).stdout
    finally:
        monkeypatch.undo()
        time.tzset()
    entry = _list(config, "--limit", "1")[0]
    assert str(entry["at"])[:10] == shown.splitlines()[-1][:10]
    assert "time (UTC)" in shown


def test_they_are_shown_to_a_person(config: Path) -> None:
    shown = dicomnode("audit", "list", "--config", str(config)).stdout
    assert "5 messages" in shown
    assert "Security Alert: Node Authentication" in shown


def test_a_line_that_is_damaged_is_counted_and_passed_over(config: Path) -> None:
    file = config.parent / "audit" / "audit.log"
    file.write_bytes(b"half a message\n" + file.read_bytes() + b"<85>1 - - - - - - <AuditMes")
    assert [each is None for each in entries(file)] == [False] * 4 + [True, False, True]
    done = dicomnode("audit", "list", "--config", str(config))
    assert "2 lines of the trail cannot be read" in done.stderr


def test_a_time_that_is_none_is_refused(config: Path) -> None:
    done = dicomnode("audit", "list", "--since", "yesterday", "--config", str(config))
    assert done.returncode == 2
    assert "30m, 2h, 3d, or a date" in done.stderr
