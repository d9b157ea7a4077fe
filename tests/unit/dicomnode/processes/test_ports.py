"""The listening sockets of a node."""

from __future__ import annotations

import threading
import time

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.network.listeners import bind_listener
from dicomnode.processes.ports import bound
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
