"""The paths that are served, as a WSGI application (PEP 3333).

`/healthz` is answered whenever the process lives, to anybody; all else to who may look. What
`/readyz` says, but not why, everybody is told too: a balancer has no token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Refused
from dicomnode.config.http import HttpSettings
from dicomnode.errors import ConfigurationError
from dicomnode.logs import Repeats, so_far
from dicomnode.web.guard import HEADERS, LOCAL_NAMES, Refusal, judge

log = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """`kind`: the media type of the body."""

    body: bytes
    kind: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


Page = Callable[[], Answer]


class Application:
    """`pages`: by path; `open_pages`: those that everybody may see, under any name. One that is
    among both is `open_pages`' for who may not look."""

    def __init__(
        self, settings: HttpSettings, pages: Mapping[str, Page], open_pages: Mapping[str, Page]
    ) -> None:
        self._token = settings.token
        self._names = LOCAL_NAMES | {each.lower() for each in settings.hosts}
        self._repeats = Repeats()
        self._token_fault = ""  # the last that was told: somebody asks every few seconds
        self._any_name = not settings.is_local
        self._pages, self._open_pages = pages, open_pages

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        answer = self._answer(method, environ)
        length = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        headers = {**HEADERS, **length, **answer.headers}
        start_response(f"{answer.status.value} {answer.status.phrase}", list(headers.items()))
        return [] if method == "HEAD" else [answer.body]

    def _answer(self, method: str, environ: Mapping[str, Any]) -> Answer:
        path = environ.get("PATH_INFO", "")
        page, refusal = self._pages.get(path), self._judge(method, path, environ)
        if refusal is not None:
            self._tell_wrong_token(refusal, environ)
        open_page = self._open_pages.get(path)
        if open_page is not None and (page is None or refusal is not None):
            page, refusal = open_page, judge(method, "", None, "", None)
        if refusal is not None:
            body = f"{refusal.text}\n".encode()
            return Answer(body, TEXT, refusal.status, refusal.headers)
        if page is None:
            return Answer(b"there is no such page\n", TEXT, HTTPStatus.NOT_FOUND)
        try:
            return page()
        except Exception:
            log.exception("%s cannot be told", path)
            return Answer(b"a fault: the log tells which\n", TEXT, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _tell_wrong_token(self, refusal: Refusal, environ: Mapping[str, Any]) -> None:
        """Of one that was shown: a browser shows none before it is asked."""
        if refusal.status is HTTPStatus.UNAUTHORIZED and "HTTP_AUTHORIZATION" in environ:
            address, why = environ.get("REMOTE_ADDR", ""), "HTTP with a wrong token"
            if times := self._repeats.count(address):
                log.warning("%s from %s%s", why, address, so_far(times))
                trail.record(Refused(Peer("", address), why, times))

    def _judge(self, method: str, path: str, environ: Mapping[str, Any]) -> Refusal | None:
        if path not in self._pages and path in self._open_pages:
            return None
        return judge(
            method,
            environ.get("HTTP_HOST", ""),
            None if self._any_name else self._names,
            environ.get("HTTP_AUTHORIZATION", ""),
            self._expected(),
        )

    def _expected(self) -> str | None:
        """Read anew for each request, so that a new token holds at once."""
        try:
            return None if self._token is None else self._token.authorization()
        except ConfigurationError as error:
            if str(error) != self._token_fault:
                log.error("[http] token: %s", error)
            self._token_fault = str(error)
            return ""
