"""The supervisor: starts the processes of one node, restarts what dies, stops them together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from dicomnode.audit import trail
from dicomnode.audit.events import AlertKind, Changed, Outcome
from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import keep_settings
from dicomnode.data_directory.own_data import Taking
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import (
    EXIT_REFUSED,
    EXIT_TWICE,
    LISTENER,
    READY_PIPE,
    RENEWAL,
    STOP_SECONDS,
    SUPERVISOR_PIPE,
    Stop,
)
from dicomnode.metrics.files import begin_anew, folder_in, forget
from dicomnode.processes.checks import check_start
from dicomnode.processes.child import (
    MONITOR,
    RECEIVER,
    Child,
    Process,
    owner_name,
    waits_for_database,
)
from dicomnode.processes.nursery import Nursery
from dicomnode.processes.ports import open_ports
from dicomnode.processes.reload import answer, change_between
from dicomnode.processes.service_manager import ServiceManager, without_its_variables
from dicomnode.processes.states import States
from storage import index, jobs
from storage.database import Database, is_missing
from storage.errors import StorageError
from storage.statements import moment

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2

_HEAD_START_SECONDS = 10.0
"""So long the others leave the processors to the receivers, if these are not ready before."""

_PIPE_BYTES = 65536  # as many as it holds


class Supervisor:
    """Keeps the processes of one node alive until it is asked to stop."""

    def __init__(
        self,
        settings: Settings,
        settings_file: Path,
        node_id: str,
        taking: Taking,
        clock: Clock | None = None,
        read: Callable[[], Settings] | None = None,
        nursery: Nursery | None = None,
        workers_alone: bool = False,
    ) -> None:
        """`read`: gives the settings as they are configured by now. `nursery`: what the processes
        are forked of, which takes less time and memory than to start each by itself.
        `workers_alone`: nothing is received here, and nothing sent."""
        self._read = read or (lambda: settings)
        self._settings = settings
        self._clock = clock or Clock()
        self._nursery = nursery
        self._taking = taking
        self._settings_file = settings_file
        self._node_id = node_id
        roles = [] if workers_alone else _roles_of_a_node(settings)
        self._does = "analyses" if workers_alone else "receives"
        roles += [f"worker-{n}" for n in range(1, settings.inference.workers + 1)]
        self._children = [Child(role) for role in roles]
        self._states = States(settings.node.data_directory, node_id, self._clock)
        self._pipe_read, self._pipe_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        os.set_blocking(self._ready_read, False)
        self._listeners: list[socket.socket] = []
        self._began = self._clock.seconds()
        self._leftover: threading.Thread | None = None
        self._manager = ServiceManager(os.environ)
        self._told_ready = False

    def run(self, stop: Stop) -> None:
        """Start all, restart what dies, until `stop`; then end all within STOP_SECONDS.

        The receivers start first and wait for nothing: what they take is durable. Models are loaded
        meanwhile. Until the database is known to be this node's own, nothing is begun with it.

        Raises:
            ConfigurationError: the database is not this node's, or does not know its files; or the
                models cannot be loaded; or another host runs as this node.
        """
        begin_anew(folder_in(self._settings.node.data_directory))
        self._taking.start(stop)
        try:
            self._listen(stop)
            self._leftover = self._hand_back(f"{self._node_id}/")
            while not stop.is_set():
                self.look(self._clock.seconds())
                if stop.renewed.is_set():
                    stop.renewed.clear()
                    self.reload()
                stop.wait(_LOOK_SECONDS)
        finally:
            self._stop_all()

    def look(self, now: float) -> None:
        """Start what is due at `now`, in the seconds of the clock, and see what died.

        Raises:
            ConfigurationError: as `run`.
        """
        self._hear()
        self._manager.alive(now)
        taken, rest = self._taking.taken, self._rest_may_start(now)
        for child in self._children:
            if child.receives or (rest and (taken or not waits_for_database(child.role))):
                self._look_after(child, now)

    def _hear(self) -> None:
        """Who has told meanwhile that it is ready."""
        with suppress(BlockingIOError):
            told = os.read(self._ready_read, _PIPE_BYTES).split()
            for child in self._children:
                if child.process is not None and str(child.process.pid).encode() in told:
                    child.was_ready = True
        receiving = all(child.was_ready for child in self._children if child.receives)
        if receiving and not self._told_ready:
            self._told_ready = True
            self._manager.ready(self._does)

    def _rest_may_start(self, now: float) -> bool:
        """The receivers have a head start; and no new process may hold a lease of this node while
        those of its former ones are freed."""
        if self._leftover is not None and self._leftover.is_alive():
            return False
        return self._told_ready or now - self._began > _HEAD_START_SECONDS

    def _listen(self, stop: threading.Event) -> None:
        """The sockets are held here, so that peers wait while a receiver is started again, and are
        not refused.

        Raises:
            ConfigurationError
        """
        if any(child.receives for child in self._children):
            self._listeners = open_ports(self._settings.receive, stop)

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.restart_at and self._may_be_forked(child):
                self._start(child, now)
        elif (status := child.process.poll()) is not None:
            self._record_exit(child, child.process.pid, status, now)

    def reload(self) -> None:
        """Take over the configuration as it is now, or say why not; no association is lost.

        Receivers take it over while they receive, workers end after the series they are at; the
        others end after their present step, and all but the receivers start again with it.
        """
        self._manager.reloading()
        try:
            text, taken_over = self._renew(self._read()), True
        except (ConfigurationError, OSError) as error:  # as of a folder that we may not look into
            text, taken_over = f"nothing is changed: {error}", False
        log.log(logging.INFO if taken_over else logging.ERROR, "%s", text)
        outcome = Outcome.SUCCESS if taken_over else Outcome.MINOR_FAILURE
        kind = AlertKind.SOFTWARE_CONFIGURATION
        trail.record(Changed("configuration", text, kind=kind, outcome=outcome))
        try:
            answer(self._settings.node.data_directory, self._clock.now(), taken_over, text)
        except OSError as error:
            log.error("the answer to a reload is not kept: %s", error.strerror)
        self._manager.ready(self._does)

    def _renew(self, wanted: Settings) -> str:
        """
        Raises:
            ConfigurationError: nothing was changed.
        """
        change = change_between(self._settings, wanted)
        if not change.keys:
            return "the configuration is as it was"
        check_start(wanted, receives=self._does == "receives")
        try:
            keep_settings(wanted)
        except OSError as error:
            raise ConfigurationError(f"{wanted.node.data_directory}: {error.strerror}") from error
        self._settings = wanted
        for child in self._children:
            if child.receives:
                child.tell(RENEWAL)
            elif not child.analyses:
                child.renew(signal.SIGTERM)
            elif change.concerns_workers:
                child.renew(RENEWAL)
        return f"the changed configuration is taken over: {', '.join(change.keys)}"

    def _start(self, child: Child, now: float) -> None:
        pid = child.start(partial(self._begin, child.role), now)
        if pid is not None:
            self._states.started(child.role, pid)

    def _may_be_forked(self, child: Child) -> bool:
        return self._nursery is None or self._nursery.settled(receives=child.receives)

    def _begin(self, role: str) -> Process:
        """
        Raises:
            OSError: no memory, no process left.
        """
        arguments = [role, "--settings", str(self._settings_file), "--node-id", self._node_id]
        handed = {
            SUPERVISOR_PIPE: [self._pipe_read],
            READY_PIPE: [self._ready_write],
            LISTENER: [listener.fileno() for listener in self._listeners],
        }
        forked = self._nursery.start(arguments, handed) if self._nursery else None
        if forked is not None:
            return forked
        env = {name: ",".join(map(str, fds)) for name, fds in handed.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "dicomnode", "role", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd for fds in handed.values() for fd in fds],
            env=without_its_variables(os.environ) | env,
        )

    def _record_exit(self, child: Child, dead: int, status: int, now: float) -> None:
        """A process ended: others may take its work at once."""
        if child.renewing and status == 0:
            child.renewed()
        else:
            child.died(status, self._states.ended(child.role, status), now)
        forget(child.role, folder_in(self._settings.node.data_directory))
        self._hand_back(owner_name(self._node_id, child.role, dead))
        models_held = any(each.was_ready for each in self._children if each.analyses)
        if child.role == MONITOR and status == EXIT_TWICE:
            raise ConfigurationError("another host runs as this node: the monitor has told which")
        if child.analyses and status == EXIT_REFUSED and not models_held:
            raise ConfigurationError("the models cannot be loaded")  # the worker has told why

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
        at_start = owner_prefix == f"{self._node_id}/"
        try:
            if at_start and not self._taking.taken:
                return  # who holds them may be another host, and live
            database = Database.open(self._settings.database_url)
            with closing(database), database.write() as session:
                now = moment(session) if database.serves else self._clock.now()
                freed = jobs.hand_back_owned(session, owner_prefix, now)
                if at_start:
                    began = now - timedelta(seconds=self._clock.seconds() - self._began)
                    index.end_lost_associations(session, self._node_id, now, began)
        except (ConfigurationError, StorageError, SQLAlchemyError, OSError) as error:
            log.warning("leases not handed back: %s", type(error).__name__)
            return
        if freed:
            log.warning("%d jobs or deliveries of a dead process handed back", freed)

    def _stop_all(self) -> None:
        self._manager.stopping()
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
        for pipe in (self._pipe_write, self._pipe_read, self._ready_write, self._ready_read):
            os.close(pipe)


def _roles_of_a_node(settings: Settings) -> list[str]:
    """But for its workers."""
    receivers = [f"{RECEIVER}-{n}" for n in range(1, settings.receive.processes + 1)]
    return [*receivers, MONITOR, "assessor", "deliverer", "cleaner"]
