"""DICOM audit messages of events, in XML by the schema of PS3.15 section A.5.1.

Its text is RELAX NG: the order of the elements is that of the schema, `csd-code`, `codeSystemName`
and `originalText` are wanted of each code, and each object has a name or a query.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring

from dicomnode.audit.events import (
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

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2

_SECURITY_ALERT = ("110113", "Security Alert")  # PS3.16 CID 400

_APPLICATION = ("110150", "Application")  # PS3.16 CID 402
_LAUNCHER = ("110151", "Application Launcher")
_DESTINATION = ("110152", "Destination Role ID")
_SOURCE = ("110153", "Source Role ID")

_STUDY = ("110180", "Study Instance UID")  # PS3.16 CID 404
_SOP_CLASS = ("110181", "SOP Class UID")
_NODE = ("110182", "Node ID")

_PERSON, _SYSTEM = "1", "2"  # Participant Object Type Code
_PATIENT_ROLE, _REPORT_ROLE, _SECURITY_ROLE = "1", "3", "13"  # Participant Object Type Code Role
_MACHINE_NAME, _IP_ADDRESS = "1", "2"  # Network Access Point Type Code


@dataclass(frozen=True)
class Us:
    """Who records. `process`: role and process id; `user`: the person who gave a command."""

    ae_title: str
    host: str
    process: str
    user: str = ""
    site: str = ""


@dataclass(frozen=True)
class _Content:
    """What differs from event to event; codes as value and meaning of DCM."""

    event: tuple[str, str]
    action: str
    participants: tuple[Element, ...]
    objects: tuple[Element, ...] = ()
    outcome: Outcome = Outcome.SUCCESS
    kind: tuple[str, str] | None = None
    why: str = ""


def message(event: Event, at: datetime, us: Us) -> str:
    """An AuditMessage in one line, without an XML declaration."""
    content = _content(event, us)
    root = Element("AuditMessage")
    root.append(_identification(content, at))
    root.extend(content.participants)
    root.append(_source(us))
    root.extend(content.objects)
    return tostring(root, encoding="unicode")


def _content(event: Event, us: Us) -> _Content:
    match event:
        case Activity():
            return _activity(event, us)
        case Transferred():
            return _transferred(event, us)
        case Queried():
            return _queried(event, us)
        case Refused():
            return _refused(event, us)
        case Changed():
            return _changed(event, us)


def _activity(event: Activity, us: Us) -> _Content:
    kind = ("110120", "Application Start") if event.started else ("110121", "Application Stop")
    launcher = _participant(us.user or us.host, _LAUNCHER, requestor=True, host=us.host)
    ourselves = _ourselves(us, _APPLICATION, requestor=False)
    return _Content(("110100", "Application Activity"), "E", (ourselves, launcher), kind=kind)


def _transferred(event: Transferred, us: Us) -> _Content:
    ours, theirs = (_DESTINATION, _SOURCE) if event.received else (_SOURCE, _DESTINATION)
    study = _study(event.study_instance_uid, event.sop_classes)
    patient = (_patient(event.patient_id),) if event.patient_id else ()
    return _Content(
        ("110104", "DICOM Instances Transferred"),
        "C" if event.received else "R",
        (
            _ourselves(us, ours, requestor=not event.received),
            _peer(event.peer, theirs, requestor=event.received),
        ),
        (study, *patient),
        event.outcome,
        why=event.why,
    )


def _queried(event: Queried, us: Us) -> _Content:
    asked = _object(event.sop_class_uid, _SOP_CLASS, _SYSTEM, _REPORT_ROLE)
    SubElement(asked, "ParticipantObjectQuery").text = _base64(event.query)
    participants = (
        _ourselves(us, _SOURCE, requestor=True),
        _peer(event.peer, _DESTINATION, requestor=False),
    )
    return _Content(("110112", "Query"), "E", participants, (asked,), event.outcome)


def _refused(event: Refused, us: Us) -> _Content:
    said = f"{event.why}; {event.times} times so far" if event.times > 1 else event.why
    stranger = _peer(event.peer, _SOURCE, requestor=False)
    return _Content(
        _SECURITY_ALERT,
        "E",
        (_ourselves(us, _APPLICATION, requestor=True), stranger),
        (_alert(event.peer.address or event.peer.ae_title, said),),
        Outcome.MINOR_FAILURE,
        AlertKind.NODE_AUTHENTICATION.value,
        event.why,
    )


def _changed(event: Changed, us: Us) -> _Content:
    said = f"dicomnode {event.command}" + (f": {event.what}" if event.what else "")
    person = (_participant(us.user, None, requestor=True, host=us.host),) if us.user else ()
    participants = (*person, _ourselves(us, _APPLICATION, requestor=not us.user))
    if event.studies:
        objects = tuple(_study(each) for each in event.studies)
        accessed = ("110103", "DICOM Instances Accessed")
        action = "D" if event.removed else "U"
        return _Content(accessed, action, participants, objects, event.outcome, why=said)
    alert = (_alert(us.host, said),)
    return _Content(
        _SECURITY_ALERT, "E", participants, alert, event.outcome, event.kind.value, said
    )


def _identification(head: _Content, at: datetime) -> Element:
    found = Element(
        "EventIdentification",
        EventActionCode=head.action,
        EventDateTime=at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(int(head.outcome)),
    )
    _code(found, "EventID", head.event)
    if head.kind is not None:
        _code(found, "EventTypeCode", head.kind)
    if head.why:
        SubElement(found, "EventOutcomeDescription").text = _legal(head.why)
    return found


def _source(us: Us) -> Element:
    found = Element("AuditSourceIdentification", AuditSourceID=us.ae_title)
    if us.site:
        found.set("AuditEnterpriseSiteID", _legal(us.site))
    SubElement(found, "AuditSourceTypeCode", {"csd-code": "4"})  # application server process
    return found


def _ourselves(us: Us, role: tuple[str, str], *, requestor: bool) -> Element:
    found = _participant(us.process, role, requestor=requestor, host=us.host)
    found.set("AlternativeUserID", f"AETITLES={us.ae_title}")  # A.5.2.2
    return found


def _peer(peer: Peer, role: tuple[str, str], *, requestor: bool) -> Element:
    title = peer.ae_title or "unknown"
    found = _participant(title, role, requestor=requestor, host=peer.address)
    found.set("AlternativeUserID", f"AETITLES={_legal(peer.ae_title)}")
    return found


def _participant(user: str, role: tuple[str, str] | None, *, requestor: bool, host: str) -> Element:
    found = Element("ActiveParticipant", UserID=_legal(user))
    found.set("UserIsRequestor", str(requestor).lower())
    if host:
        found.set("NetworkAccessPointID", _legal(host))
        found.set("NetworkAccessPointTypeCode", _IP_ADDRESS if _is_ip(host) else _MACHINE_NAME)
    if role is not None:
        _code(found, "RoleIDCode", role)
    return found


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _study(uid: str, sop_classes: tuple[tuple[str, int], ...] = ()) -> Element:
    found = _object(uid, _STUDY, _SYSTEM, _REPORT_ROLE)
    SubElement(found, "ParticipantObjectName").text = "study"
    if sop_classes:
        described = SubElement(found, "ParticipantObjectDescription")
        for sop_class, count in sop_classes:
            SubElement(described, "SOPClass", UID=_legal(sop_class), NumberOfInstances=str(count))
    return found


def _patient(patient_id: str) -> Element:
    """A.5.2.6; without a name, which the schema wants an element for all the same."""
    found = _object(patient_id, ("2", "Patient Number"), _PERSON, _PATIENT_ROLE, "RFC-3881")
    SubElement(found, "ParticipantObjectName").text = ""
    return found


def _alert(node: str, said: str) -> Element:
    found = _object(node, _NODE, _SYSTEM, _SECURITY_ROLE)
    SubElement(found, "ParticipantObjectName").text = "node"
    SubElement(found, "ParticipantObjectDetail", type="Alert Description", value=_base64(said))
    return found


def _object(
    uid: str, kind: tuple[str, str], type_code: str, role: str, system: str = "DCM"
) -> Element:
    found = Element(
        "ParticipantObjectIdentification",
        ParticipantObjectID=_legal(uid),
        ParticipantObjectTypeCode=type_code,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(found, "ParticipantObjectIDTypeCode", kind, system)
    return found


def _code(parent: Element, name: str, coded: tuple[str, str], system: str = "DCM") -> None:
    code, meaning = coded
    attributes = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    SubElement(parent, name, attributes)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _legal(text: str) -> str:
    """What XML cannot hold, and line breaks, as question marks: a message is one line."""
    return re.sub("[\t\n\r\x7f-\x9f\u2028\u2029]", "?", _ILLEGAL.sub("?", text))
