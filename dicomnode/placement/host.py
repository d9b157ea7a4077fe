"""What runs on a host of the cluster: it starts one worker, and ends with it.

This file is loaded by Ray on each host, from the dicomnode that is installed there, and loads
nothing of the node but what it needs: the worker is a process of its own (`dicomnode worker`). It
holds one end of a pipe to it, so that the worker stops when this process ends, however that ends.
A head that is lost takes with it who had the workers placed: they go on for a while, and end when
nobody has asked for them since, as others are placed by then.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicomnode.lifecycle import SUPERVISOR_PIPE

DATA_DIRECTORY = "DICOMNODE_NODE__DATA_DIRECTORY"
WORKERS = "DICOMNODE_INFERENCE__WORKERS"

UNASKED_SECONDS = 120.0
"""Longer than Ray lets a host stand whose head is gone, and than it takes to find another."""

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Order:
    """What is to be started. `program`: the command, empty for that of this installation;
    `arguments`: what follows it; `scratch`: a folder in which each worker has one of its own."""

    program: str
    arguments: tuple[str, ...]
    scratch: str


class Host:
    """Of one worker; each method may be called while another has not returned."""

    def __init__(self, order: Order, unasked_seconds: float = UNASKED_SECONDS) -> None:
        """
        Raises:
            OSError: the folder cannot be made, or the worker not be started.
        """
        folder, lock = free_folder(Path(order.scratch))
        theirs, self._pipe = os.pipe()
        environment = os.environ | {
            SUPERVISOR_PIPE: str(theirs),
            DATA_DIRECTORY: str(folder),
            WORKERS: "1",
        }
        program = [order.program] if order.program else [sys.executable, "-m", "dicomnode"]
        command = [*program, *order.arguments]
        try:
            self._worker = subprocess.Popen(command, env=environment, pass_fds=(theirs, lock))
        finally:
            os.close(theirs)
            os.close(lock)  # it is the worker's: its folder is free when that has ended
        self._asked_at = time.monotonic()
        watch = threading.Thread(target=self._stop_unasked, args=(unasked_seconds,), daemon=True)
        watch.start()

    def keep(self) -> None:
        """The worker is wanted still."""
        self._asked_at = time.monotonic()

    def where(self) -> tuple[str, int]:
        """The name of this host, and the id of the worker's process."""
        return socket.gethostname(), self._worker.pid

    def wait(self) -> int:
        """Until the worker has ended; its exit status, or the signal below 0."""
        return self._worker.wait()

    def _stop_unasked(self, seconds: float) -> None:
        while self._worker.poll() is None:
            if time.monotonic() - self._asked_at > seconds:
                self.stop()
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Ask the worker to stop; `wait` returns soon after."""
        if self._worker.poll() is None:
            self._worker.send_signal(signal.SIGTERM)


def free_folder(scratch: Path) -> tuple[Path, int]:
    """The first folder below `scratch` that no worker has, and the open lock on it: 1, 2, …

    A worker of the same host finds what it had copied before, and is the same node again.

    Raises:
        OSError
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = scratch / str(number)
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "placed.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        os.close(lock)
    raise AssertionError("numbers have no end")
