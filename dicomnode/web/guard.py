"""Who may ask, and what every answer says besides: pure.

A page of the network that a browser of this machine has open may ask the loopback interface under a
name of its own (DNS rebinding): there only names of this machine are answered.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: nothing is kept, framed or loaded from elsewhere, and no script runs."""


@dataclass(frozen=True)
class Refusal:
    """`headers`: beside `HEADERS`."""

    status: HTTPStatus
    text: str
    headers: Mapping[str, str]


_READING = {"GET", "HEAD"}
_NOT_READING = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD", {"Allow": "GET, HEAD"})
_OTHER_NAME = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST, "this name is not served: see [http] hosts", {}
)
_NO_TOKEN = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "a token is needed: see [http] token",
    {"WWW-Authenticate": 'Basic realm="dicomnode", charset="UTF-8"'},
)
_NO_SECRET = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "the token of this node cannot be read: see its log", {}
)


def judge(
    method: str,
    host: str,
    names: Collection[str] | None,
    authorization: str,
    expected: str | None,
) -> Refusal | None:
    """Why a request is not answered; None where it is.

    `host`, `authorization`: the header fields of the request. `names`: that are served, without a
    port; None for every one. `expected`: as `Credentials.authorization`; None where nobody needs a
    token, empty where it cannot be read.
    """
    if method not in _READING:
        return _NOT_READING
    if names is not None and _name_of(host) not in names:
        return _OTHER_NAME
    if expected is None:
        return None
    if not expected:
        return _NO_SECRET
    return None if _shows(authorization, expected) else _NO_TOKEN


def _name_of(host: str) -> str:
    """Without the port (RFC 9112 section 3.2)."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _shows(authorization: str, expected: str) -> bool:
    """Takes as long whatever is wrong with it. A bearer token may come as the password of any user,
    for that is what a browser asks for. The scheme is in any case (RFC 9110 section 11.1)."""
    scheme, _, secret = authorization.strip().partition(" ")
    ways = (f"{scheme.capitalize()} {secret.strip()}", f"Bearer {_password(secret)}")
    fits = [hmac.compare_digest(each.encode(), expected.encode()) for each in ways]
    return any(fits)


def _password(secret: str) -> str:
    """Of basic authentication (RFC 7617); empty for what is none."""
    try:
        return b64decode(secret.strip(), validate=True).decode().partition(":")[2]
    except (Base64Error, ValueError):
        return ""
