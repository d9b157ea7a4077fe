"""Nodes on hosts of their own, and who sends to them: as one network of hospitals."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

from dicomnode.config.destinations import Destination
from dicomnode.data_directory.holding import id_of_node
from support.cables import Host
from support.load import SUCCESS, Ledger
from support.node import Node
from support.processes import family
from support.scu import Scu
from support.small_disk import Ballast
from support.stamped import Stamped, Template
from support.wait import PATIENCE_SECONDS

PORT = 11112
_PAUSE_SECONDS = 0.5
_ANSWER_SECONDS = 6.0


class Machine(Node):
    """A node on a host of its own. What it has on its disk outlives whatever befalls it."""

    def __init__(
        self,
        host: Host,
        folder: Path,
        destinations: Sequence[Destination] = (),
        toml: str = "",
        *,
        node: str = "",
        receive: str = "",
        models: Path,
    ) -> None:
        """`node`, `receive`: keys of these tables; `toml`: further tables."""
        super().__init__(folder, destinations, toml, port=PORT, models=models)
        self.host, self.ballast = host, Ballast(folder / "data")
        text = self.config.read_text().replace("[node]\n", f"[node]\n{node}\n", 1)
        receive = f'[receive]\naddress = "0.0.0.0"\nprocesses = 1\n{receive}\n'
        self.config.write_text(text.replace("[receive]\n", receive, 1))

    @property
    def node_id(self) -> str:
        return id_of_node(self.folder / "data")

    @property
    def peer(self) -> Destination:
        return super().peer.model_copy(update={"address": self.host.address})

    def begin(self, log: IO[str]) -> subprocess.Popen[bytes]:
        with self.host.entered():
            return super().begin(log)

    def launch(self) -> None:
        """Switch it on, and wait for nothing."""
        with (self.folder / "node.log").open("a") as log:
            self.process = self.begin(log)

    def answers(self) -> bool:
        with self.host.entered(), suppress(OSError):
            Scu(self.port, "TESTER", timeout=2.0, address=self.host.address).release()
            return True
        return False

    def signal(self, sent: signal.Signals) -> None:
        """To all its processes; none is begun anew meanwhile."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGSTOP)
            for each in reversed(family(self.process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(each, sent)

    def plug_pulled(self) -> None:
        """All its processes are gone at once."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
        super().close()


class Source(threading.Thread):
    """Sends one series after the other: to the archive, and then to the nodes, until each instance
    was answered 0x0000 by one of them. A third of the series goes to two at once, in halves."""

    def __init__(
        self,
        host: Host,
        machines: Sequence[Machine],
        archive: Destination,
        templates: Sequence[Template],
        ledger: Ledger,
        seed: int,
        pause_seconds: float,
    ) -> None:
        """`pause_seconds`: at most so long between two series."""
        super().__init__(name=f"source-{seed}", daemon=True)
        self._host, self._machines, self._archive = host, machines, archive
        self._templates, self._ledger = templates, ledger
        self._rng, self._seed = random.Random(seed), seed
        self._pause_seconds = pause_seconds
        self.series = 0
        self.stop = threading.Event()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            with self._host.entered():
                while not self.stop.wait(self._rng.uniform(0.0, self._pause_seconds)):
                    self._one_series()
        except BaseException as fault:  # noqa: BLE001 - told by the test
            self.fault = fault

    def _one_series(self) -> None:
        self.series += 1
        number = self._seed * 1_000_000 + self.series
        slices = [each.instance(next(self._ledger.numbers), number) for each in self._templates]
        for each in slices:
            self._ledger.note_sent(each)
        self._sent_whole(slices, [self._archive], None)
        if self._rng.random() < 1 / 3:
            with ThreadPoolExecutor(2) as pool:
                halves = [slices[::2], slices[1::2]]
                for done in [pool.submit(self._to_nodes, half) for half in halves]:
                    done.result()
        else:
            self._to_nodes(slices)

    def _to_nodes(self, slices: Sequence[Stamped]) -> None:
        self._sent_whole(slices, [each.peer for each in self._machines], self._ledger)

    def _sent_whole(
        self, slices: Sequence[Stamped], peers: Sequence[Destination], ledger: Ledger | None
    ) -> None:
        waiting = list(slices)
        while waiting:
            peer = self._rng.choice(peers)
            try:
                self._send(waiting, peer, ledger)
            except OSError:
                self._ledger.broken += 1
            if waiting:
                time.sleep(self._rng.uniform(0.0, _PAUSE_SECONDS))

    def _send(self, waiting: list[Stamped], peer: Destination, ledger: Ledger | None) -> None:
        """Over one association: what is answered 0x0000 waits no more.

        Raises:
            OSError: it broke.
        """
        title, port = peer.ae_title, peer.port
        with Scu(port, self.name, title, timeout=_ANSWER_SECONDS, address=peer.address) as scu:
            for each in tuple(waiting):
                status = scu.store_instance(each)
                if ledger is not None:
                    ledger.note_answer(each, status)
                if status != SUCCESS:
                    return
                waiting.remove(each)
