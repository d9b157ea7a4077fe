"""Keys of the configuration that stand in environment variables: above all secrets.

`[node] database_url` is DICOMNODE_NODE__DATABASE_URL: two underscores between the parts of a key.
A text is taken as it is, anything else as TOML.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from inference.entry_errors import At, Schema, keys_of

_PREFIX = "DICOMNODE_"
_BETWEEN = "__"


def variable_of(key: str) -> str:
    """The variable of a dotted key."""
    return _PREFIX + key.replace(".", _BETWEEN).upper()


def may_hold_keys(environment: Mapping[str, str]) -> bool:
    """Whether one of the variables may be, or may mean, a key of a section."""
    return any(name.startswith(_PREFIX) and "_" in name[len(_PREFIX) :] for name in environment)


def taken(environment: Mapping[str, str], schema: Schema) -> dict[At, str]:
    """The variables that hold keys, by entry."""
    known = {variable_of(key): tuple(key.split(".")) for key in keys_of(schema)}
    return {known[name]: name for name in sorted(environment) if name in known}


def put_in(data: dict[str, Any], environment: Mapping[str, str], schema: Schema) -> None:
    """Put what the variables hold in the place of what the file says."""
    entries = keys_of(schema)
    for at, name in taken(environment, schema).items():
        table = data
        for step in map(str, at[:-1]):
            inner = table.setdefault(step, {})
            if not isinstance(inner, dict):
                break  # the file is wrong there, and is told so
            table = inner
        else:
            kind = entries[".".join(map(str, at))].get("type")
            table[str(at[-1])] = _value(environment[name], kind)


def _value(text: str, kind: object) -> object:
    if kind == "string":
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # and is told what is allowed


def unknown(environment: Mapping[str, str], schema: Schema) -> tuple[str, ...]:
    """A sentence for each variable that means to be a key and is none."""
    known = [variable_of(key) for key in keys_of(schema)]
    wrong = [
        name
        for name in sorted(environment)
        if name.startswith(_PREFIX) and _BETWEEN in name and name not in known
    ]
    return tuple(f"{name}: is unknown{_nearest(name, known)}" for name in wrong)


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f", the nearest known one is {near[0]}" if near else ""


def unread(environment: Mapping[str, str], schema: Schema) -> tuple[str, ...]:
    """A sentence for each variable that would be a key with two underscores.

    It may well be something else: Kubernetes sets such for each service.
    """
    meant = {variable_of(key).replace(_BETWEEN, "_"): variable_of(key) for key in keys_of(schema)}
    return tuple(
        f"the environment variable {name} is not read: that of the key is {meant[name]}"
        for name in sorted(environment)
        if name in meant and name != meant[name]
    )
