"""What became of results, written beside their files: withdrawn, sent, refused.

A database can be lost, replaced, or put back from an old back-up. What a PACS holds, and what must
never reach one again, does not change with it.

**A withdrawal is durable here first, then in the database.** The deliverer asks these files before
each object that it sends, whatever the database says. So it does not matter when a process is
killed: before the file is there, nothing was withdrawn; from then on nothing of the set is sent.
What the database does not know yet is entered by whoever meets it (`result_sets.enter_withdrawal`):
the command that is given again, the deliverer, or the cleaner, which looks once a minute. The
other order would need a repair before the first delivery after each start, and rows that a lost
database does not have.

What was sent is written after the database has it. Lost between the two, an object is sent once
more, with the same UID and the same bytes.

    results/withdrawn/<32 hex of the CT series>/<32 hex of the set>.json    kept for ever
    results/sent/<2 hex>/<32 hex of the CT series>.json                     as long as its results
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from storage.decided import JsonObject, Withdrawal
from storage.durable import DurableFiles
from storage.errors import DamagedHistoryError, UnsafePathError
from storage.folders import make_folder
from storage.instances import series_folder
from storage.records import ON_THEIR_WAY, DeliveryState, ResultRecord

log = logging.getLogger(__name__)

_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsafePathError)
_WITHDRAWN, _SENT = "withdrawn", "sent"
_SERIES = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SET = re.compile(r"[0-9a-f]{32}\.json", re.ASCII)


@dataclass(frozen=True)
class KeptWithdrawal:
    """A set that is withdrawn. `notes`: the word for each destination, by its name; their files
    are durable."""

    series_key: str  # of the CT series
    withdrawal: Withdrawal
    notes: Mapping[str, ResultRecord] = field(default_factory=dict)

    @classmethod
    def from_json(cls, found: JsonObject, node_id: str = "") -> Self:
        """`node_id`: on whose disk it was read; so the files of its notes are there too."""
        notes = {name: _result(each, node_id) for name, each in found["notes"].items()}
        return cls(found["series_key"], Withdrawal.from_json(found["withdrawal"]), notes)

    def as_json(self) -> JsonObject:
        notes = {name: _result_json(each) for name, each in self.notes.items()}
        kept = {"series_key": self.series_key, "withdrawal": self.withdrawal.as_json()}
        return kept | {"notes": notes}


@dataclass(frozen=True)
class Sent:
    """What became of one object at one destination: settled, not waiting. `at`: since when."""

    sop_instance_uid: str
    destination: str
    state: DeliveryState
    at: datetime
    error: str | None = None

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        state, at = DeliveryState(found["state"]), datetime.fromisoformat(found["at"])
        if state in ON_THEIR_WAY:
            raise ValueError(f"{state} is not settled")
        names = found["sop_instance_uid"], found["destination"]
        return cls(*names, state, at, found["error"])

    def as_json(self) -> JsonObject:
        return vars(self) | {"state": self.state.value, "at": self.at.isoformat()}


class Withdrawals:
    """What is withdrawn, in files of its own: one for each set."""

    def __init__(self, results: Path, node_id: str = "") -> None:
        """`results`: the folder of the result files; `node_id`: whose disk it is on.

        Raises:
            OSError
        """
        self._files = DurableFiles(results)
        self._node_id = node_id

    def put(self, kept: KeptWithdrawal) -> None:
        """Durable when this returns; again, it takes the place of the first.

        Raises:
            OSError
        """
        self._files.put(_path_of(kept), (_encoded(kept.as_json()),))

    def put_missing(self, kept: KeptWithdrawal) -> bool:
        """As `put`, but what is there stays: it knows more. Whether it was not there.

        Raises:
            OSError
        """
        missing = not self._files.size_of(_path_of(kept))
        if missing:
            self.put(kept)
        return missing

    def of_series(self, series_key: str) -> tuple[KeptWithdrawal, ...]:
        """Those of one CT series.

        Raises:
            DamagedHistoryError: one cannot be understood: nothing is known of the series then.
            OSError: one cannot be read now.
        """
        return tuple(self._in(_folder(series_key)))

    def every(self, since: float = 0.0) -> Iterator[KeptWithdrawal]:
        """Those of all series of which something was withdrawn since then, in POSIX time.

        One that is damaged is told in the log.

        Raises:
            OSError
        """
        for folder in self.folders():
            path = f"{_WITHDRAWN}/{folder.rpartition('/')[2]}"
            if (self._files.root / path).stat().st_mtime < since:
                continue
            try:
                yield from self._in(path)
            except DamagedHistoryError as error:
                log.error("%s: nothing of this series is sent", error)

    def folders(self) -> Iterator[str]:
        """The folder of results of each series of which something is withdrawn, as `ResultFiles`
        names it.

        Raises:
            OSError
        """
        for name in _names(self._files.root / _WITHDRAWN):
            if _SERIES.fullmatch(name) is not None:
                yield f"{name[:2]}/{name}"

    def _in(self, folder: str) -> Iterator[KeptWithdrawal]:
        for name in _names(self._files.root / folder):
            if _SET.fullmatch(name) is not None:
                path = f"{folder}/{name}"
                with _damage_named(path):
                    found = json.loads(self._files.locate(path).read_bytes())
                    yield KeptWithdrawal.from_json(found, self._node_id)


class SentFiles:
    """What was sent or refused, a file for each CT series. Safe for threads and processes."""

    def __init__(self, results: Path) -> None:
        """`results`: the folder of the result files.

        Raises:
            OSError
        """
        self._files = DurableFiles(results)

    def note(self, series_key: str, sent: Sent) -> None:
        """Durable when this returns; takes the place of what was noted of the same delivery.

        A file that is damaged begins anew: of what it held the database knows.

        Raises:
            OSError
        """
        path = _path(series_key)
        with self._alone(path):
            try:
                known = self.of_series(series_key)
            except DamagedHistoryError as error:
                log.error("%s: it begins anew", error)
                known = ()
            by_delivery = {(each.sop_instance_uid, each.destination): each for each in known}
            by_delivery[sent.sop_instance_uid, sent.destination] = sent
            noted = [each.as_json() for each in by_delivery.values()]
            content = _encoded({"series_key": series_key, "deliveries": noted})
            self._files.put(path, (content,))

    def of_series(self, series_key: str) -> tuple[Sent, ...]:
        """What is noted of one CT series.

        Raises:
            DamagedHistoryError
            OSError
        """
        return self._read(_path(series_key))[1]

    def key_of(self, folder: str) -> str | None:
        """The key of the series whose results are in this folder; None where nothing is noted.

        Raises:
            DamagedHistoryError
            OSError
        """
        return self._read(f"{_SENT}/{folder}.json")[0] or None

    def forget(self, series_key: str) -> None:
        """Its results are gone.

        Raises:
            OSError
        """
        self._files.remove(_path(series_key))

    def _read(self, path: str) -> tuple[str, tuple[Sent, ...]]:
        with _damage_named(path):
            try:
                found = json.loads(self._files.locate(path).read_bytes())
            except FileNotFoundError:
                return "", ()
            return found["series_key"], tuple(map(Sent.from_json, found["deliveries"]))

    @contextmanager
    def _alone(self, path: str) -> Iterator[None]:
        """One writer at a time; the kernel lets the next one in, however the last one ended."""
        folder = (self._files.root / path).parent
        make_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _damage_named(path: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DamagedHistoryError(f"{path} is damaged: {type(error).__name__}") from error


def _names(folder: Path) -> Sequence[str]:
    """None where there is no folder.

    Raises:
        OSError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - of names alone
    except FileNotFoundError:
        return ()


def _folder(series_key: str) -> str:
    return f"{_WITHDRAWN}/{series_folder(series_key).rpartition('/')[2]}"


def _path_of(kept: KeptWithdrawal) -> str:
    uids = json.dumps(sorted(kept.withdrawal.retracted))
    name = hashlib.sha256(uids.encode()).hexdigest()[:32]
    return f"{_folder(kept.series_key)}/{name}.json"


def _path(series_key: str) -> str:
    return f"{_SENT}/{series_folder(series_key)}.json"


def _encoded(value: JsonObject) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


_WHERE = ("node_id", "object_name", "object_offset")


def _result(found: JsonObject, node_id: str) -> ResultRecord:
    created_at = datetime.fromisoformat(found["created_at"])
    return ResultRecord(**found | {"created_at": created_at, "node_id": node_id})


def _result_json(record: ResultRecord) -> JsonObject:
    """Without where it lies: here."""
    kept = {name: value for name, value in asdict(record).items() if name not in _WHERE}
    return kept | {"created_at": record.created_at.isoformat()}
