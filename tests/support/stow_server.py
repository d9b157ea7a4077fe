"""A DICOMweb server that says what a test tells it to, over HTTP or TLS, on a loopback port."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pydicom

_CHUNK = 1 << 16
_KEPT = 1 << 24  # bytes of a body; of a longer one the test wants to know that it came


@dataclass(frozen=True)
class Request:
    """`part`: the content of the only part of the body, b"" where there is none whole."""

    path: str
    headers: Mapping[str, str]
    length: int
    part: bytes
    connection: int

    @property
    def uid(self) -> str:
        return str(pydicom.dcmread(BytesIO(self.part), stop_before_pixels=True).SOPInstanceUID)


class Handler(BaseHTTPRequestHandler):
    """Reads a whole request before the next script speaks."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        early = self.server.early
        if early is not None:
            early(self)
            return
        request = self._received()
        self.server.requests.append(request)
        script = self.server.scripts.popleft() if self.server.scripts else storing
        script(self, request)

    def do_GET(self) -> None:
        """A query for instances: those that it says it has."""
        found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in self.server.listed]
        self.server.queries.append(self.path)
        self.reply(200 if found else 204, json.dumps(found).encode() if found else b"")

    def _received(self) -> Request:
        length, left = int(self.headers["Content-Length"]), int(self.headers["Content-Length"])
        body = bytearray()
        while left and (piece := self.rfile.read(min(left, _CHUNK))):
            left -= len(piece)
            if length <= _KEPT:
                body += piece
        return Request(
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            length - left,
            _only_part(bytes(body), str(self.headers.get_param("boundary", header="content-type"))),
            self.client_address[1],
        )

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Nothing: what went wrong shows in the test."""


Script = Callable[[Handler, Request], None]


def _only_part(body: bytes, boundary: str) -> bytes:
    head, _, rest = body.partition(b"\r\n\r\n")
    part, end, _ = rest.rpartition(f"\r\n--{boundary}--\r\n".encode())
    return (
        part if end and head == f"--{boundary}\r\nContent-Type: application/dicom".encode() else b""
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[Request] = []
        self.scripts: deque[Script] = deque()
        self.listed: list[str] = []
        self.queries: list[str] = []
        self.early: Callable[[Handler], None] | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may go, or be refused by TLS: the test says what it expects of it."""


class StowServer:
    """`scripts`: one for each request to come; then each is stored. `listed`: what it says that it
    has when asked; `queries`: the paths by which it was."""

    def __init__(self, server: _Server, scheme: str) -> None:
        self._server = server
        self.url = f"{scheme}://127.0.0.1:{server.server_port}/dicom-web"
        self.requests = server.requests
        self.scripts = server.scripts
        self.listed, self.queries = server.listed, server.queries

    def answers_at_once(self, script: Callable[[Handler], None]) -> None:
        """To every request from now on, before its body is read."""
        self._server.early = script


@contextmanager
def running_stow_server(context: ssl.SSLContext | None = None) -> Iterator[StowServer]:
    server = _Server()
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield StowServer(server, "http" if context is None else "https")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def response(
    stored: Mapping[str, int] | None = None, failed: Mapping[str, int] | None = None
) -> bytes:
    """A Store Instances Response Module in JSON: UIDs with reasons, 0 for none."""
    sequences = {
        "00081199": _items(stored or {}, "00081196"),
        "00081198": _items(failed or {}, "00081197"),
    }
    found = {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}
    return json.dumps(found).encode()


def _items(reasons: Mapping[str, int], tag: str) -> list[dict[str, Any]]:
    return [
        {"00081155": {"vr": "UI", "Value": [uid]}}
        | ({tag: {"vr": "US", "Value": [reason]}} if reason else {})
        for uid, reason in reasons.items()
    ]


def storing(handler: Handler, request: Request) -> None:
    """As a server that takes everything."""
    handler.reply(200, response({request.uid: 0}), {"Content-Type": "application/dicom+json"})


def warning(reason: int) -> Script:
    return lambda handler, request: handler.reply(202, response({request.uid: reason}))


def failing(status: int, reason: int) -> Script:
    return lambda handler, request: handler.reply(status, response(None, {request.uid: reason}))


def answering(status: int, body: bytes = b"", **headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _request: handler.reply(status, body, named)


def saying(content: bytes) -> Script:
    """These bytes and no more; then the connection ends."""

    def script(handler: Handler, _request: Request) -> None:
        handler.wfile.write(content)
        handler.close_connection = True

    return script


def never(handler: Handler, _request: Request) -> None:
    """Until the other side goes."""
    handler.rfile.read(1)
