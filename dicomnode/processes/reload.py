"""Taking over a changed configuration while the node runs: what can be, and how it is answered.

All or nothing: a file that is wrong, or changes a key that needs a restart, changes nothing, and it
is said why. So a node always runs with one file's content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from storage.durable import DurableFiles

RELOADED = (
    *("receive.admission", "receive.tls", "receive.resend_conflict", "completeness", "query"),
    *("eligibility", "chest", "study", "results", "delivery", "disk", "retention", "health"),
    *("alerts", "http", "canary", "destinations", "peers", "routes"),
)
"""Keys, or what they begin with, that a running node takes over; `_KEPT` are exceptions."""

_KEPT = ("receive.tls.port",)

_WITHOUT_WORKERS = (
    *("receive", "completeness", "query", "study", "delivery", "disk", "retention", "health"),
    *("alerts", "http", "peers"),
)
"""What no worker reads: none is started again for it."""

_ANSWER = "reload.json"


@dataclass(frozen=True)
class Change:
    """The keys that differ, and whether the workers have to be started again for them."""

    keys: tuple[str, ...]

    @property
    def concerns_workers(self) -> bool:
        return not all(_is_under(key, _WITHOUT_WORKERS) for key in self.keys)


def change_between(running: Settings, wanted: Settings) -> Change:
    """
    Raises:
        ConfigurationError: a key needs a restart; names each.
    """
    before, after = (dict(_leaves(each.model_dump(mode="json"))) for each in (running, wanted))
    keys = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    fixed = [key for key in keys if _is_under(key, _KEPT) or not _is_under(key, RELOADED)]
    if running.receive.ports != wanted.receive.ports and not fixed:
        fixed = ["receive.tls.certificate"]  # with it, TLS begins or ends
    if fixed:
        raise ConfigurationError(f"{', '.join(fixed)}: holds only from a restart on")
    return Change(tuple(keys))


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Lists as a whole: their entries have no names."""
    if not isinstance(value, dict):
        yield key, value
        return
    for step, each in value.items():
        yield from _leaves(each, f"{key}.{step}".lstrip("."))


def _is_under(key: str, prefixes: tuple[str, ...]) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in prefixes)


@dataclass(frozen=True)
class Answer:
    """What became of a reload; `number` counts them in a data directory. `text`: for a person."""

    number: int
    at: datetime
    taken_over: bool
    text: str


_ANSWERS = TypeAdapter(Answer)


def last_answer(data_directory: Path) -> Answer | None:
    """None where there was no reload yet.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return _ANSWERS.validate_json((data_directory / _ANSWER).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def answer(data_directory: Path, at: datetime, taken_over: bool, text: str) -> None:
    """
    Raises:
        OSError
    """
    last = last_answer(data_directory)
    told = Answer((last.number if last else 0) + 1, at, taken_over, text)
    DurableFiles(data_directory).put(_ANSWER, (_ANSWERS.dump_json(told, indent=1),))
