"""Where a DICOMweb server is, and who we are to it: a secret in a file or environment variable.

The secret itself is in no configuration, object, log or error: it is read for each request, so that
a new one holds at once.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from dicomnode.decisions.policy import policy
from dicomnode.errors import ConfigurationError
from inference.entry_errors import SECRET

_BEARER = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1
_LONGEST_BYTES = 65536  # some tokens fill kilobytes; what is longer is another file


def _service_url(url: str) -> str:
    """The address of the service, without a slash at its end; an error shows nothing of it.

    Raises:
        ValueError: it is none, or holds what belongs elsewhere.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ValueError("url must be as https://host:port/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url may hold no user and no password: they belong into credentials")
    if "?" in url or "#" in url:
        raise ValueError("url may hold neither ? nor #")
    path = url.rstrip("/")
    if path.endswith("/studies"):
        raise ValueError("url must end before /studies")
    return path


ServiceUrl = Annotated[str, AfterValidator(_service_url), Field(json_schema_extra=SECRET)]
"""The address of a DICOMweb service: /studies is added to it. Not shown: it may hold a password."""


def is_on_this_machine(url: str) -> bool:
    """Whether what is sent to a service leaves this machine by no network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@policy
class Credentials:
    """The secret is the content of `file` or of the environment variable `variable`.

    With `user` it is the password of basic authentication (RFC 7617), else a bearer token (RFC
    6750).

    Raises:
        ValueError: neither or both are named, or the user cannot be one.
    """

    file: str = ""
    variable: str = ""
    user: str = ""

    def __post_init__(self) -> None:
        if bool(self.file) == bool(self.variable):
            raise ValueError("name one of file and variable: where the secret stands")
        if ":" in self.user or not self.user.isprintable():
            raise ValueError("user may hold no colon and no control character")

    def anchored(self, folder: Path) -> Credentials:
        """A relative path is taken from this folder."""
        return replace(self, file=str(folder / self.file)) if self.file else self

    def authorization(self) -> str:
        """The value of the header Authorization, as the secret is now. Not to be kept or shown.

        Raises:
            ConfigurationError: there is no secret, or it cannot be one; says why, shows nothing.
        """
        secret = self.secret()
        if self.user:
            return "Basic " + b64encode(f"{self.user}:{secret}".encode()).decode()
        if not _BEARER.fullmatch(secret):
            raise ConfigurationError("credentials: what is there is no bearer token")
        return f"Bearer {secret}"

    def secret(self) -> str:
        """As it is now, without the end of the line that editors add. Not to be kept or shown.

        Raises:
            ConfigurationError: there is none; says why, shows nothing.
        """
        text = self._content() if self.file else os.environ.get(self.variable, "")
        secret = text.rstrip("\r\n")
        if not secret:
            where = "the file is empty" if self.file else "the environment variable is not set"
            raise ConfigurationError(f"credentials: {where}")
        return secret

    def _content(self) -> str:
        try:
            with Path(self.file).open("rb") as file:
                return file.read(_LONGEST_BYTES).decode()
        except OSError as error:
            text = f"credentials: the file cannot be read: {error.strerror}"
            raise ConfigurationError(text) from None
        except UnicodeDecodeError:
            raise ConfigurationError("credentials: the file is no text") from None
