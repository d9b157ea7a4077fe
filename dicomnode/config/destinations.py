"""Whom we open associations or connections with, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Discriminator, Field, Tag, model_validator

from dicomnode.config.credentials import Credentials, ServiceUrl, is_on_this_machine
from dicomnode.config.section import Section
from dicomnode.decisions.policy import AeTitle, Port, Positive
from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.tls import DestinationTls
from inference.entry_errors import SECRET

_Name = Annotated[str, Field(min_length=1, max_length=64)]


class Peer(Section):
    """Whom we open associations with."""

    name: _Name
    ae_title: AeTitle
    address: str
    port: Port
    tls: DestinationTls | None = None

    def anchored(self, folder: Path) -> Self:
        """Relative paths are taken from this folder."""
        return self.model_copy(update={"tls": self.tls and self.tls.anchored(folder)})


class _Delivered(Section):
    """What of the results a destination gets, however it is reached.

    `sr_class`, `segmentation`: None for those of `[results]`.
    """

    sr_class: SrClass | None = None
    segmentation: SegmentationKind | None = None
    associations: Annotated[int, Field(ge=1, le=16)] = 1  # at a time
    objects_per_minute: Annotated[int, Field(ge=0)] = 0  # 0: no limit
    compressed: bool = False  # JPEG as it is where it is accepted; else decompressed
    rejection_notes: bool = False  # takes Key Object rejection notes (IHE RAD, IOCM)


class Destination(Peer, _Delivered):
    """A peer that results are delivered to, and how."""

    storage_commitment: bool = False  # is asked for its promise to keep what it stored
    commitment_timeout_seconds: Positive = 600.0
    commitment_attempts: Annotated[int, Field(ge=1, le=16)] = 4


class WebServer(Section):
    """Whom we send requests to over HTTP, and who we are there."""

    name: _Name
    url: ServiceUrl
    tls: DestinationTls | None = None
    credentials: Annotated[Credentials | None, Field(json_schema_extra=SECRET)] = None

    @model_validator(mode="after")
    def _secrets_are_not_overheard(self) -> Self:
        encrypted = self.url.startswith("https:")
        if encrypted and self.tls is None:
            raise ValueError("https needs tls, with peer_ca: who vouches for the server")
        if not encrypted and self.tls is not None:
            raise ValueError("tls needs a url that begins with https")
        if self.credentials and not encrypted and not is_on_this_machine(self.url):
            raise ValueError("credentials need https: else the whole network can read them")
        return self

    def anchored(self, folder: Path) -> Self:
        """Relative paths are taken from this folder."""
        tls, who = self.tls and self.tls.anchored(folder), self.credentials
        credentials = who and who.anchored(folder)
        return self.model_copy(update={"tls": tls, "credentials": credentials})


class WebDestination(WebServer, _Delivered):
    """A DICOMweb server that results are delivered to by STOW-RS (PS3.18 section 10.5)."""

    storage_commitment: ClassVar[bool] = False  # DICOMweb knows none

    @model_validator(mode="before")
    @classmethod
    def _is_no_peer(cls, data: Any) -> Any:
        if isinstance(data, dict) and (both := [key for key in _PEER_KEYS if key in data]):
            raise ValueError(f"url is for DICOMweb, {' and '.join(both)} for DICOM: name one")
        return data


_PEER_KEYS = ("ae_title", "address", "port")


def _kind_of_destination(given: Any) -> str:
    web = isinstance(given, WebDestination) or (isinstance(given, dict) and "url" in given)
    return "WebDestination" if web else "Destination"


AnyDestination = Annotated[
    Annotated[Destination, Tag("Destination")] | Annotated[WebDestination, Tag("WebDestination")],
    Discriminator(_kind_of_destination),
]
"""With `url` it is a DICOMweb server."""
