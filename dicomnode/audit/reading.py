"""What the trail holds, for whoever asks. A line that is damaged is counted, and passed over."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from dicomnode.shared_file import full_files

_BEFORE_XML = " - "


@dataclass(frozen=True)
class Entry:
    """One message. `who`: the participants by id, the requestor first; `about`: the objects."""

    at: datetime
    event: str
    kind: str
    action: str
    outcome: str
    who: tuple[str, ...]
    about: tuple[str, ...]
    what: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat()}


def files_of(file: Path) -> list[Path]:
    """Of a trail, oldest first."""
    full = [path for _number, path in full_files(file)]
    return [*full, *([file] if file.exists() else [])]


def entries(file: Path) -> Iterator[Entry | None]:
    """All of them, oldest first; None for a line that cannot be read.

    Raises:
        OSError
    """
    for path in files_of(file):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield _entry(line)


def _entry(line: str) -> Entry | None:
    try:
        return _of_message(fromstring(line.partition(_BEFORE_XML)[2]))  # noqa: S314 - our own file
    except (ParseError, KeyError, ValueError, AttributeError):
        return None


def _of_message(root: Element) -> Entry:
    """
    Raises:
        KeyError, ValueError, AttributeError: it is no message of ours.
    """
    event = root.find("EventIdentification")
    if event is None:
        raise ValueError("no event")
    participants = sorted(
        root.iter("ActiveParticipant"), key=lambda each: each.get("UserIsRequestor") != "true"
    )
    objects = list(root.iter("ParticipantObjectIdentification"))
    return Entry(
        at=datetime.fromisoformat(event.attrib["EventDateTime"]),
        event=_meaning(event, "EventID"),
        kind=_meaning(event, "EventTypeCode"),
        action=event.get("EventActionCode", ""),
        outcome=event.attrib["EventOutcomeIndicator"],
        who=tuple(each.attrib["UserID"] for each in participants),
        about=tuple(each.attrib["ParticipantObjectID"] for each in objects),
        what=_told(event, objects),
    )


def _meaning(event: Element, name: str) -> str:
    code = event.find(name)
    return "" if code is None else code.attrib["originalText"]


def _told(event: Element, objects: list[Element]) -> str:
    """A sentence, or else how many instances of which class."""
    for each in objects:
        for detail in each.iter("ParticipantObjectDetail"):
            return b64decode(detail.attrib["value"]).decode(errors="replace")
    instances = [
        f"{counted.attrib['NumberOfInstances']} of {counted.get('UID', '?')}"
        for each in objects
        for counted in each.iter("SOPClass")
    ]
    described = event.findtext("EventOutcomeDescription") or ""
    return ", ".join([*instances, *([described] if described else [])])
