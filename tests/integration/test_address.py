"""The address: a host that goes costs a sender a few seconds, by HAProxy and by keepalived.

Two nodes on hosts of their own, and the product's own examples.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from support.cables import Host, Switch, switch
from support.machines import PORT, Machine
from support.scu import Scu
from support.sources import ROOT
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

LONGEST_SECONDS = 5.0
_TRY_SECONDS = 4.0
_AGAIN_SECONDS = 0.05
_NEXT = 6  # associations after the first


@pytest.fixture
def network() -> Iterator[Switch]:
    with switch() as made:
        yield made


@contextmanager
def two_nodes(
    network: Switch, folder: Path, models: Path, receive: str = ""
) -> Iterator[list[Machine]]:
    with ExitStack() as stack:
        machines = []
        for name in ("first", "second"):
            machine = Machine(network.host(), folder / name, receive=receive, models=models)
            stack.callback(machine.close)
            machine.launch()
            machines.append(machine)
        for each in machines:
            wait_for(each.answers, "it answers")
        yield machines


@contextmanager
def running(host: Host, command: list[str], log: Path) -> Iterator[None]:
    with host.entered(), log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def reached(source: Host, address: str, port: int) -> float:
    """Seconds until an association is accepted, however often it has to be tried."""
    began = time.monotonic()
    while True:
        with source.entered(), suppress(OSError):
            Scu(port, timeout=_TRY_SECONDS, address=address).release()
            return time.monotonic() - began
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(_AGAIN_SECONDS)


def check(source: Host, address: str, port: int, strike: Callable[[], None]) -> float:
    """Of the first association after a blow, and of the next; the longest of them."""
    reached(source, address, port)
    strike()
    took = [reached(source, address, port) for _ in range(_NEXT)]
    assert max(took) <= LONGEST_SECONDS, took
    return max(took)


def test_behind_haproxy_the_next_association_reaches_the_other_host(
    network: Switch, tmp_path: Path, shared_models: Path
) -> None:
    program = needed("haproxy", "haproxy")
    source, proxy = network.host(), network.host()
    proxies = f'proxies = ["{proxy.address}"]'
    with two_nodes(network, tmp_path, shared_models, proxies) as machines, ExitStack() as stack:
        example = (ROOT / "etc" / "address" / "haproxy.cfg").read_text()
        text = example.partition("# DICOM over TLS")[0]
        for number, machine in enumerate(machines, 1):
            text = text.replace(f"192.0.2.1{number}", machine.host.address)
        stats = tmp_path / "stats"
        text = text.replace("global\n", f"global\n    stats socket {stats}\n")
        (tmp_path / "haproxy.cfg").write_text(text)
        command = [program, "-db", "-f", str(tmp_path / "haproxy.cfg")]
        stack.enter_context(running(proxy, command, tmp_path / "haproxy.log"))

        def in_order() -> bool:
            return all(each.answers() for each in machines) and states(stats) == {"UP"}

        for struck in machines:
            wait_for(in_order, "the proxy knows that both nodes are in order")
            cut = check(source, proxy.address, 104, struck.host.pull)
            struck.host.plug_in()
            wait_for(in_order, "the proxy knows that both nodes are in order")
            killed = check(source, proxy.address, 104, struck.plug_pulled)
            struck.launch()
            print(f"HAProxy: after a cut {cut:.1f} s, after a kill {killed:.1f} s")


def states(stats: Path) -> set[str]:
    """Of the nodes, as HAProxy tells over its socket."""
    if not stats.exists():
        return set()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(stats))
        asking.sendall(b"show stat\n")
        lines = asking.makefile().read().splitlines()
    rows = [line.split(",") for line in lines if line.startswith("dicom,node")]
    return {row[17] for row in rows}


def test_a_floating_address_moves_to_the_other_host(
    network: Switch, tmp_path: Path, shared_models: Path
) -> None:
    program = needed("keepalived", "keepalived")
    source, address = network.host(), network.free_address()
    with two_nodes(network, tmp_path, shared_models) as machines, ExitStack() as stack:
        for number, machine in enumerate(machines, 1):
            stack.enter_context(keepalived(program, machine, number, address, tmp_path))

        def only_one() -> bool:
            holders = [each.host.has(address) for each in machines]
            return holders.count(True) == 1 and all(each.answers() for each in machines)

        for kind in ("cut", "kill", "cut", "kill"):
            wait_for(only_one, "one of them has the address")
            (struck,) = [each for each in machines if each.host.has(address)]
            strike = struck.host.pull if kind == "cut" else struck.plug_pulled
            print(f"keepalived: {kind} {check(source, address, PORT, strike):.1f} s")
            if kind == "cut":
                struck.host.plug_in()
            else:
                struck.launch()


@contextmanager
def keepalived(
    program: str, machine: Machine, number: int, address: str, folder: Path
) -> Iterator[None]:
    text = (ROOT / "etc" / "address" / "keepalived.conf").read_text()
    text = text.replace("192.0.2.10/24", f"{address}/24").replace("node1", f"node{number}")
    text = text.replace("priority 100", f"priority {110 - 10 * number}")
    own = folder / f"keepalived-{number}"
    own.mkdir()
    (own / "conf").write_text(text)
    command = [program, "-n", "-l", "-f", str(own / "conf"), "-p", str(own / "pid")]
    command += ["-r", str(own / "vrrp"), "-c", str(own / "checkers")]
    with running(machine.host, command, own / "log"):
        yield
