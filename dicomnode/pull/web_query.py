"""Queries of a DICOMweb server by QIDO-RS (PS3.18 section 10.6), page by page."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Queried
from dicomnode.config.destinations import WebServer
from dicomnode.decisions.delivery.stow_response import named_values, read_items
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network import find
from dicomnode.network.web_connection import Answer, WebConnection

_JSON = "application/dicom+json"
_LONGEST_LIST_BYTES = 1 << 26
_PAGE = 1000
_ROUND = (50, 64)
_MODEL = str(find.CONTEXTS[0].abstract_syntax)
"""What a query is on record as: DICOMweb has the same information model, and no name for it."""

_UIDS = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}


class WebQuery:
    """Asks one server; `status`: of its last answer, 0 where none came."""

    def __init__(self, server: WebServer, timeout: float) -> None:
        """
        Raises:
            ConfigurationError: a TLS file of ours cannot be used.
        """
        self._server = server
        self._connection = WebConnection(server, timeout)
        self.status = 0

    @property
    def name(self) -> str:
        return self._server.name

    def matches(self, query: str, most: int | None = None) -> list[Mapping[str, Any]]:
        """All that match, or `most` of them, as DICOM JSON: page by page, as some servers return so
        many at once and no more, each once.

        Raises:
            PeerError: the server does not answer, or refuses to: see `status`.
        """
        trail.record(Queried(Peer(self.name), _MODEL, query.partition("?")[0]))
        found: dict[tuple[str, ...], Mapping[str, Any]] = {}
        limit = _PAGE if most is None else min(most, _PAGE)
        while True:
            page = self._page(f"{query}&limit={limit}&offset={len(found)}")
            before = len(found)
            found |= {tuple(named_values(each, _UIDS).values()): each for each in page}
            enough = most is not None and len(found) >= most
            if enough or len(found) == before or not _may_be_cut(len(page), limit):
                return list(found.values())[:most]

    def get(self, path: str, accept: str, longest: int) -> Answer:
        """One answer, whatever its status.

        Raises:
            PeerError
        """
        self.status = 0
        who = self._server.credentials
        headers: Mapping[str, str] = {"Authorization": who.authorization()} if who else {}
        answer = self._connection.request(
            "GET", path, {"Accept": accept, **headers}, longest=longest
        )
        self.status = answer.status
        return answer

    def close(self) -> None:
        self._connection.close()

    def _page(self, query: str) -> list[Mapping[str, Any]]:
        answer = self.get(query, _JSON, _LONGEST_LIST_BYTES)
        if answer.status == HTTPStatus.NO_CONTENT:
            return []
        if answer.status != HTTPStatus.OK:
            text = f"{self.name} answered a query with HTTP {answer.status}"
            raise PeerError(text, PeerCause.STATUS)
        return read_items(answer.body)


def _may_be_cut(count: int, limit: int) -> bool:
    """A server that returns fewer at once than it is asked for cuts at a round number."""
    return count >= limit or any(count % each == 0 for each in _ROUND)
