"""The listening sockets of a node."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from dicomnode.config.sections import ReceiveSettings
from dicomnode.errors import ConfigurationError
from dicomnode.network.listeners import bind_listener
from dicomnode.processes import ports
from dicomnode.processes.ports import bound, is_held_by_systemd, open_ports
from support.wait import SLOWER


def test_a_port_that_is_held_is_waited_for_and_a_stop_ends_the_wait() -> None:
    holder = bind_listener(("127.0.0.1", 0))
    address = ("127.0.0.1", holder.getsockname()[1])
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    assert bound(address, stop) is None
    assert time.monotonic() - began < 5 * SLOWER
    holder.close()
    again = bound(address, stop)
    assert again is not None
    again.close()


def test_a_port_that_stays_held_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.processes.ports.STOP_SECONDS", -10.0)
    holder = bind_listener(("127.0.0.1", 0))
    address = ("127.0.0.1", holder.getsockname()[1])
    with pytest.raises(ConfigurationError, match="cannot listen"):
        bound(address, threading.Event())
    holder.close()


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A listening socket that systemd hands over to this process, on a descriptor of its own."""
    listener = bind_listener(("127.0.0.1", 0))
    monkeypatch.setattr(ports, "_FIRST_HANDED", os.dup(listener.fileno()))
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    return listener


def test_a_socket_that_is_handed_over_is_taken(handed: socket.socket) -> None:
    port = handed.getsockname()[1]
    (taken,) = open_ports(ReceiveSettings(port=port), threading.Event())
    assert taken.getsockname()[1] == port
    with socket.create_connection(("127.0.0.1", port)):
        taken.accept()[0].close()
    taken.close()
    handed.close()


def test_a_socket_of_another_port_is_refused_with_its_key(handed: socket.socket) -> None:
    with pytest.raises(ConfigurationError, match=r"receive\.port: systemd holds the port \d+"):
        open_ports(ReceiveSettings(port=11112), threading.Event())
    handed.close()


def test_what_is_handed_to_another_process_is_left_alone(
    handed: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setattr(ports, "STOP_SECONDS", -10.0)
    with pytest.raises(ConfigurationError, match=r"receive\.port: cannot listen"):
        open_ports(ReceiveSettings(port=handed.getsockname()[1]), threading.Event())
    os.close(ports._FIRST_HANDED)
    handed.close()


def test_a_port_of_a_socket_unit_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho '[::]:11112 dicomnode.socket dicomnode.service'\n")
    systemctl.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert is_held_by_systemd(11112)
    assert not is_held_by_systemd(1112)
    systemctl.write_text("#!/bin/sh\nexit 1\n")
    assert not is_held_by_systemd(11112)
