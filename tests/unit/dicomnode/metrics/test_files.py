"""Counting in several processes: what a dead one leaves, and what its successor goes on with."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from dicomnode.metrics import files
from support.sources import ROOT

_PROCESS = """
import os, pathlib, signal, sys
from dicomnode.metrics.files import count_as
count_as(sys.argv[1], pathlib.Path(sys.argv[2]))
from dicomnode.metrics.counters import ASSOCIATIONS_OPEN, STAGE_SECONDS, count_received
ASSOCIATIONS_OPEN.set(int(sys.argv[3]))
count_received("CT1", 1000)
STAGE_SECONDS.labels("total").observe(7.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(role: str, folder: Path, associations: int) -> None:
    """A process of a node that counts an instance, and dies with associations open."""
    command = [sys.executable, "-c", _PROCESS, role, str(folder), str(associations)]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=300).returncode == -9


def told(folder: Path, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry.get_sample_value(f"dicomnode_{name}", labels)


def test_a_killed_process_leaves_its_counts_and_nothing_that_it_measured(tmp_path: Path) -> None:
    killed("receiver-1", tmp_path, 3)
    killed("receiver-2", tmp_path, 4)
    assert told(tmp_path, "associations_open") == 7
    files.forget("receiver-1", tmp_path)
    assert told(tmp_path, "associations_open") == 4
    assert told(tmp_path, "instances_received_total", calling_ae_title="CT1") == 2


def test_who_is_started_again_counts_on_in_the_same_files(tmp_path: Path) -> None:
    killed("receiver-1", tmp_path, 3)
    files.forget("receiver-1", tmp_path)
    killed("receiver-1", tmp_path, 1)
    assert told(tmp_path, "associations_open") == 1
    assert told(tmp_path, "received_bytes_total", calling_ae_title="CT1") == 2000
    assert told(tmp_path, "stage_seconds_count", stage="total") == 2
    assert len(list(tmp_path.iterdir())) == len(files.KINDS)


def test_the_files_are_reserved_so_that_a_full_disk_kills_nobody_who_counts(tmp_path: Path) -> None:
    killed("receiver-1", tmp_path, 3)
    for each in tmp_path.iterdir():
        assert each.stat().st_blocks * 512 >= each.stat().st_size > 0


def test_a_node_begins_to_count_anew(tmp_path: Path) -> None:
    folder = files.folder_in(tmp_path)
    files.begin_anew(folder)
    killed("receiver-1", folder, 3)
    files.begin_anew(folder)
    assert list(folder.iterdir()) == []


def test_a_disk_that_takes_nothing_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gauge_livesum_receiver-1.db").write_bytes(b"")

    def read_only(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", read_only)
    files.forget("receiver-1", tmp_path)
    files.begin_anew(tmp_path)
    assert len(caplog.messages) == 2
    assert all(os.strerror(errno.EROFS) in each for each in caplog.messages)


def test_without_room_a_process_counts_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full)
    before = values.ValueClass
    files.count_as("receiver-1", tmp_path)
    assert values.ValueClass is before
    assert caplog.messages == [f"metrics of this process are not told: {os.strerror(errno.ENOSPC)}"]
