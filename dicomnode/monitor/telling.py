"""The loop that tells troubles: once when they begin, once when they are over.

What was told is kept in the database, so that a monitor that is started again does not repeat it;
while the database is away, in memory.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from dicomnode.data_directory.own_data import check_own
from dicomnode.decisions.operating import telling
from dicomnode.decisions.operating.message import Message
from dicomnode.decisions.operating.telling import Damping, Records
from dicomnode.errors import NodeError, PeerCause, PeerError
from dicomnode.health.patience import Patience
from dicomnode.lifecycle import Outage
from dicomnode.monitor.loops import Loop, Seen, Station
from dicomnode.monitor.ways import Way, ways_of
from dicomnode.version import VERSION
from storage.errors import StorageError
from storage.overview_records import TroubleRecord
from storage.troubles import put_troubles, remove_troubles, unfinished_troubles

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_TELL_SECONDS = 60.0
"""No way may take longer; a mail server that answers byte by byte has no other limit."""

_FIRST_RETRY_SECONDS = 30.0
_LAST_RETRY_SECONDS = 600.0
_SAVE_SECONDS = 5.0
_SAVE_EVERY = timedelta(minutes=1)
_KEPT = timedelta(days=90)
_TOLD_LATER = timedelta(days=1)

_DONE = NodeError("done")
_Key = tuple[str, datetime]


class Teller:
    """Tells what the last look at the node saw."""

    def __init__(self, station: Station, ways: tuple[Way, ...] | None = None) -> None:
        alerts = station.settings.alerts
        self._station = station
        self._damping = Damping(alerts.stand_seconds, alerts.over_seconds)
        self._ways = [_Told(each, station) for each in ways or ways_of(alerts)]
        self._names = [each.way.name for each in self._ways]
        self._records: Records = ()
        self._ledger = _Ledger(station)
        self._seen: Seen | None = None

    def look(self) -> None:
        """Tell what has to be told of a new look, and what could not be told before."""
        seen = self._station.outlook.seen
        if seen is None or seen is self._seen:
            return
        self._seen, now = seen, seen.facts.at
        answers = seen.facts.database_fault is None
        if answers:
            self._records = self._ledger.joined(self._records, now)
        told = seen.troubles if seen.told is None else seen.told
        self._records = telling.follow(self._records, told, self._damping, now)
        for way in self._ways:
            self._records = way.told(self._records, self._damping, now)
        if answers:
            self._ledger.save(self._records, now)
        self._records = telling.unfinished(self._records, self._names, now)


class _Told:
    """One way of telling, and when it is tried again."""

    def __init__(self, way: Way, station: Station) -> None:
        self.way = way
        self._station = station
        self._outage = Outage(f"telling troubles by {way.name}", NodeError)
        self._patience: Patience[NodeError] = Patience(_TELL_SECONDS)
        self._pause = 0.0
        self._not_before = 0.0

    def told(self, records: Records, damping: Damping, now: datetime) -> Records:
        """The records after this way told what it had to."""
        name = self.way.name
        began = telling.to_begin(records, name, self.way.severities, damping, now)
        over = telling.to_end(records, name)
        waits = self._station.clock.seconds() < self._not_before
        if waits or not (began or over):
            return records
        lasting = sum(each.over_at is None and name in each.told for each in records)
        node = self._station.settings.node.ae_title
        message = Message(node, socket.gethostname(), VERSION, now, began, over, lasting)
        return telling.told(records, name, (*began, *over)) if self._tell(message) else records

    def _tell(self, message: Message) -> bool:
        answer = self._patience.ask(lambda: self._attempt(message))
        done = answer is _DONE
        wait = max(_FIRST_RETRY_SECONDS, 2 * self._pause)
        self._pause = 0.0 if done else min(wait, _LAST_RETRY_SECONDS)
        self._not_before = self._station.clock.seconds() + self._pause
        with self._outage.reported():
            if not done:
                raise answer or PeerError(f"no end within {_TELL_SECONDS:g} s", PeerCause.NO_ANSWER)
        return done

    def _attempt(self, message: Message) -> NodeError:
        try:
            self.way.tell(message)
        except NodeError as error:
            return error
        except Exception as error:
            log.exception("telling troubles by %s", self.way.name)
            return PeerError(f"a fault on our side: {type(error).__name__}", PeerCause.OURS)
        return _DONE


class _Ledger:
    """What was told, as the database has it."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._kept: dict[_Key, TroubleRecord] | None = None  # None: not read yet
        self._patience: Patience[Records | None] = Patience(_SAVE_SECONDS)

    def joined(self, records: Records, now: datetime) -> Records:
        """With what an earlier monitor told, as soon as that can be read."""
        if self._kept is not None:
            return records
        kept = self._patience.ask(lambda: self._read(now))
        if kept is None:
            return records
        self._kept = {_key(each): each for each in kept}
        return telling.joined(kept, records)

    def _read(self, now: datetime) -> Records | None:
        """None where the database is not this node's own (yet), or away again."""
        station = self._station
        try:
            check_own(station.settings, station.node_id)
            with station.database.read() as session:
                return unfinished_troubles(session, now - _TOLD_LATER, station.node_id)
        except (NodeError, StorageError, SQLAlchemyError, OSError):
            return None

    def save(self, records: Records, now: datetime) -> None:
        """What has changed; what fails is saved with the next look."""
        kept = self._kept
        if kept is None:
            return
        changed = tuple(each for each in records if _is_news(each, kept.get(_key(each))))
        if changed and self._patience.ask(lambda: self._write(changed, now)):
            kept |= {_key(each): each for each in changed}

    def _write(self, changed: Records, now: datetime) -> Records | None:
        try:
            with self._station.database.write() as session:
                put_troubles(session, changed, self._station.node_id)
                remove_troubles(session, now - _KEPT)
        except (StorageError, SQLAlchemyError, OSError):
            return None
        return changed


def _key(record: TroubleRecord) -> _Key:
    return record.name, record.first_seen_at


def _is_news(record: TroubleRecord, kept: TroubleRecord | None) -> bool:
    """That it still lasts, and for how long, is written once a minute."""
    if kept is None or record.last_seen_at - kept.last_seen_at >= _SAVE_EVERY:
        return True
    as_before = {"text": kept.text, "remedy": kept.remedy, "last_seen_at": kept.last_seen_at}
    return replace(record, **as_before) != kept  # type: ignore[arg-type]


def telling_troubles(station: Station) -> Loop:
    return Loop("telling troubles", Teller(station).look, _LOOK_SECONDS)
