"""How a process of the node starts, keeps at its work, and is asked to stop.

SIGTERM and SIGINT are blocked in every thread and taken by one that waits for them, so that a stop
is noticed even while the main thread is deep in a network's forward pass. A process whose
supervisor is gone (its end of a pipe closes) stops as well: no orphan works on.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from typing import ParamSpec

from dicomnode.errors import NodeError
from inference.errors import InferenceError
from storage.errors import DatabaseUnavailableError, StorageError

log = logging.getLogger(__name__)

_P = ParamSpec("_P")

EXIT_FAULT = 1
EXIT_REFUSED = 2
"""It cannot work as it is set up, or was asked for what cannot be; it has said why."""

EXIT_TWICE = 4
"""Another host is the same node too; it has said which, and what to do."""

SUPERVISOR_PIPE = "DICOMNODE_SUPERVISOR_PIPE"
"""Environment variable: file descriptor of a pipe whose other end the supervisor holds."""

LISTENER = "DICOMNODE_LISTENER"
"""Environment variable: file descriptors of the listening sockets, which the supervisor holds,
separated by commas: one for each port of `ReceiveSettings.ports`."""

READY_PIPE = "DICOMNODE_READY_PIPE"
"""Environment variable: file descriptor of a pipe on which the supervisor is told who is ready."""

STOP_SECONDS = 8.0
"""From the wish to stop to the end of a process that has not ended by itself, in seconds."""

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
RENEWAL = signal.SIGHUP
"""Tells a node to take over its changed configuration, and a process of it that there is one."""


@contextmanager
def tells_what_can_be_mended(
    status: Callable[[Exception], int] = lambda _error: EXIT_REFUSED,
) -> Iterator[None]:
    """Around a whole process: what a person can mend is told in one line, with this exit status."""
    try:
        yield
    except (NodeError, StorageError, InferenceError) as error:
        print(f"dicomnode: {error}", file=sys.stderr)
        raise SystemExit(status(error)) from None


class Stop(threading.Event):
    """Set when this process is to stop. `renewed` is set when its settings are others (SIGHUP): who
    takes them over clears it first."""

    def __init__(self) -> None:
        super().__init__()
        self.renewed = threading.Event()


def block_stop_signals(*also: signal.Signals) -> None:
    """To be called first, in the main thread: threads started later inherit the mask, and so do
    processes, to which a signal comes as soon as they wait for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, *also})


def stop_on_request(*also: signal.Signals) -> Stop:
    """An event that is set when this process is to stop. `also`: as for `block_stop_signals`."""
    stop = Stop()
    threading.Thread(target=_wait_for_signal, args=(stop, also), daemon=True).start()
    pipe = os.environ.get(SUPERVISOR_PIPE)
    if pipe is not None:
        threading.Thread(target=_wait_for_supervisor, args=(int(pipe), stop), daemon=True).start()
    return stop


def _wait_for_signal(stop: Stop, also: Sequence[signal.Signals]) -> None:
    while signal.sigwait({*_STOP_SIGNALS, *also}) == RENEWAL:
        stop.renewed.set()
    stop.set()


def _wait_for_supervisor(pipe: int, stop: threading.Event) -> None:
    os.read(pipe, 1)  # nobody writes: it returns when the supervisor's end is closed
    stop.set()
    time.sleep(STOP_SECONDS)
    os._exit(1)


@contextmanager
def lost_for_nothing(stop: threading.Event) -> Iterator[None]:
    """Around work of which nothing is left when it is broken off: a stop ends the process then."""
    done = threading.Event()

    def end() -> None:
        stop.wait()
        if not done.is_set():
            os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def tell_ready() -> None:
    """Tell the supervisor, if there is one, that this process does its work from now on."""
    pipe = os.environ.get(READY_PIPE)
    if pipe is not None:
        with suppress(BrokenPipeError):  # it is gone, and this process ends as well
            os.write(int(pipe), f"{os.getpid()}\n".encode())  # whole or not at all (PIPE_BUF)


def ends_process_on_fault(work: Callable[_P, None]) -> Callable[_P, None]:
    """For the target of a thread without which its process would look alive and do nothing.

    A fault in it ends the process, so that the supervisor starts another.
    """

    @wraps(work)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except BaseException:
            log.critical("thread %s failed", threading.current_thread().name, exc_info=True)
            logging.shutdown()
            os._exit(EXIT_FAULT)

    return guarded


class Outage:
    """For a loop that asks the database: what keeps it waiting is told once, and once its end."""

    def __init__(self, work: str, *also: type[Exception]) -> None:
        """`work`: what waits, as a gerund ("assessing"). `also`: what else is over by itself."""
        self._work = work
        self._waited_for: tuple[type[Exception], ...] = (DatabaseUnavailableError, *also)
        self._lasts = False

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Around one look. What is waited for ends here; every other fault is raised."""
        try:
            yield
        except self._waited_for as error:
            if not self._lasts:
                log.warning("%s waits: %s", self._work, error)
            self._lasts = True
        else:
            if self._lasts:
                log.info("%s goes on", self._work)
            self._lasts = False


def keep_looking(
    look: Callable[[], object],
    stop: threading.Event,
    outage: Outage,
    on_fault: str,
    look_seconds: float,
    fault_seconds: float,
) -> None:
    """Look until `stop`: at once again while there is something to do, else after a while.

    A fault ends nothing: others are served by threads beside this one. `on_fault` is told then.
    """
    while not stop.is_set():
        pause = look_seconds
        try:
            with outage.reported():
                if look():
                    continue
        except Exception:
            log.exception("%s", on_fault)
            pause = fault_seconds
        stop.wait(pause)


def do_once(
    work: Callable[[], object], stop: threading.Event, outage: Outage, retry_seconds: float
) -> None:
    """As soon as the database answers, unless `stop` comes first."""
    done = False
    while not done and not stop.is_set():
        with outage.reported():
            work()
            done = True
        if not done:
            stop.wait(retry_seconds)


def drawn_jitter() -> float:
    """From 0 to 1: keeps what failed together from coming back together, and guards nothing."""
    return random.random()  # noqa: S311 - not for secrets
