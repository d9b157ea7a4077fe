"""Pulls plugs: of one host or another, or of the database's primary, at random moments.

`Plugs.pull` draws a fault and carries it out in a thread of its own; what was broken works again
when that ends. At most two hosts are out of order at a time, and the database beside them.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from support.machines import Machine
from support.standby import Pair
from support.wait import wait_for

HOST_FAULTS = ("kill", "power", "stop", "cut", "full")
DATABASE_FAULTS = ("kill", "stale", "stop", "cut", "full")
_DATABASE_SHARE = 0.25
_LOST_SHARE = 0.15
"""Of the stops and cuts so many last until the others give the host up."""

_AIMED_SHARE, _SOON_SECONDS, _LOOK_SECONDS = 0.5, 4.0, 0.05

_AT_A_TIME = 2


class Plugs:
    """`told`: what was done, in words, with the seconds since the beginning."""

    def __init__(
        self,
        machines: Sequence[Machine],
        database: Pair,
        seed: int,
        lease_seconds: float,
        lost_seconds: float,
    ) -> None:
        self._machines, self._database = machines, database
        self._rng = random.Random(seed)
        self._lease, self._lost = lease_seconds, lost_seconds
        self._began = time.monotonic()
        self._busy: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []
        self.counts: Counter[str] = Counter()
        self.told: list[str] = []
        self.ended_by_themselves = 0
        self.striking: Callable[[Machine, str], None] = lambda _machine, _kind: None
        """Is called when a host is about to be struck, and how."""

        self.analysing: Callable[[], set[str]] = set
        """Ids of the nodes that analyse now."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def database_is_whole(self) -> bool:
        return -1 not in self._busy

    def struck(self) -> set[str]:
        """Ids of the nodes that are out of order now."""
        return {self._machines[each].node_id for each in self._busy.copy() if each >= 0}

    def pull(self) -> None:
        """One more, as soon as there may be."""
        wait_for(self._may, "a host may be struck")
        free = [n for n in range(len(self._machines)) if n not in self._busy]
        ill = self.database_is_whole and self._rng.random() < _DATABASE_SHARE
        number = -1 if ill else self._one_of(free)
        kind = self._rng.choice(DATABASE_FAULTS if ill else HOST_FAULTS)
        drawn = random.Random(self._rng.random())
        self._busy.add(number)
        thread = threading.Thread(target=self._carry_out, args=(number, kind, drawn), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _one_of(self, free: list[int]) -> int:
        """Half of the strikes hit a host that analyses, if one does soon: most moments none does,
        and would tell nothing of how its work goes on."""
        number, deadline = self._rng.choice(free), time.monotonic() + _SOON_SECONDS
        aims = self._rng.random() < _AIMED_SHARE
        while aims and time.monotonic() < deadline:
            busy = self.analysing()
            if found := [each for each in free if self._machines[each].node_id in busy]:
                return self._rng.choice(found)
            time.sleep(_LOOK_SECONDS)
        return number

    def _may(self) -> bool:
        self.keep_running()
        self._raise_faults()
        return len(self._busy - {-1}) < _AT_A_TIME

    def _raise_faults(self) -> None:
        for each in self._faults:
            raise each

    def keep_running(self) -> None:
        """As systemd does with a node that has ended by itself."""
        for number, machine in enumerate(self._machines):
            ended = machine.process is not None and machine.process.poll() is not None
            if ended and number not in self._busy:
                self._tell(f"host {number + 1} had ended by itself")
                self._is_back(machine)

    def rest(self) -> None:
        """Until what was begun has ended, however."""
        for each in self._threads:
            each.join()

    def finish(self) -> None:
        """Until all is in order again."""
        self.rest()
        self._raise_faults()
        wait_for(lambda: all(each.answers() for each in self._machines), "all nodes answer")

    def _carry_out(self, number: int, kind: str, rng: random.Random) -> None:
        name = "database" if number < 0 else f"host {number + 1}"
        try:
            self.counts[f"{name.split(maxsplit=1)[0]} {kind}"] += 1
            if number < 0:
                self._strike_database(kind, rng)
            else:
                self._strike(self._machines[number], name, kind, rng)
            self._tell(f"{name} is in order again")
        except BaseException as fault:  # noqa: BLE001 - told by who waits
            self._faults.append(fault)
        finally:
            self._busy.discard(number)

    def _tell(self, text: str) -> None:
        self.told.append(f"{self.seconds:7.1f} {text}")

    def _strike(self, machine: Machine, name: str, kind: str, rng: random.Random) -> None:
        seconds = rng.uniform(self._lease + 1, 1.5 * self._lease)
        if rng.random() < _LOST_SHARE:
            seconds = self._lost + rng.uniform(6.0, 10.0)
        seconds *= {"kill": 1 / 3, "power": 1 / 2}.get(kind, 1.0)
        self._tell(f"{name}: {kind} for {seconds:.1f} s")
        self.striking(machine, kind)
        match kind:
            case "kill":
                machine.plug_pulled()
                time.sleep(seconds)
                machine.launch()
            case "power":  # nobody gets a word
                machine.host.pull()
                machine.plug_pulled()
                time.sleep(seconds)
                machine.host.plug_in()
                machine.launch()
            case "stop":
                machine.signal(signal.SIGSTOP)
                time.sleep(seconds)
                machine.signal(signal.SIGCONT)
            case "cut":
                with self._pulled(machine):
                    time.sleep(seconds)
            case "full":
                machine.ballast.load()
                time.sleep(seconds)
                machine.ballast.drop()
        wait_for(lambda: self._is_back(machine), f"{name} answers after {kind}")

    def _is_back(self, machine: Machine) -> bool:
        if machine.process is not None and machine.process.poll() is not None:
            self.ended_by_themselves += 1
            machine.launch()
        return machine.answers()

    @contextmanager
    def _pulled(self, machine: Machine) -> Iterator[None]:
        machine.host.pull()
        try:
            yield
        finally:
            machine.host.plug_in()

    def _strike_database(self, kind: str, rng: random.Random) -> None:
        """The standby takes over, but where the disk is full for a while only."""
        pair, noticed = self._database, rng.uniform(1.0, 3.0)
        former = pair.primary
        self._tell(f"database: {kind}")
        match kind:
            case "kill":
                former.signal(signal.SIGKILL)
            case "stale":  # the standby lacks what was committed last
                pair.standby.host.pull()
                time.sleep(rng.uniform(1.0, 5.0))
                former.signal(signal.SIGKILL)
                pair.standby.host.plug_in()
            case "stop":
                former.signal(signal.SIGSTOP)
            case "cut":
                former.host.pull()
            case "full":
                former.ballast.load()
        time.sleep(noticed)
        if kind == "full":
            time.sleep(2 * noticed)
            former.ballast.drop()
            wait_for(lambda: former.accepts() or not former.alive(), "it recovers, or gives up")
            if former.alive():
                return
        pair.fail_over()
        self._tell("database: the standby is promoted")
        if kind == "cut":
            former.host.plug_in()
        time.sleep(rng.uniform(0.0, 3.0))
        pair.rebuild()
