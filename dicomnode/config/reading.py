"""Reads the configuration file: TOML, checked, and its paths made whole.

An unknown key or a value out of range is refused with its name and line.
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from dicomnode.config.environment import may_hold_keys, put_in, taken, unknown, unread
from dicomnode.config.lines import line_of, lines_of
from dicomnode.config.sections import FORMER
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError
from inference.entry_errors import At, Schema, placed_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Configuration:
    """The settings, and where each of them stands: on a line, or in an environment variable."""

    settings: Settings
    path: Path
    lines: Mapping[At, int]
    variables: Mapping[At, str]

    def place_of(self, at: At) -> str:
        """Where an entry comes from, or the innermost table around it; "" for none of both."""
        return _place(at, self.lines, self.variables)


def load_settings(path: Path) -> Settings:
    """As `read_configuration`; what a former key or a variable is taken for is logged where
    logging is set up: no warning on every look at the queue.

    Raises:
        ConfigurationError
    """
    found = read_configuration(path)
    for key in FORMER:
        if ("inference", key) in found.lines:
            log.info("%s: [inference] %s is replaced by [[inference.methods]] bundle", path, key)
    if may_hold_keys(os.environ):
        for each in unread(os.environ, schema_of_settings()):
            log.info("%s", each)
    return found.settings


@cache
def schema_of_settings() -> Schema:
    """Every key with what is allowed; made once and where it is needed, as that takes a
    twentieth of a second."""
    return Settings.model_json_schema()


def read_configuration(path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read and check a configuration file; environment variables take the place of its keys.

    A relative `data_directory` or folder of a bundle is taken from the folder of the file.

    Raises:
        ConfigurationError: the file cannot be read, is no TOML, or a key or variable is wrong; all
            are named, with their lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # of UTF-8, of TOML, of a huge number
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path}: {why}") from error
    lines = lines_of(text)
    variables, wrong = dict[At, str](), list[str]()
    if may_hold_keys(environment):
        schema = schema_of_settings()
        variables, wrong = taken(environment, schema), list(unknown(environment, schema))
        put_in(data, environment, schema)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        for at, sentence in placed_problems(error, schema_of_settings()):
            place = _place(at, lines, variables)
            wrong.append(f"{sentence} ({place})" if place else sentence)
    if wrong:
        told = "\n".join(f"  {each}" for each in wrong)
        raise ConfigurationError(f"{path}: {how_many(len(wrong), 'problem')}\n{told}") from None
    return Configuration(_anchored(settings, path.absolute().parent), path, lines, variables)


def _place(at: At, lines: Mapping[At, int], variables: Mapping[At, str]) -> str:
    held = (variables[at[:n]] for n in range(len(at), 0, -1) if at[:n] in variables)
    line = line_of(at, lines)
    return next(held, "" if line is None else f"line {line}")


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
    destinations = tuple(each.anchored(folder) for each in settings.destinations)
    query = settings.query.anchored(folder)
    peers = tuple(each.anchored(folder) for each in settings.peers)
    changed = {"node": node, "inference": inference, "receive": receive, "query": query}
    kept = {"log": settings.log.anchored(folder), "audit": settings.audit.anchored(folder)}
    kept |= {"object_store": settings.object_store.anchored(folder)}
    kept |= {"http": settings.http.anchored(folder), "alerts": settings.alerts.anchored(folder)}
    told = {"destinations": destinations, "peers": peers}
    return settings.model_copy(update=changed | kept | told)
