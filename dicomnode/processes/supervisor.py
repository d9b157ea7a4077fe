"""The supervisor: starts the processes of one node, restarts what dies, stops them together."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import Taking
from dicomnode.errors import AlreadyRunningError, ConfigurationError
from dicomnode.lifecycle import LISTENER, STOP_SECONDS, SUPERVISOR_PIPE
from dicomnode.network.associations import bind_listener
from dicomnode.processes.states import States
from dicomnode.tls import server_context
from storage import index, jobs
from storage.database import Database, is_missing
from storage.durable import DurableFiles
from storage.errors import StorageError

log = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""A process that lived this long is restarted at once when it dies."""

_LOOK_SECONDS = 0.2

RECEIVER = "receiver"
"""How the names of the roles begin that receive."""

MONITOR = "monitor"
"""The role that tells how the node fares."""


@contextmanager
def only_one(data_directory: Path) -> Iterator[str]:
    """Hold the data directory for this process; gives the node's own id, kept in the directory.

    The lock is the kernel's (flock): it ends with the process, however that ends.

    Raises:
        AlreadyRunningError: another node works on the same data directory.
        ConfigurationError: the directory cannot be made or written.
    """
    with ExitStack() as held:
        try:
            data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = held.enter_context((data_directory / "node.lock").open("a+"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            node_id = _node_id(data_directory)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"a node is already running on the data directory {data_directory}"
            ) from None
        except OSError as error:
            raise ConfigurationError(f"{data_directory}: {error.strerror}") from error
        yield node_id


def _node_id(data_directory: Path) -> str:
    """Made at the first start, and durable before it is used."""
    file = data_directory / "node.id"
    node_id = file.read_text().strip() if file.exists() else ""
    if not node_id:
        node_id = uuid.uuid4().hex
        DurableFiles(data_directory).put(file.name, (node_id.encode(),))
    return node_id


def keep_settings(settings: Settings) -> Path:
    """Write the settings of this start to the data directory, for the processes of the node.

    A configuration file that is edited meanwhile counts from the next start on, for all of them.
    """
    kept = settings.node.data_directory / "settings.json"
    DurableFiles(settings.node.data_directory).put(
        kept.name, (settings.model_dump_json(indent=2).encode(),)
    )
    return kept


def check_bundle(settings_file: Path, stop: threading.Event) -> None:
    """Refuse to start with a model bundle that is not whole; in a process of its own.

    The supervisor itself never loads PyTorch: it stays small, and nothing can hang it.

    Raises:
        ConfigurationError: what is wrong was printed by the check.
    """
    command = [sys.executable, "-m", "dicomnode", "check-bundle", "--settings", str(settings_file)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as check:
        while check.poll() is None:
            if stop.wait(_LOOK_SECONDS):
                check.kill()
                return
    if check.returncode != 0:
        raise ConfigurationError("the model bundle cannot be used")


@dataclass
class _Child:
    """One process of the node, through its deaths and restarts."""

    role: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff: float = _FIRST_BACKOFF_SECONDS
    owner: str = field(default="")


class Supervisor:
    """Keeps the processes of one node alive until it is asked to stop."""

    def __init__(
        self,
        settings: Settings,
        settings_file: Path,
        node_id: str,
        taking: Taking,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._taking = taking
        self._settings_file = settings_file
        self._node_id = node_id
        roles = [f"{RECEIVER}-{n}" for n in range(1, settings.receive.processes + 1)]
        roles += [MONITOR, "assessor", "deliverer", "cleaner"]
        roles += [f"worker-{n}" for n in range(1, settings.inference.workers + 1)]
        self._children = [_Child(role) for role in roles]
        self._states = States(settings.node.data_directory, node_id, self._clock)
        self._pipe_read, self._pipe_write = os.pipe()
        if (
            settings.receive.tls.enabled
        ):  # a file that cannot be used stops the start, with its name
            server_context(settings.receive.tls)
        self._listeners: list[socket.socket] = []

    def run(self, stop: threading.Event) -> None:
        """Start all, restart what dies, until `stop`; then end all within STOP_SECONDS.

        Until the database is known to be this node's own, only the receivers and the monitor run.

        Raises:
            ConfigurationError: the database is not this node's, or does not know its files.
        """
        self._taking.start(stop)
        # before any new process holds a lease of this node
        leftover = self._hand_back(f"{self._node_id}/")
        try:
            self._listen(stop)
            while leftover.is_alive() and not stop.is_set():
                leftover.join(_LOOK_SECONDS)
            while not stop.is_set():
                self.look(self._clock.seconds())
                stop.wait(_LOOK_SECONDS)
        finally:
            self._stop_all()

    def look(self, now: float) -> None:
        """Start what is due at `now`, in the seconds of the clock, and see what died.

        Raises:
            ConfigurationError: as `run`.
        """
        taken = self._taking.taken
        for child in self._children:
            if taken or not waits_for_database(child.role):
                self._look_after(child, now)

    def _listen(self, stop: threading.Event) -> None:
        """The sockets are held here, so that peers wait while a receiver is started again, and are
        not refused.

        Raises:
            ConfigurationError
        """
        for port in self._settings.receive.ports:
            listener = _bound((self._settings.receive.address, port), stop)
            if listener is None:
                return
            self._listeners.append(listener)

    def _look_after(self, child: _Child, now: float) -> None:
        if child.process is None:
            if now >= child.restart_at:
                self._start(child, now)
        elif (status := child.process.poll()) is not None:
            self._record_exit(child, status, now)

    def _start(self, child: _Child, now: float) -> None:
        command = [sys.executable, "-m", "dicomnode", "role", child.role]
        command += ["--settings", str(self._settings_file), "--node-id", self._node_id]
        child.started_at = now
        listeners = [listener.fileno() for listener in self._listeners]
        try:
            child.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=(self._pipe_read, *listeners),
                env=os.environ
                | {
                    SUPERVISOR_PIPE: str(self._pipe_read),
                    LISTENER: ",".join(map(str, listeners)),
                },
            )
        except OSError as error:  # no memory, no process left: as if it had died at once
            log.error("%s cannot be started: %s", child.role, error.strerror)
            child.restart_at = now + child.backoff
            return
        child.owner = owner_name(self._node_id, child.role, child.process.pid)
        self._states.started(child.role, child.process.pid)
        log.info("%s started as process %d", child.role, child.process.pid)

    def _record_exit(self, child: _Child, status: int, now: float) -> None:
        """A process died: others may take its work at once; it starts again, later each time."""
        if now - child.started_at >= _STEADY_SECONDS:
            child.backoff = _FIRST_BACKOFF_SECONDS
        cause = self._states.ended(child.role, status)
        told = "%s ended with status %d (%s); next in %.1f s"
        log.error(told, child.role, status, cause, child.backoff)
        child.process, child.restart_at = None, now + child.backoff
        child.backoff = min(child.backoff * 2, _LAST_BACKOFF_SECONDS)
        self._hand_back(child.owner)

    def _hand_back(self, owner_prefix: str) -> threading.Thread:
        """Free what dead processes held, in a thread: the database may be away, and slow to say so.

        Where this fails the leases run out by themselves, and the next start tries again.
        """
        freeing = threading.Thread(target=self._free, args=(owner_prefix,), daemon=True)
        freeing.start()
        return freeing

    def _free(self, owner_prefix: str) -> None:
        if is_missing(self._settings.database_url):
            return  # replaced while the node runs: nothing is begun there
        try:
            database = Database.open(self._settings.database_url)
            with closing(database), database.write() as session:
                now = self._clock.now()
                freed = jobs.hand_back_owned(session, owner_prefix, now)
                if owner_prefix == f"{self._node_id}/":  # at the start: nobody receives yet
                    index.end_lost_associations(session, self._node_id, now)
        except (StorageError, SQLAlchemyError, OSError) as error:
            log.warning("leases not handed back: %s", type(error).__name__)
            return
        if freed:
            log.warning("%d jobs or deliveries of a dead process handed back", freed)

    def _stop_all(self) -> None:
        for listener in self._listeners:
            listener.close()
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = self._clock.seconds() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - self._clock.seconds()))
            except subprocess.TimeoutExpired:
                log.error("process %d did not end in time and is killed", process.pid)
                process.kill()
                process.wait()
        self._states.stopped()
        os.close(self._pipe_write)
        os.close(self._pipe_read)


def _bound(address: tuple[str, int], stop: threading.Event) -> socket.socket | None:
    """A listening socket; the receivers of a supervisor that was killed may hold it a moment.

    None when asked to stop meanwhile.

    Raises:
        ConfigurationError: somebody else listens there, and goes on to.
    """
    deadline = time.monotonic() + STOP_SECONDS + 2.0
    while True:
        try:
            return bind_listener(address)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
            if stop.wait(_LOOK_SECONDS):
                return None


def waits_for_database(role: str) -> bool:
    """Whether a role is of use only with the database of this node."""
    return not role.startswith((RECEIVER, MONITOR))


def owner_name(node_id: str, role: str, pid: int) -> str:
    """How a process signs the leases it holds."""
    return f"{node_id}/{role}/{pid}/"
