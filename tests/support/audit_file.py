"""What an audit trail holds: each message, once it has passed the rules of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from dicomnode.audit import trail
from dicomnode.audit.messages import Us
from dicomnode.audit.trail import Trail
from dicomnode.shared_file import SharedFile
from support.audit_schema import checked


def messages(file: Path) -> list[Element]:
    """All of them, checked."""
    return [checked(line.partition(" - ")[2]) for line in file.read_text().splitlines()]


def event_of(message: Element) -> str:
    """The meaning of its Event ID."""
    found = message.find("EventIdentification/EventID")
    assert found is not None
    return found.attrib["originalText"]


def outcome_of(message: Element) -> str:
    return message.find("EventIdentification").attrib["EventOutcomeIndicator"]  # type: ignore[union-attr]


def studies_of(message: Element) -> list[str]:
    """The objects that it is about, by their ids."""
    objects = message.iter("ParticipantObjectIdentification")
    return [each.attrib["ParticipantObjectID"] for each in objects]


def classes_of(message: Element) -> dict[str, int]:
    """Number of instances by SOP Class UID."""
    classes = message.iter("SOPClass")
    return {each.attrib["UID"]: int(each.attrib["NumberOfInstances"]) for each in classes}


@contextmanager
def recording(folder: Path) -> Iterator[Path]:
    """The trail of this process, in a file that is whole once the block has ended."""
    file = folder / "audit.log"
    begun = Trail(SharedFile(file, 1 << 20, 1), Us("DICOMNODE", "node", "test[1]"))
    begun.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trail, "_trail", begun)
        yield file
    begun.close()
