"""The loops that send the audit trail on, and tell the end of the flight records each day."""

from __future__ import annotations

import logging
from datetime import date

from dicomnode.audit.syslog import Forwarder
from dicomnode.monitor.loops import Loop, Station
from storage import flight_records

log = logging.getLogger(__name__)

_SENDING_SECONDS = 2.0
_ANCHOR_SECONDS = 600.0


class Anchoring:
    """Tells the last flight record once a day: without it, records that were cut off at the end of
    the chain could not be missed (`dicomnode audit flights --verify --anchor`)."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._told_on: date | None = None

    def look(self) -> None:
        today = self._station.clock.now().date()
        if today == self._told_on:
            return
        with self._station.database.read() as session:
            last = flight_records.head(session)
        self._told_on = today
        log.info("flight records: the last is %d:%s", last.number, last.digest)


def anchoring(station: Station) -> Loop:
    return Loop("telling the last flight record", Anchoring(station).look, _ANCHOR_SECONDS)


def sending_trail(station: Station) -> Loop:
    forwarder = Forwarder(station.settings, station.clock)
    return Loop("sending the audit trail", forwarder.look, _SENDING_SECONDS)
