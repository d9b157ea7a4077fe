"""The first lines of the log: what starts, of which configuration, with whom it will speak."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dicomnode.config.destinations import AnyDestination, Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.version import VERSION
from storage.database import shown_url

log = logging.getLogger(__name__)


def introduce(settings: Settings, config: Path, *, workers_alone: bool = False) -> None:
    """Told once, at the start; the bundles are told when they are checked."""
    lines = introduction_of_workers if workers_alone else introduction
    for line in lines(settings, config):
        log.info("%s", line)


def introduction_of_workers(settings: Settings, config: Path) -> Iterator[str]:
    """As `introduction`, of a host of workers alone."""
    yield f"dicomnode {VERSION} starts {how_many(settings.inference.workers, 'worker')}"
    yield f"configured by {config.absolute()}"
    yield f"data directory, of copies alone: {settings.node.data_directory.absolute()}"
    yield f"database: {shown_url(settings.database_url)}"
    yield f"object store: {settings.object_store.url}"


def introduction(settings: Settings, config: Path) -> Iterator[str]:
    """No line holds a password, or the path of a web service, which may hold a key."""
    yield f"dicomnode {VERSION} starts, configured by {config.absolute()}"
    yield f"data directory: {settings.node.data_directory.absolute()}"
    yield f"database: {shown_url(settings.database_url)}"
    yield f"audit trail: {settings.audit_file.absolute()}{_syslog(settings)}"
    yield f"AE title {settings.node.ae_title}, listens on {_listening(settings)}"
    for each in settings.destinations:
        yield f"destination {_destination(each)}"
    if not settings.destinations:
        yield "no destination: results stay here"
    if not settings.inference.workers:
        yield "no worker here: those of other hosts analyse what is sealed in the object store"


def _syslog(settings: Settings) -> str:
    return f" and {settings.audit.syslog}" if settings.audit.syslog else ""


def _listening(settings: Settings) -> str:
    receive = settings.receive
    plain = [f"{receive.address}:{receive.port} without TLS"] if receive.plain else []
    tls = [f"{receive.address}:{receive.tls.port} with TLS"] if receive.tls.enabled else []
    return " and ".join(plain + tls)


def _destination(each: AnyDestination) -> str:
    secured = "with TLS" if each.tls else "without TLS"
    if isinstance(each, Destination):
        commitment = ", storage commitment" if each.storage_commitment else ""
        return f"{each.name}: {each.ae_title} at {each.address}:{each.port}, {secured}{commitment}"
    parts = urlsplit(each.url)
    port = f":{parts.port}" if parts.port else ""
    return f"{each.name}: DICOMweb at {parts.scheme}://{parts.hostname}{port}, {secured}"
