"""What a restart costs: peers that send meanwhile, a watch on the port, a socket that is held."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import IO
from unittest.mock import patch

from dicomnode.network.listeners import bind_listener
from support.node import Node, sop_instance_uids
from support.phantom import write_series
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

_ANSWERED = "Received Store Response (Success)"
_LOOK_SECONDS = 0.02
_SLICES = 4


class StorescuLoop:
    """DCMTK's storescu sends one series after the other, each over an association of its own."""

    def __init__(self, port: int, folder: Path) -> None:
        self.answered: set[str] = set()  # SOP Instance UIDs that were answered 0x0000
        self.failures: list[str] = []
        self.longest_seconds = 0.0  # from one series that arrived whole to the next
        self._port, self._folder = port, folder
        self._whole = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        self.wait_for_another()

    def wait_for_another(self) -> None:
        """Until one more series has arrived whole that was not on its way yet."""
        known = self._whole
        wait_for(lambda: self._whole > known + 1, "sending goes on")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        number, last = 0, time.monotonic()
        while not self._stop.is_set():
            files = write_series(self._folder / str(number), _SLICES, seed=number)
            number += 1
            while not self._send(files) and not self._stop.is_set():
                self._stop.wait(_LOOK_SECONDS)  # as a modality would: the whole series again
            self._whole += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - last)
            last = time.monotonic()

    def _send(self, files: Sequence[Path]) -> bool:
        command = [needed("storescu", "dcmtk"), "-v", "-aet", "CT1", "-aec", "DICOMNODE"]
        command += ["127.0.0.1", str(self._port), *map(str, files)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
        told = done.stdout + done.stderr
        self.answered |= sop_instance_uids(files[: told.count(_ANSWERED)])  # in their order
        if done.returncode:
            self.failures.append(told)
        return done.returncode == 0


class PortWatch:
    """Connects again and again: `closed_seconds` is how long nobody listened."""

    def __init__(self, port: int) -> None:
        self.closed_seconds = 0.0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                socket.create_connection(("127.0.0.1", self._port), PATIENCE_SECONDS).close()
                is_open = True
            except OSError:
                is_open = False
            now = time.monotonic()
            self.closed_seconds += 0.0 if is_open else now - last
            last = now


_AS_SYSTEMD = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="dicom")
os.execv(sys.argv[2], sys.argv[2:])
"""


class HeldNode(Node):
    """A node whose port somebody else holds and hands over, as systemd does for a socket unit."""

    def __init__(self, folder: Path, toml: str = "", *, models: Path | None = None) -> None:
        self._listener = bind_listener(("127.0.0.1", 0))
        super().__init__(folder, toml=toml, port=self._listener.getsockname()[1], models=models)

    def begin(self, log: IO[str]) -> subprocess.Popen[bytes]:
        fd = self._listener.fileno()
        handing = [sys.executable, "-c", _AS_SYSTEMD, str(fd), *self.command]
        return subprocess.Popen(
            handing, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(fd,)
        )

    def close(self) -> None:
        super().close()
        self._listener.close()


def restarted(node: Node, folder: Path) -> tuple[StorescuLoop, PortWatch]:
    """Stop and start a node that runs, while peers send; what they saw of it."""
    loop, watch = StorescuLoop(node.port, folder), PortWatch(node.port)
    loop.start()
    watch.start()
    try:
        node.stop()
        node.start()
        loop.wait_for_another()
    finally:
        watch.stop()
        loop.stop()
    return loop, watch


@contextmanager
def run_from(source: Path) -> Iterator[None]:
    """`python -m dicomnode` is that of a checkout, for processes that begin meanwhile."""
    with chdir(source), patch.dict(os.environ, PYTHONPATH=str(source)):
        yield
