"""Who takes alerts: a webhook and a mail server, on loopback ports, that keep what they get."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.certificates import Credentials


class WebhookServer(ThreadingHTTPServer):
    """Answers `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.status = 200
        self.taken: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Hook(BaseHTTPRequestHandler):
    server: WebhookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class MailServer(socketserver.ThreadingTCPServer):
    """Just enough of RFC 5321 to take a message, by STARTTLS with `credentials`."""

    daemon_threads = True

    def __init__(self, credentials: Credentials | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.taken: list[bytes] = []
        self.logins: list[str] = []
        self.refuses = ""  # an answer to MAIL
        self.context: ssl.SSLContext | None = None
        if credentials is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(credentials.certificate, credentials.private_key)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Mail(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 ready")
        try:
            while line := self.rfile.readline().decode().strip():
                if line.upper() == "QUIT":
                    self._say("221 bye")
                    return
                self._answer(line)
        except (OSError, ValueError):
            return  # the client left in the middle
        finally:
            self.connection.close()

    def _answer(self, line: str) -> None:
        verb = line.split(maxsplit=1)[0].upper()
        encrypted = isinstance(self.connection, ssl.SSLSocket)
        if verb == "EHLO":
            more = ["250-STARTTLS"] if self.server.context and not encrypted else []
            self._say("250-at your service", *more, "250 AUTH PLAIN")
        elif verb == "STARTTLS" and self.server.context is not None:
            self._say("220 go")
            self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
        elif verb == "AUTH":
            self.server.logins.append(b64decode(line.split()[2]).decode())
            self._say("235 welcome")
        elif verb == "DATA":
            self._say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            self.server.taken.append(b"".join(lines))
            self._say("250 taken")
        elif verb == "MAIL" and self.server.refuses:
            self._say(self.server.refuses)
        else:
            self._say("250 ok")

    def _say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def running(server: socketserver.TCPServer) -> Iterator[None]:
    """Serves in a thread meanwhile."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
