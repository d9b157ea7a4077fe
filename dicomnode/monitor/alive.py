"""The loop that tells the nodes of one database that this one lives, and sees which do not.

And whether another host tells the same of itself: then one of the two ends.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from socket import gethostname
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicomnode.data_directory.incarnations import ENDED, Starts, starts_of, twice
from dicomnode.decisions.wording import how_many
from dicomnode.monitor.loops import Loop, Station
from storage import incarnations, lost_nodes, nodes
from storage.errors import StorageError
from storage.lost_nodes import Loss
from storage.overview_records import Node
from storage.statements import moment

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0


_KEPT_MARKS = 1000
"""Of more than an hour: a standby that is promoted may lack the last moments."""

_STILL = 5
"""So many looks in a row find the same mark of a start that is over."""


class Pulse:
    """The marks that this process has left in the row of its node, each time that it said that the
    node lives: one that is not among them was left by another process."""

    def __init__(self, starts: Starts) -> None:
        self._starts, self._word = starts, starts.word
        self._left: deque[str] = deque(maxlen=_KEPT_MARKS)
        self._strange: str | None = None
        self._looks = 0

    @property
    def last(self) -> str:
        """The mark of who goes."""
        return f"{self._word}{ENDED}"

    def next(self) -> str:
        """A new mark. It counts as left: whether it was is not always known."""
        self._left.append(f"{self._word}/{uuid4().hex[:12]}")
        return self._left[-1]

    def is_own(self, mark: str) -> bool:
        """Also what was left before this process was: by the start that it is of, or one before."""
        of_us = self._starts.is_ours(mark)
        said_now = mark.startswith(f"{self._word}/") and bool(self._left)
        return mark in (*self._left, self.last) or (of_us and not said_now)

    def is_of_another(self, mark: str) -> bool:
        """Whether another host lives: at once where it has written over what was left here; else
        where it has left two marks. One may be the last of a start that is over: this one's
        supervisor takes its place; or the database has gone back to before this start."""
        before, self._strange = self._strange, None if self.is_own(mark) else mark
        self._looks = self._looks + 1 if self._strange == before else 1
        if self._strange is None:
            return False
        at_once = bool(self._left) and not self._starts.is_of_earlier(mark)
        return at_once or before not in (None, mark)

    def is_past(self, mark: str) -> bool:
        """Whether the database has gone back to this mark, of an earlier start: nobody writes over
        it. After `is_of_another`."""
        stands = mark == self._strange and self._looks >= _STILL
        return bool(self._left) and stands and self._starts.is_of_earlier(mark)


class Alive:
    """One look of a node whose database a server has; only of one that shares it are others asked
    for. Of a database in a file nothing is written."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._shares = station.settings.node.shares_database
        self._pulse = Pulse(starts_of(station.settings.node.data_directory))
        self._lost_after = station.settings.node.lost_after_seconds
        self._told_at = float("-inf")
        self._telling_since = 0.0

    def look(self) -> None:
        """
        Raises:
            DatabaseUnavailableError
        """
        database = self._station.database
        if not (self._shares or database.serves):
            return
        with database.write() as session:
            now = moment(session)
            found = incarnations.held(session, self._station.node_id)
            self._tell_or_end(session, found, now)
        if not self._shares or not self._may_judge():
            return
        silent_since = now - timedelta(seconds=self._lost_after)
        with database.write() as session:
            for each in lost_nodes.lose_silent(session, silent_since, now):
                _tell_loss(each)
        self._go_on(now)

    def _tell_or_end(self, session: Session, found: Node | None, now: datetime) -> None:
        mark = "" if found is None else found.mark
        if found is not None and self._pulse.is_of_another(mark):
            incarnations.note_twice(session, found.node_id, gethostname(), now)
            self._station.end(twice(found, f"with {self._station.settings.node.data_directory}"))
        elif self._pulse.is_own(mark) or self._pulse.is_past(mark):
            self._tell(session, now)

    def _tell(self, session: Session, now: datetime) -> None:
        node_id, mark = self._station.node_id, self._pulse.next()
        nodes.tell_alive(session, node_id, now, mark, shares=self._shares)

    def _go_on(self, now: datetime) -> None:
        """With what lost nodes alone had."""
        database = self._station.database
        with database.read() as session:
            again = lost_nodes.series_to_analyse_again(session)
        for key in again:
            with database.write() as session:
                lost_nodes.analyse_again(session, key, now)
            log.warning("series %s: its results are lost with their node, and made anew", key)
        with database.read() as session:
            wanted = lost_nodes.series_to_send_for(session)
        for key in wanted:
            with database.write() as session:
                lost_nodes.send_for(session, key, now)
            log.warning("series %s: instances are lost with their node, and sent for", key)

    def _may_judge(self) -> bool:
        """Not before it has told itself for so long, without a gap: where the database was away,
        nobody was heard of."""
        now = self._station.clock.seconds()
        if now - self._told_at > self._lost_after / 2:
            self._telling_since = now
        self._told_at = now
        return now - self._telling_since >= self._lost_after


def _tell_loss(loss: Loss) -> None:
    if not loss.receives:
        free = how_many(loss.freed, "job")
        log.warning("the workers of %s are not heard of: %s of them free", loss.name, free)
        return
    log.error(
        "the node %s is lost: %d jobs and deliveries of it are free, and of %s others have a copy",
        loss.name,
        loss.freed,
        how_many(loss.kept, "instance"),
    )


def say_that_it_ends(station: Station) -> None:
    """Of a node that is stopped: its data directory may be moved, and started elsewhere. Where the
    database is away that start waits a while. A monitor that is started anew goes on."""
    pulse = Pulse(starts_of(station.settings.node.data_directory))
    if not station.database.serves:
        return
    with suppress(StorageError, SQLAlchemyError, OSError), station.database.write() as session:
        found = incarnations.held(session, station.node_id)
        if found is not None and found.mark and pulse.is_own(found.mark):
            incarnations.sign(session, station.node_id, pulse.last)


def telling_that_it_lives(station: Station) -> Loop:
    return Loop("telling that this node lives", Alive(station).look, _LOOK_SECONDS)
