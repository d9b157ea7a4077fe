"""The section about whom troubles are told, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import WebServer
from dicomnode.config.section import Section
from dicomnode.decisions.operating.troubles import Severity
from dicomnode.decisions.policy import NotNegative, Port
from inference.entry_errors import SECRET

_MailAddress = Annotated[
    str,
    Field(
        pattern=r"^[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+$",
        max_length=254,
        description="an e-mail address, as node@hospital.example",
    ),
]


class Webhook(WebServer):
    """Who takes a JSON document by POST: `decisions.operating.message` says what is in it."""

    name: str = "webhook"


class MailSettings(Section):
    """A mail server that takes messages of ours (RFC 5321), encrypted by STARTTLS (RFC 3207) or
    from the first byte on. `peer_ca`: who vouches for its certificate."""

    server: Annotated[str, Field(min_length=1)]
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    peer_ca: str = ""
    sender: _MailAddress
    to: Annotated[tuple[_MailAddress, ...], Field(min_length=1)]
    credentials: Annotated[Credentials | None, Field(json_schema_extra=SECRET)] = None

    @model_validator(mode="after")
    def _secrets_are_not_overheard(self) -> Self:
        if self.security != "none" and not self.peer_ca:
            raise ValueError("peer_ca is needed: who vouches for the mail server's certificate")
        if self.security == "none" and (self.peer_ca or self.credentials):
            raise ValueError('security = "none" goes with neither peer_ca nor credentials')
        if self.credentials and not self.credentials.user:
            raise ValueError("credentials need user: whose password it is")
        return self

    def anchored(self, folder: Path) -> Self:
        """Relative paths are taken from this folder."""
        ca = str(folder / self.peer_ca) if self.peer_ca else ""
        credentials = self.credentials and self.credentials.anchored(folder)
        return self.model_copy(update={"peer_ca": ca, "credentials": credentials})


class AlertSettings(Section):
    """`least`: of what weight a trouble is told by webhook and mail; the log tells all."""

    stand_seconds: NotNegative = 60.0
    over_seconds: NotNegative = 120.0
    least: Severity = Severity.WARNING
    webhook: Webhook | None = None
    mail: MailSettings | None = None

    def anchored(self, folder: Path) -> Self:
        """Relative paths are taken from this folder."""
        told = {
            "webhook": self.webhook and self.webhook.anchored(folder),
            "mail": self.mail and self.mail.anchored(folder),
        }
        return self.model_copy(update=told)
