"""The supervisor: what it does before and beside its processes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import Taking
from dicomnode.processes.supervisor import Supervisor


class _Process:
    """In place of one that runs until the test says how it ended."""

    def __init__(self, command: list[str], **_named: object) -> None:
        self.role, self.pid, self.status = command[4], 4711, None

    def poll(self) -> int | None:
        return self.status


class _Taking:
    taken = True


class Started:
    """A supervisor of which each process is the test's; all that were started, in order."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all: list[Any] = []
        self.refused = False
        self.taking = _Taking()
        monkeypatch.setattr("subprocess.Popen", self._start)
        settings = Settings(node=NodeSettings(data_directory=folder))
        self.supervisor = Supervisor(
            settings, folder / "settings.json", "node", cast("Taking", self.taking)
        )

    def _start(self, command: list[str], **named: object) -> Any:
        if self.refused:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        self.all.append(_Process(command, **named))
        return self.all[-1]

    def roles_at(self, now: float) -> list[str]:
        """Which are started by a look at this moment."""
        before = len(self.all)
        self.supervisor.look(now)
        return [each.role for each in self.all[before:]]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(tmp_path, monkeypatch)


ALL = ["receiver-1", "receiver-2", "monitor", "assessor", "deliverer", "cleaner", "worker-1"]


def test_until_the_database_is_the_nodes_own_only_receivers_and_the_monitor_run(
    started: Started,
) -> None:
    started.taking.taken = False
    assert started.roles_at(100.0) == ALL[:3]
    assert started.roles_at(100.2) == []
    started.taking.taken = True
    assert started.roles_at(100.4) == ALL[3:]


def test_what_dies_is_started_again_later_each_time(started: Started) -> None:
    started.roles_at(100.0)
    now = 100.0
    for wait in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        next(each for each in reversed(started.all) if each.role == "worker-1").status = 1
        assert started.roles_at(now) == []
        assert started.roles_at(now + wait - 0.1) == []
        assert started.roles_at(now + wait) == ["worker-1"]
        now += wait
    assert started.roles_at(now + 59.9) == []
    started.all[-1].status = -9
    assert started.roles_at(now + 60.0) == []
    assert started.roles_at(now + 60.5) == ["worker-1"], "it had lived for a minute"


def test_a_process_that_cannot_be_started_is_tried_again(started: Started) -> None:
    started.refused = True
    assert started.roles_at(100.0) == []
    started.refused = False
    assert started.roles_at(100.4) == []
    assert started.roles_at(100.5) == ALL
