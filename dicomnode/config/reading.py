"""Reads the configuration file: TOML, checked, and its paths made whole.

An unknown key or a value out of range is refused with its name.
"""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from dicomnode.config.destinations import AnyDestination, Destination, Peer, WebDestination
from dicomnode.config.sections import FORMER
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from inference.entry_errors import problems_of

log = logging.getLogger(__name__)


def load_settings(path: Path) -> Settings:
    """Read and check a configuration file.

    A relative `data_directory` or folder of a bundle is taken from the folder of the file. What
    replaces a former key is logged where logging is set up: no warning on every look at the queue.

    Raises:
        ConfigurationError: the file cannot be read, is no TOML, or a key is wrong; all are named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        wrong = problems_of(error, Settings.model_json_schema())
        text = "\n".join(f"  {each}" for each in wrong)
        raise ConfigurationError(f"{path}: {len(wrong)} problem(s)\n{text}") from None
    for key in FORMER.keys() & data.get("inference", {}).keys():
        log.info("%s: [inference] %s is replaced by [[inference.methods]] bundle", path, key)
    return _anchored(settings, path.absolute().parent)


def kept_settings(path: Path) -> Settings:
    """What `holding.keep_settings` wrote, for the processes of a node."""
    return Settings.model_validate_json(path.read_text(encoding="utf-8"))


def _anchored(settings: Settings, folder: Path) -> Settings:
    node = settings.node.model_copy(
        update={"data_directory": folder / settings.node.data_directory}
    )
    methods = tuple(
        each.model_copy(update={"bundle": str(folder / each.bundle)})
        for each in settings.inference.methods
    )
    lungs = settings.inference.lungs_bundle
    inference = settings.inference.model_copy(
        update={"methods": methods, "lungs_bundle": str(folder / lungs) if lungs else ""}
    )
    receive = settings.receive.model_copy(update={"tls": settings.receive.tls.anchored(folder)})
    destinations = tuple(_destination_anchored(each, folder) for each in settings.destinations)
    asked = settings.query.peer and _peer_anchored(settings.query.peer, folder)
    query = settings.query.model_copy(update={"peer": asked})
    peers = tuple(_peer_anchored(each, folder) for each in settings.peers)
    changed = {"node": node, "inference": inference, "receive": receive, "query": query}
    return settings.model_copy(update=changed | {"destinations": destinations, "peers": peers})


def _destination_anchored(each: AnyDestination, folder: Path) -> AnyDestination:
    if isinstance(each, WebDestination):
        credentials = each.credentials and each.credentials.anchored(folder)
        return _peer_anchored(each.model_copy(update={"credentials": credentials}), folder)
    return _peer_anchored(each, folder)


_P = TypeVar("_P", Peer, Destination, WebDestination)


def _peer_anchored(peer: _P, folder: Path) -> _P:
    return peer.model_copy(update={"tls": peer.tls and peer.tls.anchored(folder)})
