"""What systemd is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.processes.service_manager import ServiceManager, without_its_variables


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        yield listening


def test_it_is_told_what_it_waits_for(manager: socket.socket) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    told.ready("receives")
    assert manager.recv(100) == b"READY=1\nSTATUS=receives"
    told.reloading()
    first, _, second = manager.recv(100).decode().partition("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    told.stopping()
    assert manager.recv(100) == b"STOPPING=1"


def test_the_watchdog_is_told_twice_in_its_time(manager: socket.socket) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "10000000"})
    told.alive(100.0)
    assert manager.recv(100) == b"WATCHDOG=1"
    told.alive(104.9)
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    told.alive(105.0)
    assert manager.recv(100) == b"WATCHDOG=1"


def test_nobody_is_told_where_nobody_waits(tmp_path: Path) -> None:
    ServiceManager({}).ready("receives")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("receives")


def test_other_processes_do_not_inherit_what_is_meant_for_one() -> None:
    environment = {"NOTIFY_SOCKET": "x", "LISTEN_PID": "1", "LISTEN_FDS": "1", "PATH": "/bin"}
    assert without_its_variables(environment) == {"PATH": "/bin"}
