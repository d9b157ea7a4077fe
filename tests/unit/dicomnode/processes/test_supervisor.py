"""The supervisor: what it does before and beside its processes."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest

from dicomnode.config.sections import InferenceSettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import settings_now
from dicomnode.data_directory.own_data import Taking
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import READY_PIPE
from dicomnode.processes import supervisor
from dicomnode.processes.child import RECEIVER
from dicomnode.processes.reload import last_answer
from dicomnode.processes.supervisor import Supervisor


class _Process:
    """In place of one that runs until the test says how it ended."""

    _pids = itertools.count(4711)

    def __init__(self, command: list[str], env: dict[str, str], **_named: object) -> None:
        self.role, self.pid, self.status = command[4], next(self._pids), None
        self._pipe = int(env[READY_PIPE])
        self.signals: list[signal.Signals] = []

    def send_signal(self, sent: signal.Signals) -> None:
        self.signals.append(sent)

    def tell_ready(self) -> None:
        os.write(self._pipe, f"{self.pid}\n".encode())

    def poll(self) -> int | None:
        return self.status


class _Taking:
    taken = True


class Started:
    """A supervisor of which each process is the test's; all that were started, in order."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
        self.all: list[Any] = []
        self.refused = False
        self.ready = True
        self.taking = _Taking()
        monkeypatch.setattr("subprocess.Popen", self._start)
        settings = Settings(
            node=NodeSettings(data_directory=folder),
            inference=InferenceSettings(allow_demonstration_model=True),
        )
        self.settings = settings
        self.folder = folder
        self.supervisor = Supervisor(
            settings,
            folder / "settings.json",
            "node",
            cast("Taking", self.taking),
            read=lambda: self.settings,
            **how,
        )

    def reload(self, **sections: Any) -> list[tuple[str, signal.Signals]]:
        """Which process is told what when the configuration is this."""
        before = [len(each.signals) for each in self.all]
        node, inference = {"data_directory": self.folder}, {"allow_demonstration_model": True}
        given = {"node": node, "inference": inference} | sections
        self.settings = Settings.model_validate(given)
        self.supervisor.reload()
        told = zip(self.all, before, strict=True)
        return [(each.role, sent) for each, known in told for sent in each.signals[known:]]

    @property
    def answer(self) -> str:
        last = last_answer(self.folder)
        return last.text if last else ""

    def _start(self, command: list[str], **named: Any) -> Any:
        if self.refused:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        self.all.append(_Process(command, **named))
        return self.all[-1]

    def roles_at(self, now: float) -> list[str]:
        """Which are started by looks at this moment, when receivers are ready at once."""
        before = len(self.all)
        self.supervisor.look(now)
        if self.ready:
            for each in self.all[before:]:
                if each.role.startswith(RECEIVER):
                    each.tell_ready()
            self.supervisor.look(now)
        return [each.role for each in self.all[before:]]

    def last(self, role: str) -> Any:
        """The process of a role that was started last."""
        return next(each for each in reversed(self.all) if each.role == role)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(tmp_path, monkeypatch)


ALL = ["receiver-1", "receiver-2", "monitor", "assessor", "deliverer", "cleaner", "worker-1"]


def test_until_the_database_is_the_nodes_own_nothing_is_begun_with_it(started: Started) -> None:
    started.taking.taken = False
    assert started.roles_at(100.0) == ["receiver-1", "receiver-2", "monitor", "worker-1"]
    assert started.roles_at(100.2) == []
    started.taking.taken = True
    assert started.roles_at(100.4) == ["assessor", "deliverer", "cleaner"]


def test_the_others_leave_the_processors_to_the_receivers_for_a_while(started: Started) -> None:
    started.ready = False
    now = time.monotonic()
    assert started.roles_at(now) == ALL[:2]
    started.last("receiver-1").tell_ready()
    assert started.roles_at(now + 0.2) == [], "one of two"
    started.last("receiver-2").tell_ready()
    assert started.roles_at(now + 0.4) == ALL[2:]


def test_receivers_that_are_never_ready_hold_up_nobody_for_ever(started: Started) -> None:
    started.ready = False
    assert started.roles_at(time.monotonic()) == ALL[:2]
    assert started.roles_at(time.monotonic() + 60.0) == ALL[2:]


def test_of_workers_alone_nothing_else_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Started(tmp_path, monkeypatch, workers_alone=True)
    assert alone.roles_at(100.0) == ["worker-1"]


def test_a_node_whose_models_cannot_be_loaded_ends(started: Started) -> None:
    started.roles_at(100.0)
    started.last("worker-1").status = 2
    with pytest.raises(ConfigurationError, match="models cannot be loaded"):
        started.roles_at(100.2)


def test_a_worker_that_was_killed_while_it_loaded_is_started_again(started: Started) -> None:
    started.roles_at(100.0)
    started.last("worker-1").status = -9
    assert started.roles_at(100.2) == []
    assert started.roles_at(101.0) == ["worker-1"]


def test_models_that_were_loaded_once_end_no_node(started: Started) -> None:
    """It goes on receiving, and what is wrong may be put right meanwhile."""
    started.roles_at(100.0)
    started.last("worker-1").tell_ready()
    started.roles_at(100.2)
    started.last("worker-1").status = 2
    assert started.roles_at(100.4) == []
    assert started.roles_at(101.0) == ["worker-1"]


def test_what_dies_is_started_again_later_each_time(started: Started) -> None:
    started.roles_at(100.0)
    now = 100.0
    for wait in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        started.last("worker-1").status = 1
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


QUICKLY_REPLACED = ["monitor", "assessor", "deliverer", "cleaner"]


def test_receivers_take_over_what_changed_and_the_others_end_and_start_again(
    started: Started,
) -> None:
    started.roles_at(100.0)
    told = started.reload(disk={"refuse_below_bytes": 5})
    assert told == [
        ("receiver-1", signal.SIGHUP),
        ("receiver-2", signal.SIGHUP),
        *((role, signal.SIGTERM) for role in QUICKLY_REPLACED),
    ], "disk is none of the workers' business"
    assert started.answer == ("the changed configuration is taken over: disk.refuse_below_bytes")
    assert settings_now(started.folder).disk.refuse_below_bytes == 5
    for role in QUICKLY_REPLACED:
        started.last(role).status = 0
    assert started.roles_at(100.2) == QUICKLY_REPLACED, "at once, as nothing failed"


def test_a_worker_ends_when_the_change_concerns_it(started: Started) -> None:
    started.roles_at(100.0)
    assert ("worker-1", signal.SIGHUP) in started.reload(eligibility={"min_slices": 20})
    assert started.roles_at(100.2) == [], "it is at a series"
    started.last("worker-1").status = 0
    assert started.roles_at(100.4) == ["worker-1"]


def test_what_cannot_be_taken_over_changes_nothing(started: Started) -> None:
    started.roles_at(100.0)
    assert started.reload(receive={"processes": 3}, disk={"refuse_below_bytes": 5}) == []
    assert started.answer == ("nothing is changed: receive.processes: holds only from a restart on")
    assert not (started.folder / "settings.json").exists()


def test_a_folder_that_cannot_be_looked_into_ends_no_node(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_settings: Settings, **_how: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/models")

    started.roles_at(100.0)
    monkeypatch.setattr(supervisor, "check_start", closed)
    assert started.reload(disk={"refuse_below_bytes": 5}) == []
    assert "nothing is changed" in started.answer
    assert "Permission denied: '/models'" in started.answer


def test_a_process_that_fails_as_it_takes_over_waits_as_after_any_fault(started: Started) -> None:
    started.roles_at(100.0)
    started.reload(disk={"refuse_below_bytes": 5})
    started.last("cleaner").status = 1
    assert started.roles_at(100.2) == []
    assert started.roles_at(100.7) == ["cleaner"]
