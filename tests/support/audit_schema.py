"""The rules of PS3.15 section A.5.1.1 (its schema in RELAX NG), and of A.5.3 for our events."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from xml.etree.ElementTree import Element, fromstring

_CODE = {"csd-code", "codeSystemName", "originalText"}
_CODE_OPTIONAL = {"displayName"}

_ATTRIBUTES: Mapping[str, tuple[set[str], set[str]]] = {
    "AuditMessage": (set(), set()),
    "EventIdentification": ({"EventDateTime", "EventOutcomeIndicator"}, {"EventActionCode"}),
    "EventID": (_CODE, _CODE_OPTIONAL),
    "EventTypeCode": (_CODE, _CODE_OPTIONAL),
    "EventOutcomeDescription": (set(), set()),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
    ),
    "RoleIDCode": (_CODE, _CODE_OPTIONAL),
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}),
    "AuditSourceTypeCode": ({"csd-code"}, _CODE | _CODE_OPTIONAL),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID"},
        {
            "ParticipantObjectTypeCode",
            "ParticipantObjectTypeCodeRole",
            "ParticipantObjectDataLifeCycle",
            "ParticipantObjectSensitivity",
        },
    ),
    "ParticipantObjectIDTypeCode": (_CODE, _CODE_OPTIONAL),
    "ParticipantObjectName": (set(), set()),
    "ParticipantObjectQuery": (set(), set()),
    "ParticipantObjectDetail": ({"type", "value"}, set()),
    "ParticipantObjectDescription": (set(), set()),
    "SOPClass": ({"NumberOfInstances"}, {"UID"}),
}
"""By element: the attributes that it must have, and those that it may."""

_CHILDREN = {
    "AuditMessage": r"EventIdentification (ActiveParticipant )+AuditSourceIdentification "
    r"(ParticipantObjectIdentification )*",
    "EventIdentification": r"EventID (EventTypeCode )*(EventOutcomeDescription )?",
    "ActiveParticipant": r"(RoleIDCode )*(MediaIdentifier )?",
    "AuditSourceIdentification": r"(AuditSourceTypeCode )*",
    "ParticipantObjectIdentification": r"ParticipantObjectIDTypeCode "
    r"(ParticipantObjectName |ParticipantObjectQuery )"
    r"(ParticipantObjectDetail )*(ParticipantObjectDescription )*",
    "ParticipantObjectDescription": r"(MPPS )*(Accession )*(SOPClass )*"
    r"(ParticipantObjectContainsStudy )?(Encrypted )?(Anonymized )?",
}
"""By element: its children in their order; those that are not named have none."""

_VALUES = {
    "EventActionCode": "C|R|U|D|E",
    "EventOutcomeIndicator": "0|4|8|12",
    "UserIsRequestor": "true|false|0|1",
    "NetworkAccessPointTypeCode": "[1-5]",
    "ParticipantObjectTypeCode": "[1-4]",
    "ParticipantObjectTypeCodeRole": "[1-9]|1[0-9]|2[0-6]",
    "NumberOfInstances": "[0-9]+",
    "UID": "[0-2](\\.(0|[1-9][0-9]*))*",
}

_DCM_CODES = {
    "110100": "Application Activity",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110112": "Query",
    "110113": "Security Alert",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110126": "Node Authentication",
    "110128": "Network Configuration",
    "110129": "Security Configuration",
    "110131": "Software Configuration",
    "110132": "Use of Restricted Function",
    "110150": "Application",
    "110151": "Application Launcher",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
    "110180": "Study Instance UID",
    "110181": "SOP Class UID",
    "110182": "Node ID",
}
"""PS3.16 annex D, as far as we use them."""

_ROLES = {"110100": {"110150"}, "110104": {"110152", "110153"}, "110112": {"110152", "110153"}}
"""By event: the roles that its participants must show between them (A.5.3)."""


def checked(text: str) -> Element:
    """The message, once it has passed. AssertionError says which rule it breaks."""
    assert "\n" not in text
    root = fromstring(text)  # noqa: S314 - our own
    assert root.tag == "AuditMessage"
    for element in root.iter():
        _check_element(element)
    requestors = [each for each in root.iter("ActiveParticipant") if _is_requestor(each)]
    assert len(requestors) <= 1, "several requestors (A.5.2)"
    event = root.find("EventIdentification/EventID")
    assert event is not None
    roles = {each.get("csd-code") for each in root.iter("RoleIDCode")}
    assert _ROLES.get(event.get("csd-code") or "", set()) <= roles
    return root


def _is_requestor(participant: Element) -> bool:
    return participant.get("UserIsRequestor") in ("true", "1")


def _check_element(element: Element) -> None:
    must, may = _ATTRIBUTES[element.tag]
    assert must <= set(element.attrib) <= must | may, f"attributes of {element.tag}"
    children = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(_CHILDREN.get(element.tag, ""), children), f"children of {element.tag}"
    for name, value in element.attrib.items():
        assert re.fullmatch(_VALUES.get(name, ".*"), value), f"{name}={value!r}"
    if element.get("codeSystemName") == "DCM":
        assert _DCM_CODES[element.attrib["csd-code"]] == element.get("originalText")
    if "value" in element.attrib:
        b64decode(element.attrib["value"], validate=True)
    if element.tag == "ParticipantObjectQuery":
        b64decode(element.text or "", validate=True)
    if "EventDateTime" in element.attrib:
        assert datetime.fromisoformat(element.attrib["EventDateTime"]).tzinfo is not None
