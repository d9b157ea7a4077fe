"""Audit messages against the rules of PS3.15 section A.5."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.audit.events import (
    RECORDED,
    Activity,
    AlertKind,
    Changed,
    Event,
    Outcome,
    Peer,
    Queried,
    Refused,
    Transferred,
)
from dicomnode.audit.messages import Us, message
from support.audit_file import event_of
from support.audit_schema import checked

NOW = datetime(2026, 11, 28, 12, 0, 0, 250000, UTC)
US = Us("DICOMNODE", "node.hospital.example", "receiver-1[42]", site="Hospital")
CT = "1.2.840.10008.5.1.4.1.1.2"
SCANNER = Peer("CT1", "192.0.2.7")
STUDY = "1.2.826.0.1.3680043.8.498.1"

EVENTS: list[Event] = [
    Activity(started=True),
    Activity(started=False),
    Transferred(True, SCANNER, STUDY, ((CT, 120),)),
    Transferred(True, SCANNER, STUDY, ((CT, 120),), patient_id="4711"),
    Transferred(False, SCANNER, STUDY, ((CT, 1),), Outcome.MINOR_FAILURE, "0xA700"),
    Queried(SCANNER, "1.2.840.10008.5.1.4.1.2.2.1", STUDY),
    Refused(SCANNER, "the calling AE title is not known", 8),
    Refused(Peer("", "2001:db8::7"), "DICOM without TLS"),
    Changed("results retract", "3 objects withdrawn", (STUDY,)),
    Changed("database move", kind=AlertKind.SOFTWARE_CONFIGURATION),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("user", ["", "alice"])
def test_each_event_makes_a_message_of_the_schema(event: Event, user: str) -> None:
    us = Us("DICOMNODE", "node.hospital.example", "command[7]", user, "Hospital")
    checked(message(event, NOW, us))


texts = st.text(max_size=40)


@given(title=texts, address=texts, why=texts, user=texts, study=texts)
def test_whatever_a_stranger_calls_itself_the_message_holds(
    title: str, address: str, why: str, user: str, study: str
) -> None:
    """No text of a peer breaks the XML, its line, or makes an element of its own."""
    us = Us("DICOMNODE", "node", "receiver-1[42]", user)
    refused = checked(message(Refused(Peer(title, address), why), NOW, us))
    assert len(list(refused.iter("ActiveParticipant"))) == 2
    came = Transferred(True, Peer(title, address), study, (), patient_id=title)
    checked(message(came, NOW, us))
    checked(message(Changed("queue cancel", why, (study,)), NOW, us))


def _participants(root: Element) -> dict[str | None, Element]:
    return {each.findtext("x") or _role(each): each for each in root.iter("ActiveParticipant")}


def _role(participant: Element) -> str | None:
    role = participant.find("RoleIDCode")
    return None if role is None else role.get("csd-code")


@pytest.mark.parametrize(
    ("host", "type_code"),
    [("cafe", "1"), ("dead.beef", "1"), ("192.0.2.7", "2"), ("fe80::1", "2"), ("ct-1", "1")],
)
def test_a_host_named_of_hexadecimal_letters_is_no_ip_address(host: str, type_code: str) -> None:
    event = Transferred(True, Peer("CT1", host), STUDY, ((CT, 120),))
    source = _participants(checked(message(event, NOW, US)))["110153"]
    assert source.get("NetworkAccessPointTypeCode") == type_code


def test_instances_that_came_name_both_sides_and_the_study_and_no_patient() -> None:
    root = checked(message(EVENTS[2], NOW, US))
    event = root.find("EventIdentification")
    assert event is not None
    assert event.get("EventActionCode") == "C"
    assert event.get("EventDateTime") == "2026-11-28T12:00:00.250+00:00"
    sides = _participants(root)
    source, destination = sides["110153"], sides["110152"]
    assert source.get("UserID") == "CT1"
    assert source.get("UserIsRequestor") == "true"
    assert source.get("NetworkAccessPointID") == "192.0.2.7"
    assert source.get("NetworkAccessPointTypeCode") == "2"
    assert destination.get("UserID") == "receiver-1[42]"
    assert destination.get("AlternativeUserID") == "AETITLES=DICOMNODE"
    (study,) = root.iter("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == STUDY
    assert [each.attrib for each in study.iter("SOPClass")] == [
        {"UID": CT, "NumberOfInstances": "120"}
    ]


def test_the_patient_is_named_only_where_the_event_does() -> None:
    root = checked(message(EVENTS[3], NOW, US))
    _study, patient = root.iter("ParticipantObjectIdentification")
    assert patient.get("ParticipantObjectID") == "4711"
    code = patient.find("ParticipantObjectIDTypeCode")
    assert code is not None
    assert (code.get("csd-code"), code.get("codeSystemName")) == ("2", "RFC-3881")


def test_a_refusal_is_a_security_alert_of_node_authentication() -> None:
    root = checked(message(EVENTS[6], NOW, US))
    kind = root.find("EventIdentification/EventTypeCode")
    detail = next(root.iter("ParticipantObjectDetail"))
    assert kind is not None
    assert kind.get("originalText") == "Node Authentication"
    said = b64decode(detail.attrib["value"]).decode()
    assert said == "the calling AE title is not known; 8 times so far"


def test_a_command_names_the_person_and_the_studies() -> None:
    us = Us("DICOMNODE", "node", "command[7]", "alice")
    root = checked(message(EVENTS[8], NOW, us))
    person = next(root.iter("ActiveParticipant"))
    assert (person.get("UserID"), person.get("UserIsRequestor")) == ("alice", "true")
    (study,) = root.iter("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == STUDY


def test_each_event_is_in_the_table_for_the_conformance_statement() -> None:
    made = {event_of(checked(message(event, NOW, US))) for event in EVENTS}
    assert made == {event for event, _when in RECORDED}
