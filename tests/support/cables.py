"""Hosts on a switch, each a network namespace of its own: a cable can be pulled, and put in again.

Nothing of this machine's own network is touched: the switch is a bridge in a namespace, too. A
process belongs to a host when it was begun within `Host.entered`, as does each socket made there.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_SUBNET = "10.213.18"
_setns = ctypes.CDLL(None, use_errno=True).setns


class Host:
    """One host with one cable. `address`: of it on the switch."""

    def __init__(self, switch: str, number: int) -> None:
        self.address = f"{_SUBNET}.{number}"
        self._switch, self._name, self._port = switch, f"{switch}-{number}", f"port{number}"
        _ip("netns", "add", self._name)
        cable = ("link", "add", self._port, "type", "veth", "peer", "name", "eth0")
        _ip("-n", switch, *cable, "netns", self._name)
        _ip("-n", switch, "link", "set", self._port, "master", "switch", "up")
        _ip("-n", self._name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for each in ("lo", "eth0"):
            _ip("-n", self._name, "link", "set", each, "up")

    def pull(self) -> None:
        """The cable: nobody is told anything, on either side."""
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def plug_in(self) -> None:
        _ip("-n", self._switch, "link", "set", self._port, "up")

    def lose(self, address: str) -> None:
        """It alone reaches that host no more."""
        _ip("-n", self._name, "route", "add", "blackhole", f"{address}/32")

    def find(self, address: str) -> None:
        """And reaches it again."""
        _ip("-n", self._name, "route", "delete", "blackhole", f"{address}/32")

    def has(self, address: str) -> bool:
        return f"inet {address}/" in _ip("-n", self._name, "address", "show", "dev", "eth0")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread begins and opens meanwhile is on this host."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(Path("/run/netns") / self._name)
            yield
        finally:
            _enter_open(own)
            os.close(own)

    def remove(self) -> None:
        _ip("netns", "delete", self._name)


class Switch:
    """A bridge, and the hosts on it."""

    def __init__(self) -> None:
        self._name = f"dn{secrets.token_hex(3)}"
        self._hosts: list[Host] = []
        _ip("netns", "add", self._name)
        _ip("-n", self._name, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._name, "link", "set", "switch", "up")

    def host(self) -> Host:
        """A further one."""
        self._hosts.append(Host(self._name, 11 + len(self._hosts)))
        return self._hosts[-1]

    def free_address(self) -> str:
        """One that no host has."""
        return f"{_SUBNET}.200"

    def remove(self) -> None:
        for each in self._hosts:
            each.remove()
        _ip("netns", "delete", self._name)


@contextmanager
def switch() -> Iterator[Switch]:
    """Only root may make namespaces (as root a refusal fails with CI set)."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and ip(8), of the Debian package iproute2")
    try:
        made = Switch()
    except subprocess.CalledProcessError as error:
        missing = f"network namespaces cannot be made here: {error.stderr.strip()}"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    try:
        yield made
    finally:
        made.remove()


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def _enter(namespace: Path) -> None:
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        _enter_open(descriptor)
    finally:
        os.close(descriptor)


def _enter_open(descriptor: int) -> None:
    if _setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
