"""One connection with the cluster after the other, as long as workers are wanted.

When the cluster is gone, all its workers are or soon will be, too, and nobody there remembers that
any were wanted: so they are placed anew as soon as it is back. What they had in hand is free when
their leases are over, in the database as always.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from dicomnode.lifecycle import EXIT_REFUSED, SUPERVISOR_PIPE
from dicomnode.placement.session import EXIT_GONE, WISH, Wish

log = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 1.0
_LAST_BACKOFF_SECONDS = 10.0
_STEADY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.1


def keep(wish: Wish, stop: threading.Event) -> int:
    """Until `stop`, or until it cannot go on as it is set up: the exit status."""
    backoff = _FIRST_BACKOFF_SECONDS
    while True:
        began = time.monotonic()
        status = _hold_one(wish, stop)
        if stop.is_set():
            return 0
        if status == EXIT_REFUSED:
            return status  # it has said why
        if time.monotonic() - began >= _STEADY_SECONDS:
            backoff = _FIRST_BACKOFF_SECONDS
        if status != EXIT_GONE:
            log.error("the connection with the cluster ended with status %d", status)
        if stop.wait(backoff):
            return 0
        backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)


def _hold_one(wish: Wish, stop: threading.Event) -> int:
    """One session, from its begin to its end; it ends with this process, however that ends."""
    command = [sys.executable, "-m", "dicomnode.placement.session", WISH.dump_json(wish).decode()]
    theirs, ours = os.pipe()
    try:
        session = subprocess.Popen(
            command, env=os.environ | {SUPERVISOR_PIPE: str(theirs)}, pass_fds=(theirs,)
        )
        os.close(theirs)
        while session.poll() is None and not stop.wait(_LOOK_SECONDS):
            pass
        if session.poll() is None:
            session.terminate()
        try:
            return session.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            session.kill()
            return session.wait()
    finally:
        os.close(ours)
