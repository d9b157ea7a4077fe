"""A process that has imported what the others share, and of which they are forked.

Seven processes that import the same take seven times the seconds and the memory. This one has one
thread, no connection, no lock and nothing of a patient; it is forked before the supervisor has any
of them. What is forked of it becomes a child of the supervisor (prctl(2), PR_SET_CHILD_SUBREAPER),
as one that the supervisor starts itself: so nobody is lost when this process dies, and from then on
the others are started by themselves, which takes longer and does the same.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, Self

from sqlalchemy.orm import configure_mappers

from dicomnode.lifecycle import EXIT_FAULT
from dicomnode.processes import roles
from dicomnode.processes.service_manager import without_its_variables

log = logging.getLogger(__name__)

FOR_RECEIVERS = (
    "dicomnode.fast_scp.association",
    "dicomnode.network.associations",
    "dicomnode.network.tls_acceptor",
    "dicomnode.receive.reconciliation",
    "dicomnode.receive.visits",
    "dicomnode.commitment.holdings",
    "prometheus_client.multiprocess",
    "storage.timeline",
)
FOR_OTHERS = (
    "dicomnode.analyse.analysis",
    "dicomnode.analyse.flight",
    "dicomnode.analyse.predecessor",
    "dicomnode.assess.assessment",
    "dicomnode.assess.resends",
    "dicomnode.assess.study",
    "dicomnode.data_directory.cleaner",
    "dicomnode.deliver.dicom_sender",
    "dicomnode.deliver.tally",
    "dicomnode.deliver.web_sender",
    "dicomnode.deliver.withdrawn",
    "dicomnode.held_lease",
    "dicomnode.monitor.monitor",
    "dicomnode.notes.writer",
    "storage.series_times",
)
"""What the roles import, but for what counts (`dicomnode.metrics.files` must know before who does)
and for what computes: no torch, whose threads outlive no fork."""

_STAGES = (FOR_RECEIVERS, FOR_OTHERS)
_GO, _MORE, _READY = b"g", b"more", b"ready"
_MOST_BYTES = 1 << 16
_MOST_HANDED = 16
_ANSWER_SECONDS = 20.0
_IMPORT_SECONDS = 60.0

_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Forked:
    """A child of ours that another process forked; as `subprocess.Popen` where it is used."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, less than 0 for a signal; None while it runs."""
        if self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if ended else None
        return self._status

    def send_signal(self, sent: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sent)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """
        Raises:
            subprocess.TimeoutExpired
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.01)
        return status


class Nursery:
    """The process, as the supervisor sees it."""

    def __init__(self, pid: int, way: socket.socket) -> None:
        self._process: Forked | None = Forked(pid)
        self._way = way
        self._stages, self._imports = 0, True
        self._until = time.monotonic() + _IMPORT_SECONDS

    @classmethod
    def begun(cls) -> Self:
        """To be called while this process has one thread, its stop signals blocked.

        Raises:
            OSError: this system lets no process adopt what its children leave.
        """
        if _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no adoption")
        # who started this one may ignore it, and it is inherited: then no end could be waited for
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            _be_nursery(its)
        its.close()
        ours.settimeout(_ANSWER_SECONDS)
        return cls(pid, ours)

    def settled(self, *, receives: bool) -> bool:
        """Whether a role can be had now; it never waits. Until all is imported for it, no."""
        if self._process is None:
            return True
        if self._imports:
            self._look(self._process)
        elif self._stages < (1 if receives else len(_STAGES)):
            self._imports, self._until = True, time.monotonic() + _IMPORT_SECONDS
            with suppress(OSError):  # it is dead, as the next look sees
                self._way.send(_MORE)
        return not self._imports

    def _look(self, process: Forked) -> None:
        if select.select([self._way], [], [], 0)[0] and self._told() == _READY:
            self._stages, self._imports = self._stages + 1, False
        elif process.poll() is not None or time.monotonic() > self._until:
            self._lost()

    def start(self, arguments: Sequence[str], handed: Mapping[str, Sequence[int]]) -> Forked | None:
        """A process that plays a role (`roles.play_as`); None: it cannot be had from here any more.

        `handed`: descriptors, told to it by number in environment variables.
        """
        if self._process is None or self._imports:
            return None
        counts = {name: len(fds) for name, fds in handed.items()}
        going, go = os.pipe()
        fds = [going, *(fd for each in handed.values() for fd in each)]
        try:
            socket.send_fds(self._way, [json.dumps([list(arguments), counts]).encode()], fds)
            told = self._told()
            if not told:
                self._lost()
                return None
            os.write(go, _GO)  # not before it is known here: it would run beside its successor
            return Forked(int(told))
        except OSError:
            self._lost()
            return None
        finally:
            os.close(going)
            os.close(go)

    def _told(self) -> bytes:
        try:
            return self._way.recv(_MOST_BYTES)
        except OSError:
            return b""

    def _lost(self) -> None:
        log.warning("the process that others are forked of is gone: they start by themselves")
        self.close()

    def close(self) -> None:
        """It ends at once: it holds nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process, self._imports = None, False
            self._way.close()


@contextmanager
def nursery() -> Iterator[Nursery | None]:
    """A nursery for as long as a node runs; None where it cannot be had."""
    try:
        found = Nursery.begun()
    except OSError as error:
        log.warning("every process starts by itself: %s", error.strerror)
        yield None
        return
    try:
        yield found
    finally:
        found.close()


def _be_nursery(way: socket.socket) -> NoReturn:
    """Until the supervisor's end of the socket is closed."""
    status = EXIT_FAULT
    try:
        os.closerange(3, way.fileno())
        os.closerange(way.fileno() + 1, _MOST_BYTES)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        kept = without_its_variables(os.environ)
        for name in set(os.environ) - set(kept):
            del os.environ[name]
        _show_as("nursery")
        stages = iter(_STAGES)
        _import(next(stages))
        way.send(_READY)
        while (asked := socket.recv_fds(way, _MOST_BYTES, _MOST_HANDED))[0]:
            if asked[0] == _MORE:
                _import(next(stages))
                way.send(_READY)
                continue
            arguments, counts = json.loads(asked[0])
            way.send(str(_bear(way, arguments, counts, asked[1])).encode())
        status = 0
    except BaseException:
        log.critical("the nursery failed", exc_info=True)
    finally:
        os._exit(status)


def _import(names: Sequence[str]) -> None:
    gc.disable()  # nothing of a module is garbage
    for name in names:
        importlib.import_module(name)
    configure_mappers()  # else each process does it by itself
    gc.enable()
    gc.freeze()  # its pages stay shared: no collection writes into them


def _bear(way: socket.socket, arguments: list[str], counts: dict[str, int], fds: list[int]) -> int:
    """The process id of a role, which is the supervisor's child by now."""
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            for each in (way.fileno(), told, tell):
                os.close(each)
            _play(arguments, counts, fds)
        os.write(tell, str(pid).encode())
        os._exit(0)
    for each in (tell, *fds):
        os.close(each)
    pid = int(os.read(told, _MOST_BYTES))
    os.close(told)
    os.waitpid(between, 0)
    return pid


def _play(arguments: list[str], counts: dict[str, int], fds: list[int]) -> NoReturn:
    status: object = EXIT_FAULT
    try:
        going, *handed = fds
        if os.read(going, 1) != _GO:  # the supervisor has given this one up
            os._exit(0)
        os.close(going)
        for name, count in counts.items():
            os.environ[name] = ",".join(map(str, handed[:count]))
            del handed[:count]
        _show_as(arguments[0])
        roles.play_as(arguments)
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - told as the interpreter tells it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else EXIT_FAULT)


def _show_as(role: str) -> None:
    """In what `ps` and `top` show, in place of the command that began the node (proc(5))."""
    _prctl(_PR_SET_NAME, role.encode(), 0, 0, 0)
    with suppress(OSError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start, arg_end
        shown = f"dicomnode\0role\0{role}".encode()[: end - start - 1]
        ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)
