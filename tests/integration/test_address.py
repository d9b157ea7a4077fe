"""The address: a host that goes, or is not ready, costs a sender a few seconds, by HAProxy and by
keepalived.

Two nodes on hosts of their own with one database, and the product's own examples.
"""

from __future__ import annotations

import http.client
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from support.cables import Host, Switch, switch
from support.machines import PORT, Machine
from support.scu import Scu
from support.small_disk import small_disk
from support.sources import ROOT
from support.standby import Pair, replicated
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

LONGEST_SECONDS = 5.0
_TRY_SECONDS = 4.0
_AGAIN_SECONDS = 0.05
_NEXT = 6  # associations after the first
_HTTP_PORT = 11180
_MEGABYTES = 128  # of each node's disk
_ADDRESS = ROOT / "etc" / "address"
_TOML = f"""
[inference]
workers = 0
[object_store]
url = "file://STORE"
[disk]
refuse_below_bytes = 33554432
resume_above_bytes = 67108864
[http]
address = "0.0.0.0"
port = {_HTTP_PORT}
token = {{ variable = "NOT_SET" }}
"""


class Site:
    """Two nodes, what they share, and who sends."""

    def __init__(
        self, stack: ExitStack, network: Switch, folder: Path, models: Path, receive: str = ""
    ) -> None:
        self.source = network.host()
        self.database: Pair = stack.enter_context(replicated(network.host(), network.host()))
        store = folder / "store"
        store.mkdir()
        shared = f'database_url = "{self.database.url}"\nshares_database = true\n'
        toml = _TOML.replace("STORE", str(store))
        self.machines = []
        for name in ("first", "second"):
            own = folder / name
            own.mkdir()
            stack.enter_context(small_disk(own / "data", _MEGABYTES))
            host = network.host()
            machine = Machine(host, own, (), toml, node=shared, receive=receive, models=models)
            stack.callback(machine.close)
            machine.launch()
            self.machines.append(machine)
        wait_for(self.in_order, "both nodes answer, and are ready")

    def in_order(self) -> bool:
        return all(each.answers() and ready(each) for each in self.machines)

    def strike(self, machine: Machine, how: str) -> None:
        """It is there, and not ready: "full" or "without a database"."""
        if how == "full":
            machine.ballast.load()
        else:
            machine.host.lose(self.database.primary.host.address)

    def mend(self, machine: Machine, how: str) -> None:
        if how == "full":
            machine.ballast.drop()
        else:
            machine.host.find(self.database.primary.host.address)


@pytest.fixture
def network() -> Iterator[Switch]:
    with switch() as made:
        yield made


def ready(machine: Machine) -> bool:
    """Whether it says so, to one without a token."""
    connection = http.client.HTTPConnection("127.0.0.1", _HTTP_PORT, timeout=_TRY_SECONDS)
    with machine.host.entered(), closing(connection), suppress(OSError):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


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


class Proxy:
    """HAProxy by the product's example, on a host of its own."""

    def __init__(self, stack: ExitStack, host: Host, machines: list[Machine], folder: Path) -> None:
        program, self.host, self._stats = needed("haproxy", "haproxy"), host, folder / "stats"
        text = (_ADDRESS / "haproxy.cfg").read_text().partition("# DICOM over TLS")[0]
        for number, machine in enumerate(machines, 1):
            text = text.replace(f"192.0.2.1{number}", machine.host.address)
        text = text.replace("global\n", f"global\n    stats socket {self._stats}\n")
        config = folder / "haproxy.cfg"
        config.write_text(text)
        log = folder / "haproxy.log"
        stack.enter_context(running(host, [program, "-db", "-f", str(config)], log))

    def _told(self) -> dict[str, list[str]]:
        """By "backend/server"."""
        if not self._stats.exists():
            return {}
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self._stats))
            asking.sendall(b"show stat\n")
            rows = [line.split(",") for line in asking.makefile().read().splitlines()]
        return {"/".join(row[:2]): row for row in rows if row[1:2] and row[1].startswith("node")}

    def is_up(self, server: str) -> bool:
        return self._told()[server][17].startswith("UP")  # "UP 1/2": it failed once

    def all_up(self) -> bool:
        told = self._told()
        return len(told) == 4 and {row[17] for row in told.values()} == {"UP"}

    def sessions(self, server: str) -> int:
        """So many so far."""
        return int(self._told()[server][7])

    def held(self, source: Host) -> list[Scu]:
        """An open association with each node."""
        with source.entered():
            return [Scu(104, address=self.host.address) for _ in range(2)]


@pytest.fixture
def behind_proxy(
    network: Switch, tmp_path: Path, shared_models: Path
) -> Iterator[tuple[Site, Proxy]]:
    needed("haproxy", "haproxy")
    with ExitStack() as stack:
        host = network.host()
        proxies = f'proxies = ["{host.address}"]'
        site = Site(stack, network, tmp_path, shared_models, proxies)
        yield site, Proxy(stack, host, site.machines, tmp_path)


def test_behind_haproxy_the_next_association_reaches_the_other_host(
    behind_proxy: tuple[Site, Proxy],
) -> None:
    site, proxy = behind_proxy
    address = proxy.host.address

    def in_order() -> bool:
        return site.in_order() and proxy.all_up()

    for struck in site.machines:
        wait_for(in_order, "the proxy knows that both nodes are in order")
        held, began = proxy.held(site.source), time.monotonic()
        cut = check(site.source, address, 104, struck.host.pull)
        sockets = [each.socket for each in held]
        (told,) = wait_for(lambda: select.select(sockets, [], [], 0)[0], "one is told")  # noqa: B023
        with suppress(ConnectionError):
            assert told.recv(1024) == b""
        broken = time.monotonic() - began
        for each in held:
            each.close()
        struck.host.plug_in()
        wait_for(in_order, "the proxy knows that both nodes are in order")
        killed = check(site.source, address, 104, struck.plug_pulled)
        struck.launch()
        print(f"HAProxy: after a cut {cut:.1f} s, after a kill {killed:.1f} s; who was connected")
        print(f"with the host that was cut is told after {broken:.1f} s")


def test_haproxy_passes_over_who_is_not_ready_and_cuts_nobody(
    behind_proxy: tuple[Site, Proxy],
) -> None:
    site, proxy = behind_proxy
    address = proxy.host.address
    for number, how in ((1, "full"), (2, "without a database")):
        struck, server = site.machines[number - 1], f"ready/node{number}"
        wait_for(lambda: site.in_order() and proxy.all_up(), "both nodes are in order")
        held, began = proxy.held(site.source), time.monotonic()
        site.strike(struck, how)
        wait_for(lambda: not proxy.is_up(server), "it is passed over")  # noqa: B023
        took = time.monotonic() - began
        assert took <= LONGEST_SECONDS
        before = proxy.sessions(server)
        for _ in range(_NEXT):
            assert reached(site.source, address, 104) <= LONGEST_SECONDS
        assert proxy.sessions(server) == before
        for each in held:
            each.release()
        began = time.monotonic()
        site.mend(struck, how)
        wait_for(lambda: proxy.is_up(server), "it is back")  # noqa: B023
        back = time.monotonic() - began
        print(f"HAProxy, one {how}: passed over after {took:.1f} s, back after {back:.1f} s")
    for machine in site.machines:
        site.strike(machine, "full")
    wait_for(lambda: not (proxy.is_up("ready/node1") or proxy.is_up("ready/node2")), "none is")
    assert reached(site.source, address, 104) <= LONGEST_SECONDS, "any is better than none"


def test_a_floating_address_moves_to_the_other_host(
    network: Switch, tmp_path: Path, shared_models: Path
) -> None:
    with ExitStack() as stack:
        site, address = floating(stack, network, tmp_path, shared_models)
        for kind in ("cut", "kill", "cut", "kill"):
            struck, _ = wait_for(lambda: holder(site, address), "one of them has the address")
            strike = struck.host.pull if kind == "cut" else struck.plug_pulled
            took = check(site.source, address, PORT, strike)
            print(f"keepalived: {kind} {took:.1f} s")
            if kind == "cut":
                struck.host.plug_in()
            else:
                struck.launch()


def test_a_floating_address_leaves_a_host_that_is_not_ready_for_one_that_is(
    network: Switch, tmp_path: Path, shared_models: Path
) -> None:
    with ExitStack() as stack:
        site, address = floating(stack, network, tmp_path, shared_models)
        former: Machine | None = None
        for how in ("full", "without a database"):
            struck, other = wait_for(lambda: holder(site, address), "one of them has the address")
            assert struck is not former, "it stays where it came over"
            reached(site.source, address, PORT)
            began = time.monotonic()
            site.strike(struck, how)
            wait_for(lambda: other.host.has(address), "the other has it")  # noqa: B023
            reached(site.source, address, PORT)
            took = time.monotonic() - began
            assert took <= LONGEST_SECONDS
            print(f"keepalived, one {how}: the other is reached after {took:.1f} s")
            site.mend(struck, how)
            former = struck
        wait_for(lambda: holder(site, address), "one of them has the address")
        for each in site.machines:
            site.strike(each, "full")
        wait_for(lambda: not any(map(ready, site.machines)), "none is ready")
        assert reached(site.source, address, PORT) <= LONGEST_SECONDS, "any is better than none"


def floating(stack: ExitStack, network: Switch, folder: Path, models: Path) -> tuple[Site, str]:
    """Two nodes, and an address that one of them has."""
    program, address = needed("keepalived", "keepalived"), network.free_address()
    site = Site(stack, network, folder, models)
    script = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/run"))) / "ready.sh"
    shutil.copy(_ADDRESS / "dicomnode-ready.sh", script)  # to where root alone may write
    for number, machine in enumerate(site.machines, 1):
        stack.enter_context(keepalived(program, machine, number, address, script, folder))
    return site, address


def holder(site: Site, address: str) -> tuple[Machine, Machine] | None:
    """Who has the address, and the other; None while that is not so, or one is not in order."""
    by_having = sorted(site.machines, key=lambda each: not each.host.has(address))
    having = [each.host.has(address) for each in by_having]
    return (by_having[0], by_having[1]) if having == [True, False] and site.in_order() else None


@contextmanager
def keepalived(
    program: str, machine: Machine, number: int, address: str, script: Path, folder: Path
) -> Iterator[None]:
    text = (_ADDRESS / "keepalived.conf").read_text()
    text = text.replace("192.0.2.10/24", f"{address}/24").replace("node1", f"node{number}")
    text = text.replace("/etc/keepalived/dicomnode-ready.sh", str(script))
    own = folder / f"keepalived-{number}"
    own.mkdir()
    (own / "conf").write_text(text)
    command = [program, "-n", "-l", "-f", str(own / "conf"), "-p", str(own / "pid")]
    command += ["-r", str(own / "vrrp"), "-c", str(own / "checkers")]
    with running(machine.host, command, own / "log"):
        yield
