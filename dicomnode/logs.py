"""The log: what the node says of itself, as lines of text or of JSON.

No line holds a patient's identity. What we say of a fault is where it came from and of what type it
was, not its text: a library's text may quote values of the data set that it failed on. For the same
reason libraries say nothing here but that they failed: what a peer or a file did is told by us.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import Field

from dicomnode.decisions.policy import policy
from dicomnode.errors import ConfigurationError
from dicomnode.shared_file import SharedFile

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_OURS = frozenset({"dicomnode", "inference", "storage", "root", "__main__"})

_UNHEARD = frozenset(
    {"pynetdicom", "pydicom", "highdicom", "urllib3", "alembic", "py", "PIL", "openvino"}
)
"""Libraries whose words are not for this log: they may quote what a peer or a data set said."""

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


@policy
class LogPolicy:
    """How the log is written. `file`: "" is standard error, for journald.

    `file_mebibytes`: how long the file grows before another is begun; 0: others rotate it.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    file: str = ""
    file_mebibytes: Annotated[int, Field(ge=0, le=10000)] = 20
    files: Annotated[int, Field(ge=1, le=1000)] = 10

    def anchored(self, folder: Path) -> LogPolicy:
        """A relative path is taken from this folder."""
        return replace(self, file=str(folder / self.file)) if self.file else self


def set_up_logging(role: str, settings: LogPolicy | None = None) -> None:
    """Tell all from here on in the name of a role: time in UTC, level, role and process, text.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    settings = settings or LogPolicy()
    handler = _handler(settings)
    handler.setFormatter(_Json(role) if settings.format == "json" else _Text(role))
    handler.addFilter(_is_for_the_log)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    # pynetdicom formats the values of attributes, patient identity among them, below WARNING
    for library in _UNHEARD:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def of_fields(**fields: Any) -> dict[str, dict[str, Any]]:
    """For `extra` of a line: what a program reads of it, in a log of JSON."""
    return {"fields": fields}


class Repeats:
    """Counts what happens alike, so that a flood fills no log: told its 1st, 2nd, 4th, 8th … time.

    Safe for threads. Of `most` kinds: that which happened first is forgotten for another.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most, self._times = most, dict[tuple[str, ...], int]()
        self._lock = threading.Lock()

    def count(self, *alike: str) -> int:
        """How often it has happened, if that is to be told now; else 0."""
        with self._lock:
            times = self._times.get(alike, 0) + 1
            if times == 1 and len(self._times) >= self._most:
                del self._times[next(iter(self._times))]
            self._times[alike] = times
        return times if times.bit_count() == 1 else 0


def so_far(times: int) -> str:
    """For the end of a line about what happened so often."""
    return f" ({times} times so far)" if times > 1 else ""


def _handler(settings: LogPolicy) -> logging.Handler:
    if not settings.file:
        return logging.StreamHandler(sys.stderr)
    path = Path(settings.file)
    handler = _FileHandler(SharedFile(path, settings.file_mebibytes << 20, settings.files))
    try:
        handler.file.append(b"")
    except OSError as error:
        raise ConfigurationError(f"log.file: {path}: {error.strerror}") from error
    return handler


class _FileHandler(logging.Handler):
    """What the file does not take, as the disk is full, goes to standard error."""

    def __init__(self, file: SharedFile) -> None:
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record) + "\n"
        try:
            self.file.append(line.encode(errors="backslashreplace"))
        except OSError:
            sys.stderr.write(line)


def _is_for_the_log(record: logging.LogRecord) -> bool:
    """Of what a library says: its failure alone, or, of one that handles no patient's data, all."""
    library = record.name.partition(".")[0]
    if library in _OURS:
        return True
    if record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = f"a fault in {library}", ()
        return True
    return record.levelno >= logging.WARNING and library not in _UNHEARD


class _Text(logging.Formatter):
    """A message stays on its line: an AE title may hold line breaks and escape sequences."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {role}[%(process)d] %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = record.message.translate(_VISIBLE)
        return super().formatMessage(record)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's own name
        kind, _value, frames = ei
        name = kind.__name__ if kind else "fault"
        return "".join(traceback.format_tb(frames)) + name


class _Json(_Text):
    """An object a line; `fields` of the record (`of_fields`) beside the message."""

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        second = self.formatTime(record, self.datefmt)
        entry = {
            "time": f"{second}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "process": record.process,
            "message": record.getMessage(),
        } | getattr(record, "fields", {})
        if record.exc_info:
            *frames, kind = self.formatException(record.exc_info).splitlines()
            entry |= {"fault": kind, "frames": [each.strip() for each in frames]}
        return json.dumps(entry, ensure_ascii=False, default=str)
