"""The loop that tells the nodes of one database that this one lives, and sees which do not."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from dicomnode.decisions.wording import how_many
from dicomnode.monitor.loops import Loop, Station
from storage import lost_nodes, nodes
from storage.lost_nodes import Loss
from storage.statements import moment

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0


class Alive:
    """One look of a node that shares its database; of any other, nothing is asked or written."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._lost_after = station.settings.node.lost_after_seconds
        self._told_at = float("-inf")
        self._telling_since = 0.0

    def look(self) -> None:
        """
        Raises:
            DatabaseUnavailableError
        """
        if not self._station.settings.node.shares_database:
            return
        database = self._station.database
        with database.write() as session:
            now = moment(session)
            self._tell(session, now)
        if not self._may_judge():
            return
        silent_since = now - timedelta(seconds=self._lost_after)
        with database.write() as session:
            for each in lost_nodes.lose_silent(session, silent_since, now):
                _tell_loss(each)
        self._go_on(now)

    def _tell(self, session: Session, now: datetime) -> None:
        nodes.tell_alive(session, self._station.node_id, now)

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


def telling_that_it_lives(station: Station) -> Loop:
    return Loop("telling that this node lives", Alive(station).look, _LOOK_SECONDS)
