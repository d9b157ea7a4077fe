"""Every key with its value and where it came from, secrets hidden: what `config show` tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dicomnode.config.reading import Configuration, schema_of_settings
from dicomnode.config.sections import FORMER
from inference.entry_errors import At, is_secret
from storage.database import shown_url

DEFAULT = "default"
HIDDEN = "(not shown)"
_DATABASE_URL = ("node", "database_url")
_METHODS = ("inference", "methods")


@dataclass(frozen=True)
class Shown:
    """A key; `origin`: "default", FILE:LINE, or the name of an environment variable."""

    at: At
    value: object
    origin: str

    @property
    def key(self) -> str:
        return ".".join(map(str, self.at))


def shown_settings(configuration: Configuration) -> tuple[Shown, ...]:
    """Every key, in the order of the sections; of lists of tables each key of each table."""
    dumped, schema = configuration.settings.model_dump(mode="json"), schema_of_settings()
    return tuple(
        Shown(at, _value(at, value, is_secret(at, schema)), _origin(at, configuration))
        for at, value in _leaves(dumped)
    )


def _leaves(value: object, at: At = ()) -> Iterator[tuple[At, object]]:
    if isinstance(value, dict) and value:
        inner = list(value.items())
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        inner = list(enumerate(value))
    else:
        yield at, value
        return
    for step, each in inner:
        yield from _leaves(each, (*at, step))


def _value(at: At, value: object, secret: bool) -> object:
    if at == _DATABASE_URL and value:
        return shown_url(str(value))
    return HIDDEN if secret and value else value


def _origin(at: At, configuration: Configuration) -> str:
    """Of a list that is whole in a variable or on a line, its entries are there too."""
    around = [at[:length] for length in range(len(at), 0, -1)]
    for each in around:
        if each in configuration.variables:
            return configuration.variables[each]
    former = [("inference", key) for key in FORMER] if at[:2] == _METHODS else []
    for each in [at, *former]:
        if each in configuration.lines:
            return f"{configuration.path}:{configuration.lines[each]}"
    return DEFAULT
