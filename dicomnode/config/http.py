"""The section about health, metrics and the status page over HTTP."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from dicomnode.config.credentials import Credentials
from dicomnode.config.section import Section
from inference.entry_errors import SECRET


class HttpSettings(Section):
    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 11180  # 0: none
    token: Annotated[Credentials | None, Field(json_schema_extra=SECRET)] = None
    hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _strangers_need_a_token(self) -> Self:
        if self.port and not self.is_local and self.token is None:
            raise ValueError("an address that others can reach needs token: who may look")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        try:
            return ip_address(self.address).is_loopback
        except ValueError:
            return self.address == "localhost"

    def anchored(self, folder: Path) -> Self:
        """A relative path is taken from this folder."""
        return self.model_copy(update={"token": self.token and self.token.anchored(folder)})
