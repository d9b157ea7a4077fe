"""The trail of this process: a file that all processes of a node write, a message a line.

`begin` once in a process, then `record` from anywhere: it never waits and never fails, whatever the
disk does. What finds no room in memory is lost, counted and told. Each line is a whole syslog
message (RFC 5424), so that the file is the spool of the syslog server too (`syslog`).
"""

from __future__ import annotations

import getpass
import logging
import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dicomnode.audit.events import Activity, Event, Outcome, Refused
from dicomnode.audit.messages import Us, message
from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.shared_file import SharedFile

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
_END_SECONDS = 3.0
_FACILITY = 10 * 8  # security and authorization messages
_NOTICE, _WARNING = 5, 4


class Trail:
    """`file`, and who writes; its thread writes what is recorded, in order."""

    def __init__(self, file: SharedFile, us: Us, clock: Clock | None = None) -> None:
        self._file, self._us = file, us
        self._clock = clock or Clock()
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def record(self, event: Event) -> None:
        """Never waits; what hinders the writing is told by the thread that writes."""
        try:
            self._waiting.put_nowait(line(event, self._clock.now(), self._us))
        except queue.Full:
            self._lost += 1  # told by the thread

    def close(self) -> None:
        """Write what waits, for a moment at most."""
        try:
            self._waiting.put(None, timeout=_END_SECONDS)
        except queue.Full:
            return
        self._thread.join(_END_SECONDS)

    def _write(self) -> None:
        fails = False
        while (next_line := self._waiting.get()) is not None:
            try:
                self._file.append(next_line)
                fails = False
            except OSError as error:
                if not fails:
                    log.error("the audit trail cannot be written: %s", error.strerror)
                fails = True
                self._lost += 1
                continue
            if self._lost:
                lost, self._lost = self._lost, 0
                log.error("%d messages of the audit trail are lost", lost)


def line(event: Event, at: datetime, us: Us) -> bytes:
    """A syslog message as RFC 5424 has it, without the mark of the order of bytes."""
    failed = getattr(event, "outcome", Outcome.SUCCESS) != Outcome.SUCCESS
    priority = _FACILITY + (_WARNING if failed or isinstance(event, Refused) else _NOTICE)
    time = at.isoformat(timespec="milliseconds")
    host = "".join(each for each in us.host if "!" <= each <= "~")[:255] or "-"
    head = f"<{priority}>1 {time} {host} dicomnode {os.getpid()} DICOM+RFC3881 - "
    return (head + message(event, at, us) + "\n").encode()


_trail: Trail | None = None


def begin(settings: Settings, role: str) -> None:
    """This process records from here on."""
    global _trail  # noqa: PLW0603 - as logging's root: whatever happens anywhere is recorded
    _trail = Trail(file_of(settings), us(settings, role))
    _trail.start()


def record(event: Event) -> None:
    """Where the trail of this process has begun; else nothing, as in a tool or a test."""
    if _trail is not None:
        _trail.record(event)


def end() -> None:
    """Before the process ends."""
    if _trail is not None:
        _trail.close()


@contextmanager
def of_node(settings: Settings) -> Iterator[None]:
    """While the node runs, in its first process."""
    begin(settings, "node")
    record(Activity(started=True))
    try:
        yield
    finally:
        record(Activity(started=False))
        end()


def record_command(settings: Settings, event: Event) -> None:
    """For a command: written when this returns, in the name of the person who gave it.

    Raises:
        ConfigurationError: it cannot be written; what the command did is done.
    """
    file = file_of(settings)
    try:
        file.append(line(event, Clock().now(), us(settings, "command", user())))
    except OSError as error:
        text = f"done, but {file.path}, the audit trail, cannot be written: {error.strerror}"
        raise ConfigurationError(text) from error
    finally:
        file.close()


def file_of(settings: Settings) -> SharedFile:
    audit = settings.audit
    return SharedFile(settings.audit_file, audit.file_mebibytes << 20, audit.files)


def us(settings: Settings, role: str, person: str = "") -> Us:
    """Who records: a process of this node, and the person who gave a command."""
    process = f"{role}[{os.getpid()}]"
    return Us(settings.node.ae_title, socket.gethostname(), process, person, settings.audit.site)


def user() -> str:
    """The person at the command line: who called sudo, else whose process it is."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry in the password database
        return f"uid {os.getuid()}"
