"""What the body of a STOW-RS response says of each instance (PS3.18 section 10.5.3, annex I).

The Store Instances Response Module, as DICOM JSON (PS3.18 annex F) or Native DICOM XML (PS3.19
annex A), whatever the header calls it. It comes from the network: anything may be in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_SOP_INSTANCE_UID = "00080018"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"
_OTHER_FAILURES_SEQUENCE = "0008119A"
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_WARNING_REASON = "00081196"
_FAILURE_REASON = "00081197"

_DEEPEST = 8  # items within items; the module has one


@dataclass(frozen=True)
class StoreReport:
    """SOP Instance UIDs with Warning Reason (0008,1196) or Failure Reason (0008,1197), 0 for none.

    A failed instance whose UID could not be read there stands under "".
    """

    stored: Mapping[str, int]
    failed: Mapping[str, int]


def read_report(body: bytes) -> StoreReport | None:
    """What stands in the body; None: it is no such response."""
    data_set = _from_json(body) or _from_xml(body)
    if data_set is None:
        return None
    stored = _reasons(data_set, _REFERENCED_SOP_SEQUENCE, _WARNING_REASON)
    failed = _reasons(data_set, _OTHER_FAILURES_SEQUENCE, _FAILURE_REASON)
    failed |= _reasons(data_set, _FAILED_SOP_SEQUENCE, _FAILURE_REASON)
    return StoreReport(stored, failed) if stored or failed else None


def read_instances(body: bytes) -> frozenset[str]:
    """The SOP Instance UIDs that a query for instances returned."""
    found = read_matches(body, {"uid": _SOP_INSTANCE_UID})
    return frozenset(each["uid"] for each in found)


def read_matches(body: bytes, tags: Mapping[str, str]) -> list[dict[str, str]]:
    """What a query returned, of each match as `named_values`."""
    return [named_values(item, tags) for item in read_items(body)]


def read_items(body: bytes) -> list[Mapping[str, Any]]:
    """What a query returned, in JSON (PS3.18 section 10.6): an object for each match."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def named_values(item: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str]:
    """The first value of each tag, "" for none, by the names of `tags`."""
    return {name: _first(item, tag) for name, tag in tags.items()}


def _reasons(data_set: Mapping[str, Any], sequence: str, reason: str) -> dict[str, int]:
    items = [item for item in _values(data_set, sequence) if isinstance(item, dict)]
    return {
        _first(item, _REFERENCED_SOP_INSTANCE_UID): _number(_first(item, reason)) for item in items
    }


def _values(item: Mapping[str, Any], tag: str) -> list[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first(item: Mapping[str, Any], tag: str) -> str:
    return next((str(value).strip("\0 ") for value in _values(item, tag)), "")


def _number(text: str) -> int:
    """A US; 0 for what is none."""
    return int(text) if text.isdecimal() and len(text) <= 5 and int(text) <= 0xFFFF else 0


def _from_json(body: bytes) -> dict[str, Any] | None:
    """Some servers put the one data set into a list, as for a query."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    each = found[0] if isinstance(found, list) and found else found
    return each if isinstance(each, dict) else None


class _NoDoctype(ElementTree.TreeBuilder):
    """Without a document type there are no entities, which could grow without end."""

    def doctype(self, *_names: str | None) -> None:
        raise ValueError("a document type is not allowed here")


def _from_xml(body: bytes) -> dict[str, Any] | None:
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314 - see the class
        parser.feed(body)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    return _as_json(root) if _name(root) == "NativeDicomModel" else None


def _as_json(item: ElementTree.Element, depth: int = 0) -> dict[str, Any]:
    """The same data set as JSON has it."""
    return {
        str(each.get("tag")).upper(): {"Value": list(_xml_values(each, depth))}
        for each in item
        if _name(each) == "DicomAttribute"
    }


def _xml_values(element: ElementTree.Element, depth: int) -> Iterator[Any]:
    for each in element:
        if _name(each) == "Item" and depth < _DEEPEST:
            yield _as_json(each, depth + 1)
        elif _name(each) == "Value":
            yield each.text or ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]  # with or without the namespace
