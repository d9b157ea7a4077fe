"""The loop that serves health, metrics and the status page. A port that another holds is told, and
asked for again; the node goes on without."""

from __future__ import annotations

import logging

from dicomnode.metrics.exposition import CONTENT_TYPE, exposition
from dicomnode.metrics.files import folder_in
from dicomnode.monitor.loops import Loop, Station
from dicomnode.web.application import Answer, Application
from dicomnode.web.server import listener, serve

log = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0


class _Serving:
    def __init__(self, station: Station) -> None:
        self._station = station
        self._settings = station.settings.http
        self._application = Application(
            self._settings, {"/metrics": self._metrics}, {"/healthz": _health}
        )

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
        return Answer(exposition(folder), CONTENT_TYPE)


def _health() -> Answer:
    return Answer(b"ok\n")


def serving(station: Station) -> Loop:
    return Loop("serving HTTP", _Serving(station).look, _RETRY_SECONDS)
