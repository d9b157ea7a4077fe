"""What is wrong with the entries of a file, one sentence each, from what pydantic found.

pydantic's own texts are for programmers; these are for who writes the file. What is allowed is read
from the model's JSON Schema, so it stands in one place: at the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

UNITS = {"mm2": "mm²"} | {
    each: each for each in ("seconds", "days", "mm", "ml", "bytes", "degrees", "HU")
}
"""By how a key ends; `json_schema_extra={"unit": …}` says it where the key does not."""
SECRET: dict[str, Any] = {"writeOnly": True}
"""`json_schema_extra` of an entry that is never shown: it may hold a password."""
_KINDS = {"object": "a table", "boolean": "true or false"}
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_LONGEST_SHOWN = 60  # characters of a text

FILE = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""`__pydantic_config__` of a record that stands in a file."""

Schema = Mapping[str, Any]
At = tuple[str | int, ...]
"""An entry of a file: keys of tables, and places in lists from 0 on."""

T = TypeVar("T")


def read_entries(
    kind: type[T], table: Mapping[str, Any], strict: bool = True
) -> T | tuple[str, ...]:
    """The record of a file's table, or what is wrong with it, a sentence each.

    As strict as JSON allows: a list is taken for a tuple, a text for an enumeration, a whole number
    for a float; nothing else is taken for another. Not strict, where all is text: text that is a
    number for one.
    """
    adapter = TypeAdapter(kind)
    try:
        return adapter.validate_json(json.dumps(table, default=str), strict=strict)
    except ValidationError as error:
        return problems_of(error, adapter.json_schema())


def problems_of(error: ValidationError, schema: Schema) -> tuple[str, ...]:
    """A sentence for every wrong entry, in the order in which pydantic found them.

    Each names the entry, says what was given (never what may be a secret), and what is allowed with
    its unit. `schema`: the JSON Schema of the model that refused.
    """
    return tuple(text for _, text in placed_problems(error, schema))


def placed_problems(error: ValidationError, schema: Schema) -> tuple[tuple[At, str], ...]:
    """As `problems_of`, each with the place of its entry in the file."""
    found = error.errors(include_url=False)
    return tuple((_as_written(each["loc"], schema), _sentence(each, schema)) for each in found)


def _sentence(error: ErrorDetails, root: Schema) -> str:
    at = error["loc"]
    name = ".".join(map(str, _as_written(at, root)))
    if error["type"] in _UNKNOWN:
        return f"{name}: is unknown{_nearest(at, root)}"
    if error["type"] in ("value_error", "assertion_error"):
        text = str(error.get("ctx", {}).get("error", ""))  # our own sentence
        return f"{name}: {text}" if name else text
    entry = _at(root, at)
    allowed = _allowed(root, entry, _unit(at, entry))
    if error["type"] == "missing":
        return f"{name}: is missing and must be {allowed}"
    given = "what is not shown here" if entry.get("writeOnly") else _shown(error["input"])
    return f"{name}: {given} is given, but it must be {allowed}"


def _nearest(at: Sequence[str | int], root: Schema) -> str:
    """The same key in another table is nearer than a similar one in this."""
    if elsewhere := [key for key in keys_of(root) if key.rpartition(".")[2] == at[-1]]:
        return f", the nearest known one is {' or '.join(elsewhere)}"
    known = list(_at(root, at[:-1]).get("properties", {}))
    near = get_close_matches(str(at[-1]), known, n=1)
    if near:
        written = _as_written(at[:-1], root)
        return f", the nearest known one is {'.'.join(map(str, (*written, *near)))}"
    return f", known are {', '.join(known)}" if known else ""


def keys_of(root: Schema) -> dict[str, Schema]:
    """The schema of every entry that is no table, by its dotted key; what lists hold has none."""
    found: dict[str, Schema] = {}
    open_tables = [("", _resolved(root, root))]
    for name, table in open_tables:
        for key, inner in table.get("properties", {}).items():
            entry, whole = _resolved(inner, root), f"{name}.{key}".lstrip(".")
            if "properties" in entry:
                open_tables.append((whole, entry))
            else:
                found[whole] = entry
    return found


def _as_written(at: Sequence[str | int], root: Schema) -> At:
    """The steps as the file has them: without the names of the classes that a union chose."""
    return tuple(step for i, step in enumerate(at) if step not in _choices(_at(root, at[:i])))


def _choices(schema: Schema) -> dict[str | int, Schema]:
    """The classes of a union that is told apart, each tagged with its name."""
    return {e["$ref"].rpartition("/")[2]: e for e in schema.get("oneOf", ())}


def _at(root: Schema, at: Sequence[str | int]) -> Schema:
    """The schema of the entry; empty where there is none."""
    found = _resolved(root, root)
    for step in at:
        chosen = _choices(found).get(step)
        found = _inner(found, step, root) if chosen is None else _resolved(chosen, root)
    return found


def _inner(table: Schema, step: str | int, root: Schema) -> Schema:
    if isinstance(step, int):
        each: Sequence[Schema] = table.get("prefixItems", ())
        inner = each[step] if step < len(each) else table.get("items", {})
    else:
        inner = table.get("properties", {}).get(step, {})
    return _resolved(inner, root)


def is_secret(at: Sequence[str | int], root: Schema) -> bool:
    """Whether an entry, as the file has it, or a table around it may hold a secret."""
    found = [_resolved(root, root)]
    for step in at:
        chosen = [
            _resolved(each, root)
            for table in found
            for each in (_choices(table).values() or [table])
        ]
        found = [_inner(table, step, root) for table in chosen]
        if any(each.get("writeOnly") for each in found):
            return True
    return False


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Behind references; of `X | None` the first half."""
    while True:
        if "$ref" in schema:
            about = {key: value for key, value in schema.items() if key != "$ref"}
            schema = about | root["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            about = {key: value for key, value in schema.items() if key != "anyOf"}
            schema = about | next(e for e in schema["anyOf"] if e.get("type") != "null")
        else:
            return schema


def _allowed(root: Schema, entry: Schema, unit: str) -> str:
    kind = "object" if "oneOf" in entry else entry.get("type")
    if kind in _KINDS:
        return _KINDS[kind]
    values = entry.get("enum", [entry["const"]] if "const" in entry else [])
    if values:
        return ("one of " if len(values) > 1 else "") + ", ".join(map(repr, values))
    if "description" in entry:
        return str(entry["description"])
    if kind in ("integer", "number"):
        return _number("a whole number" if kind == "integer" else "a number", entry, unit)
    if kind == "array":
        return _list(root, entry, unit)
    return f"text{_length(entry, 'characters')}" if kind == "string" else "something else"


def _number(noun: str, entry: Schema, unit: str) -> str:
    low, high = entry.get("minimum"), entry.get("maximum")
    unit = f" {unit}" if unit else ""
    above, below = entry.get("exclusiveMinimum"), entry.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high:.10g}{unit}"
    limits = [
        f"{word} {limit:.10g}"
        for word, limit in (
            *(("at least", low), ("more than", above), ("at most", high), ("less than", below)),
        )
        if limit is not None
    ]
    return f"{noun} of {' and '.join(limits)}{unit}" if limits else noun + (unit and f" of{unit}")


def _list(root: Schema, entry: Schema, unit: str) -> str:
    each = [_allowed(root, _resolved(e, root), unit) for e in entry.get("prefixItems", ())]
    if each:
        return f"a list of {len(each)} values: " + ", ".join(each)
    inner = _resolved(entry.get("items", {}), root)
    return f"a list{_length(entry, 'values', 'Items')}, each {_allowed(root, inner, unit)}"


def _length(entry: Schema, noun: str, kind: str = "Length") -> str:
    low, high = entry.get(f"min{kind}", 0), entry.get(f"max{kind}")
    if high is not None:
        return f" of {low} to {high} {noun}"
    return f" of at least {low} {noun}" if low > 1 else " that is not empty" if low else ""


def _unit(at: Sequence[str | int], entry: Schema) -> str:
    name = next((step for step in reversed(at) if isinstance(step, str)), "")
    return str(entry.get("unit") or UNITS.get(name.rpartition("_")[2], ""))


def _shown(value: object) -> str:
    """As it may be shown: no more than a kind for what holds other values or looks like a URL."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | None):
        return "nothing" if value is None else repr(value)
    if isinstance(value, str):
        if "://" in value:  # a URL may hold a password
            return "a URL"
        return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
    if isinstance(value, date | time):
        return "a date or a time"
    return f"a list of {len(value)}" if isinstance(value, list | tuple) else "a table"
