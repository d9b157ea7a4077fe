"""The supervisor: starts the processes of one node, restarts what dies, stops them together."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import Taking
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import LISTENER, STOP_SECONDS, SUPERVISOR_PIPE
from dicomnode.metrics.files import begin_anew, folder_in, forget
from dicomnode.processes.child import MONITOR, RECEIVER, Child, owner_name, waits_for_database
from dicomnode.processes.ports import bound
from dicomnode.processes.states import States
from dicomnode.tls import server_context
from storage import index, jobs
from storage.database import Database, is_missing
from storage.errors import StorageError

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


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
        self._children = [Child(role) for role in roles]
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
        begin_anew(folder_in(self._settings.node.data_directory))
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
            listener = bound((self._settings.receive.address, port), stop)
            if listener is None:
                return
            self._listeners.append(listener)

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.restart_at:
                self._start(child, now)
        elif (status := child.process.poll()) is not None:
            self._record_exit(child, child.process.pid, status, now)

    def _start(self, child: Child, now: float) -> None:
        command = [sys.executable, "-m", "dicomnode", "role", child.role]
        command += ["--settings", str(self._settings_file), "--node-id", self._node_id]
        listeners = [listener.fileno() for listener in self._listeners]
        env = os.environ | {
            SUPERVISOR_PIPE: str(self._pipe_read),
            LISTENER: ",".join(map(str, listeners)),
        }
        pid = child.start(command, (self._pipe_read, *listeners), env, now)
        if pid is not None:
            self._states.started(child.role, pid)

    def _record_exit(self, child: Child, dead: int, status: int, now: float) -> None:
        """A process died: others may take its work at once."""
        child.died(status, self._states.ended(child.role, status), now)
        forget(child.role, folder_in(self._settings.node.data_directory))
        self._hand_back(owner_name(self._node_id, child.role, dead))

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
