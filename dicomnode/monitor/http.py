"""The loop that serves health, metrics and the status page. A port that another holds is told, and
asked for again; the node goes on without."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.judge import not_ready
from dicomnode.metrics.exposition import CONTENT_TYPE, exposition
from dicomnode.metrics.files import folder_in
from dicomnode.metrics.looked_at import LookedAt
from dicomnode.metrics.read_back import read_back
from dicomnode.monitor.loops import Loop, Station
from dicomnode.web.application import Answer, Application
from dicomnode.web.server import listener, serve
from dicomnode.web.status_page import Sight, render, static, status_page, unseen_page
from storage.errors import StorageError
from storage.recent import EndedSeries, ended_series

log = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0
_STALE_SECONDS = 120.0
_STALE_READINESS_SECONDS = 5.0
_DAY = timedelta(hours=24)


class _Serving:
    def __init__(self, station: Station) -> None:
        self._station = station
        self._settings = station.settings.http
        pages = {
            "/": lambda: self._page(refreshes=True),
            "/still": lambda: self._page(refreshes=False),
            "/style.css": lambda: Answer(static("style.css"), "text/css; charset=utf-8"),
            "/icon.svg": lambda: Answer(static("icon.svg"), "image/svg+xml"),
            "/readyz": lambda: self._readiness(tells_why=True),
            "/metrics": self._metrics,
        }
        open_pages = {"/healthz": _health, "/readyz": lambda: self._readiness(tells_why=False)}
        self._application = Application(self._settings, pages, open_pages)

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

    @property
    def _counted(self) -> Path:
        return folder_in(self._station.settings.node.data_directory)

    def _page(self, *, refreshes: bool) -> Answer:
        seen, settings = self._station.outlook.seen, self._station.settings
        if seen is None:
            page = unseen_page(settings, refreshes=refreshes)
        else:
            ended = self._ended(seen.facts)
            sight = Sight(seen.facts, seen.troubles, ended, read_back(self._counted))
            page = status_page(sight, settings, refreshes=refreshes)
        return Answer(render(page).encode(), "text/html; charset=utf-8")

    def _ended(self, facts: Facts) -> Sequence[EndedSeries] | None:
        """None while the database is away: the rest of the page is told all the same."""
        if facts.database_fault is not None:
            return None
        try:
            with self._station.database.read() as session:
                return ended_series(session, facts.at - _DAY)
        except StorageError:
            return None

    def _metrics(self) -> Answer:
        seen = self._station.outlook.seen
        looked_at = () if seen is None else (LookedAt(seen.facts, seen.troubles),)
        return Answer(exposition(self._counted, *looked_at), CONTENT_TYPE)

    def _readiness(self, *, tells_why: bool) -> Answer:
        reasons = self._not_ready()
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        told = {"ready": not reasons} | ({"reasons": reasons} if tells_why else {})
        return Answer(json.dumps(told).encode() + b"\n", "application/json", status)

    def _not_ready(self) -> tuple[str, ...]:
        outlook = self._station.outlook
        if (last := outlook.readiness) is not None:
            age = self._station.clock.seconds() - last.at
            return (*last.reasons, *([_old(age)] if age > _STALE_READINESS_SECONDS else []))
        seen = outlook.seen
        if seen is None:
            return ("the node was not looked at yet",)
        age = (self._station.clock.now() - seen.facts.at).total_seconds()
        return (*not_ready(seen.facts), *([_old(age)] if age > _STALE_SECONDS else []))


def _old(age: float) -> str:
    return f"the node was looked at {age:.0f} s ago, and not since"


def _health() -> Answer:
    return Answer(b"ok\n")


def serving(station: Station) -> Loop:
    return Loop("serving HTTP", _Serving(station).look, _RETRY_SECONDS)
