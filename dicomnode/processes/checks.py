"""What of the configuration cannot work on this machine as it is now: told before a node starts.

Nothing is made or changed here. What the configuration itself forbids `config.reading` has told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from dicomnode.config.credentials import Credentials
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import is_held, settings_now
from dicomnode.disk_gate import disk_space, existing
from dicomnode.errors import ConfigurationError
from dicomnode.methods.bundles import check_permitted, precision_problems
from dicomnode.network.listeners import bind_listener
from dicomnode.processes.ports import Address, is_held_by_systemd, served
from dicomnode.tls import (
    WARNING_BEFORE_END,
    DestinationTls,
    TlsPolicy,
    client_context,
    expiry_of_pem,
    server_context,
)
from inference.bundles.bundle import load_card
from inference.errors import BundleError
from storage.database import check_answers, is_missing
from storage.errors import ObjectStoreError, StorageError

_TLS_FILES = ("certificate", "private_key", "peer_ca")


@dataclass(frozen=True)
class Finding:
    """Something wrong; `key` names an entry of the configuration. A warning hinders no start."""

    key: str
    text: str
    is_warning: bool = False


def check_start(settings: Settings, *, receives: bool = True) -> None:
    """What a node does not start with: the rest of it is told by `check_all`, or as it happens.

    `receives`: not only workers are to be started.

    Raises:
        ConfigurationError: a bundle or the node's own certificate cannot be used; names each.
    """
    found = list(bundle_findings(settings))
    found += _tls_findings("receive.tls", settings.receive.tls) if receives else ()
    if wrong := [each for each in found if not each.is_warning]:
        raise ConfigurationError("\n".join(f"{each.key}: {each.text}" for each in wrong))


def check_all(settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """All at once, in the order of the configuration."""
    return (
        *_folder_findings(settings),
        *_database_findings(settings),
        *_port_findings(settings),
        *_tls_findings("receive.tls", settings.receive.tls),
        *_expiry("receive.tls", settings.receive.tls, now),
        *bundle_findings(settings),
        *_peer_findings(settings, now),
    )


def bundle_findings(settings: Settings) -> Iterator[Finding]:
    """By their cards; that the weights are those of the card a worker sees when it loads them."""
    inference, cards = settings.inference, []
    keyed = [(f"inference.methods.{n}.bundle", e.bundle) for n, e in enumerate(inference.methods)]
    keyed += [("inference.lungs_bundle", inference.lungs_bundle)] if inference.lungs_bundle else []
    for key, name in keyed or [("inference.methods", str(f)) for _, f in inference.bundles]:
        folder = Path(name)
        if not folder.is_dir():
            yield Finding(key, f"there is no folder {folder}")
            continue
        try:
            cards.append(load_card(folder))
        except BundleError as error:
            yield Finding(key, f"{folder}: {'; '.join(error.problems)}")
            continue
        if not (folder / cards[-1].weights).is_file():
            yield Finding(key, f"{folder}: there is no file {cards[-1].weights}")
    for problem in precision_problems(cards, settings):
        yield Finding("inference.precision", problem)
    try:
        check_permitted(cards, settings)
    except ConfigurationError as error:
        yield Finding("inference.allow_demonstration_model", str(error))


def _tls_findings(key: str, tls: TlsPolicy | DestinationTls | None) -> Iterator[Finding]:
    if tls is None or (isinstance(tls, TlsPolicy) and not tls.enabled):
        return
    unreadable = False
    for name in _TLS_FILES:
        if file := getattr(tls, name):
            try:
                Path(file).open("rb").close()
            except OSError as error:
                unreadable = True
                yield Finding(f"{key}.{name}", f"{file}: {error.strerror}")
    if not unreadable:
        try:
            server_context(tls) if isinstance(tls, TlsPolicy) else client_context(tls)
        except ConfigurationError as error:
            yield Finding(key, str(error))


def _expiry(key: str, tls: TlsPolicy | DestinationTls | None, now: datetime) -> Iterator[Finding]:
    """Of our own certificates; those that cannot be read are told elsewhere."""
    file = tls.certificate if tls else ""
    with suppress(OSError, ValueError):
        if file:
            end = expiry_of_pem(Path(file).read_bytes())
            over, day = end <= now, end.date().isoformat()
            if end < now + WARNING_BEFORE_END:
                text = f"{file}: has ended on {day}" if over else f"{file}: ends on {day}"
                yield Finding(f"{key}.certificate", text, is_warning=not over)


def _folder_findings(settings: Settings) -> Iterator[Finding]:
    data = settings.node.data_directory
    folders = {"node.data_directory": data, "audit.file": settings.audit_file.parent}
    if settings.log.file:
        folders["log.file"] = Path(settings.log.file).parent
    for key, folder in folders.items():
        if why := _not_writable(folder):
            yield Finding(key, f"{folder}: {why}")
    with suppress(OSError):
        free, least = disk_space(existing(data)).free_bytes, settings.disk.refuse_below_bytes
        if free < least:
            text = f"{free} bytes are free at {data}: below {least} nothing is taken (0xA700)"
            yield Finding("disk.refuse_below_bytes", text, is_warning=True)


def _not_writable(folder: Path) -> str:
    """Why nothing can be made in a folder, or the folder itself; "" when it can."""
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def _database_findings(settings: Settings) -> Iterator[Finding]:
    """That it is away hinders no start: it is waited for."""
    try:
        if not is_missing(settings.database_url):
            check_answers(settings.database_url)
    except StorageError as error:
        yield Finding("node.database_url", str(error), is_warning=True)


def _port_findings(settings: Settings) -> Iterator[Finding]:
    ours = [address for _, address in _running_ports(settings.node.data_directory)]
    for key, address in _ports(settings):
        if address in ours or is_held_by_systemd(address[1]):
            continue
        try:
            bind_listener(address).close()
        except ConfigurationError as error:
            yield Finding(key, str(error))


def _ports(settings: Settings) -> tuple[tuple[str, Address], ...]:
    http = settings.http
    also = (("http.port", (http.address, http.port)),) if http.port else ()
    return (*served(settings.receive), *also)


def _running_ports(data_directory: Path) -> tuple[tuple[str, Address], ...]:
    """Of the node that runs on a data directory, if one does."""
    try:
        return _ports(settings_now(data_directory)) if is_held(data_directory) else ()
    except (OSError, ValueError):  # who may not look there is told so of the folder
        return ()


def _peer_findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Of whomever we connect to: our certificates, theirs, and our secrets."""
    for key, each in _parts(settings):
        if isinstance(each, DestinationTls):
            yield from _tls_findings(key, each)
            yield from _expiry(key, each, now)
        elif isinstance(each, ObjectStoreSettings) and each.url:
            try:
                each.opened()
            except ObjectStoreError as error:
                yield Finding(key, str(error).removeprefix("object store: "))
        elif isinstance(each, Credentials) and not key.startswith("object_store"):
            try:
                each.authorization()
            except ConfigurationError as error:
                yield Finding(key, str(error).removeprefix("credentials: "))


def _parts(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """All that a section consists of, each with its key."""
    yield key, value
    inner: Iterable[tuple[object, object]] = ()
    if isinstance(value, BaseModel):
        inner = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, tuple):
        inner = enumerate(value)
    for name, each in inner:
        yield from _parts(each, f"{key}.{name}".lstrip("."))
