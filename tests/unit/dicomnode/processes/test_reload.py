"""What a running node takes over, and how a reload is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.processes.reload import RELOADED, answer, change_between, last_answer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CT1 = {"ae_title": "CT1", "networks": ["192.0.2.7"]}
PACS = {"name": "pacs", "ae_title": "PACS", "address": "h", "port": 104}
TLS = {"certificate": "a", "private_key": "b", "require_peer_certificate": False}


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize(
    ("wanted", "keys", "workers"),
    [
        ({"receive": {"admission": {"peers": [CT1]}}}, "receive.admission.peers", False),
        ({"destinations": [PACS]}, "destinations", True),
        ({"retention": {"failed_days": 1.0}}, "retention.failed_days", False),
        ({"eligibility": {"min_slices": 20}}, "eligibility.min_slices", True),
        ({"delivery": {"retry": {"factor": 3.0}}}, "delivery.retry.factor", False),
    ],
)
def test_what_is_taken_over_is_named_and_workers_go_on_with_what_is_none_of_theirs(
    wanted: dict[str, Any], keys: str, workers: bool
) -> None:
    change = change_between(settings(), settings(**wanted))
    assert ", ".join(change.keys) == keys
    assert change.concerns_workers == workers


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"receive": {"port": 104}}, "receive.port: holds only from a restart on"),
        ({"node": {"data_directory": "x"}}, "node.data_directory: holds"),
        ({"inference": {"workers": 2}}, "inference.workers: holds"),
        ({"receive": {"processes": 3}, "disk": {"refuse_below_bytes": 1}}, "receive.processes: h"),
        ({"receive": {"tls": {"port": 2763}}}, "receive.tls.port: holds"),
        ({"receive": {"tls": TLS}}, "receive.tls.certificate: holds"),
        ({"log": {"level": "debug"}}, "log.level: holds"),
    ],
)
def test_what_needs_a_restart_is_named(wanted: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        change_between(settings(), settings(**wanted))
    assert str(refused.value).startswith(named)


def test_other_files_of_tls_need_none() -> None:
    before, after = (settings(receive={"tls": TLS | {"certificate": each}}) for each in "ab")
    assert change_between(before, after).keys == ("receive.tls.certificate",)


def test_the_same_is_no_change() -> None:
    assert change_between(settings(), settings()).keys == ()


def test_each_key_that_is_named_is_one() -> None:
    """So that a key that is renamed is not taken for one that needs a restart."""
    known = Settings.model_json_schema()["properties"]
    assert {each.partition(".")[0] for each in RELOADED} <= set(known)


def test_answers_are_counted_and_kept(tmp_path: Path) -> None:
    assert last_answer(tmp_path) is None
    answer(tmp_path, NOW, taken_over=False, text="no")
    answer(tmp_path, NOW, taken_over=True, text="yes")
    last = last_answer(tmp_path)
    assert last is not None
    assert (last.number, last.taken_over, last.text) == (2, True, "yes")
    (tmp_path / "reload.json").write_text("{")
    assert last_answer(tmp_path) is None
