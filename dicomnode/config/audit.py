"""The audit trail: where it is kept, and where else it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from dicomnode.config.section import Section
from dicomnode.tls import DestinationTls

PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
"""The registered ports of syslog: RFC 5426 section 3.3, RFC 3195, RFC 5425 section 4.1."""


class AuditSettings(Section):
    """`syslog`: "udp://host", "tcp://host:601" or "tls://host:6514"; "" is none."""

    file: str = ""  # empty: audit/audit.log in the data directory
    file_mebibytes: Annotated[int, Field(ge=1, le=10000)] = 20
    files: Annotated[int, Field(ge=1, le=1000)] = 50
    site: str = ""  # Audit Enterprise Site ID
    patient_id: bool = False  # Patient ID in messages on instances that came or went
    syslog: str = ""
    tls: DestinationTls | None = None

    @model_validator(mode="after")
    def _syslog_can_be_one(self) -> Self:
        if self.syslog:
            scheme, _host, _port = self.syslog_server
            if (scheme == "tls") != (self.tls is not None):
                raise ValueError("syslog by tls:// needs tls, with peer_ca, and others none")
        return self

    @property
    def syslog_server(self) -> tuple[str, str, int]:
        """Scheme, host and port of `syslog`.

        Raises:
            ValueError
        """
        try:
            parts = urlsplit(self.syslog)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or parts.scheme not in PORTS or parts.path or parts.username or port == 0:
            raise ValueError("syslog must be as udp://host:514, tcp://host:601 or tls://host:6514")
        return parts.scheme, host, port or PORTS[parts.scheme]

    def anchored(self, folder: Path) -> AuditSettings:
        """Relative paths are taken from this folder."""
        file = str(folder / self.file) if self.file else ""
        return self.model_copy(update={"file": file, "tls": self.tls and self.tls.anchored(folder)})
