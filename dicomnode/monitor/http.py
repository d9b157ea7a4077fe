"""The loop that serves health, metrics and the status page. A port that another holds is told, and
asked for again; the node goes on without."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from dicomnode.decisions.operating.judge import not_ready
from dicomnode.metrics.exposition import CONTENT_TYPE, exposition
from dicomnode.metrics.files import folder_in
from dicomnode.metrics.looked_at import LookedAt
from dicomnode.monitor.loops import Loop, Station
from dicomnode.web.application import Answer, Application
from dicomnode.web.server import listener, serve

log = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0
_STALE_SECONDS = 120.0


class _Serving:
    def __init__(self, station: Station) -> None:
        self._station = station
        self._settings = station.settings.http
        pages = {"/readyz": self._readiness, "/metrics": self._metrics}
        self._application = Application(self._settings, pages, {"/healthz": _health})

    def look(self) -> None:
        """Serve until the node stops; returns before where it cannot."""
        station, settings = self._station, self._settings
        if not settings.port:
            station.stop.wait()
            return
        where = f"{settings.address}:{settings.port}"
        try:
            listening = listener(settings)
        except OSError as error:
            why = (error.strerror or type(error).__name__).partition(" (")[0]
            if not station.outlook.http_fault:
                log.warning("no status page: cannot listen on %s: %s", where, why)
            station.outlook.http_fault = f"{where}: {why}"
            return
        station.outlook.http_fault = ""
        log.info("status page at http://%s/", where)
        serve(self._application, listening, station.stop)

    def _metrics(self) -> Answer:
        folder = folder_in(self._station.settings.node.data_directory)
        seen = self._station.outlook.seen
        looked_at = () if seen is None else (LookedAt(seen.facts, seen.troubles),)
        return Answer(exposition(folder, *looked_at), CONTENT_TYPE)

    def _readiness(self) -> Answer:
        reasons = self._not_ready()
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        told = {"ready": not reasons, "reasons": reasons}
        return Answer(json.dumps(told).encode() + b"\n", "application/json", status)

    def _not_ready(self) -> tuple[str, ...]:
        seen = self._station.outlook.seen
        if seen is None:
            return ("the node was not looked at yet",)
        age = (self._station.clock.now() - seen.facts.at).total_seconds()
        old = f"the node was looked at {age:.0f} s ago, and not since"
        return (*not_ready(seen.facts), *([old] if age > _STALE_SECONDS else []))


def _health() -> Answer:
    return Answer(b"ok\n")


def serving(station: Station) -> Loop:
    return Loop("serving HTTP", _Serving(station).look, _RETRY_SECONDS)
