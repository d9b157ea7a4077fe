"""Attributes of a header that occur several times or within sequences, as pairs of name and text.

What a procedure is called stands in descriptions and in the meanings of codes, of the series itself
and of the request it answers (PS3.3 10.6, 10.16, C.7.3.1, C.7.6.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from dicomnode.decisions.image_kind.phantoms import phantom_signs
from dicomnode.decisions.instance_header import Texts
from dicomnode.dicom_files.attributes import AttributeReader

TEXTS = (
    *("AcquisitionProtocolName", "AcquisitionProtocolDescription", "RequestedContrastAgent"),
    *("RequestedProcedureDescription", "ScheduledProcedureStepDescription", "ReasonForStudy"),
    *("ReasonForTheRequestedProcedure", "ReasonForTheImagingServiceRequest", "ReasonForVisit"),
    *("FrameComments", "DerivationDescription"),
)
CODES = (
    *("ProcedureCodeSequence", "PerformedProtocolCodeSequence", "RequestedProcedureCodeSequence"),
    *("ScheduledProtocolCodeSequence", "ReasonForRequestedProcedureCodeSequence"),
    *("ReasonForPerformedProcedureCodeSequence", "ReasonForVisitCodeSequence"),
    *("SeriesDescriptionCodeSequence", "DerivationCodeSequence"),
)
REQUESTS = "RequestAttributesSequence"

CONTRAST_TEXTS = (
    *("ContrastBolusStopTime", "ContrastBolusTotalDose", "ContrastFlowDuration"),
    "ContrastBolusIngredient",
)
CONTRAST_CODES = (
    *("ContrastBolusIngredientCodeSequence", "ContrastBolusAdministrationRouteSequence"),
)
AGENTS, USAGES = "ContrastBolusAgentSequence", "ContrastBolusUsageSequence"
AGENT_TEXTS = ("ContrastBolusVolume", "ContrastBolusIngredient")
USAGE_TEXTS = ("ContrastBolusAgentAdministered", "ContrastBolusAgentDetected")

MAPPINGS, UNITS = "RealWorldValueMappingSequence", "MeasurementUnitsCodeSequence"
MAPPING_TEXTS = ("LUTLabel", "LUTExplanation")
ENERGY = "MonoenergeticEnergyEquivalent"
_ENERGY_WITHIN = (
    *("MultienergyCTCharacteristicsSequence", "MultienergyCTProcessingSequence"),
    "MultienergyCTAcquisitionSequence",
)
PHANTOM_FLAGS = {
    "QualityControlImage": "Quality Control Image",
    "QualityControlSubject": "Quality Control Subject",
}
READ = (
    *(*TEXTS, *CODES, REQUESTS, *CONTRAST_TEXTS, *CONTRAST_CODES, AGENTS, *AGENT_TEXTS, USAGES),
    *(*USAGE_TEXTS, MAPPINGS, UNITS, *MAPPING_TEXTS, ENERGY),
    *(*_ENERGY_WITHIN, "PatientName", "PatientID", "BodyPartExamined", *PHANTOM_FLAGS),
)
"""All keywords that are read here."""

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def descriptions(read: AttributeReader) -> Texts:
    """What descriptions and codes say, those of each request, and the labels of mapped values."""
    whole = (read, *read.within(REQUESTS))
    parts = [pair for each in whole for pair in _pairs(each, TEXTS, CODES)]
    mappings = (_pairs(each, MAPPING_TEXTS, ()) for each in read.within(MAPPINGS))
    return tuple(dict.fromkeys((*parts, *chain.from_iterable(mappings))))


def contrast_told(read: AttributeReader) -> Texts:
    """What else is told of contrast; an agent without a name is "an item", one without any "".

    The agents of an Enhanced CT are told with their amounts and with their use for the frame.
    """
    return (*_pairs(read, CONTRAST_TEXTS, CONTRAST_CODES), *_agents(read), *_usages(read))


def real_world_units(read: AttributeReader) -> tuple[str, ...]:
    """The unit of each Real World Value Mapping (PS3.3 C.7.6.16.2.11): code value, else meaning."""
    units = (unit for mapping in read.within(MAPPINGS) for unit in mapping.within(UNITS))
    named = (unit.text("CodeValue") or unit.text("CodeMeaning") for unit in units)
    return tuple(dict.fromkeys(filter(None, named)))


def energy_kev(read: AttributeReader) -> float | None:
    """Monoenergetic Energy Equivalent (0018,937C) in keV, wherever it stands (C.8.15.3.14)."""
    return next((kev for kev in _energies(read, depth=2) if kev is not None), None)


def told_of_phantoms(read: AttributeReader) -> tuple[str, ...]:
    """Names of the attributes that tell a phantom, never their text: a patient's name is there."""
    return phantom_signs(
        name=read.text("PatientName"),
        patient_id=read.text("PatientID"),
        body_part=read.text("BodyPartExamined"),
        flags={name: read.text(keyword) for keyword, name in PHANTOM_FLAGS.items()},
    )


def snake_case(keyword: str) -> str:
    return _WORDS.sub("_", keyword).lower()


def _energies(read: AttributeReader, depth: int) -> Iterator[float | None]:
    yield read.number(ENERGY)
    for keyword in _ENERGY_WITHIN if depth else ():
        for item in read.within(keyword):
            yield from _energies(item, depth - 1)


def _pairs(
    read: AttributeReader, texts: tuple[str, ...], codes: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    parts = [(keyword, read.text(keyword)) for keyword in texts]
    parts += ((keyword, _name(code)) for keyword in codes for code in read.within(keyword))
    return tuple((_NAMES[keyword], text) for keyword, text in parts if text)


def _agents(read: AttributeReader) -> Iterator[tuple[str, str]]:
    for agent in read.within(AGENTS):
        yield _NAMES[AGENTS], _name(agent) or ("" if agent.empty else "an item")
        yield from _pairs(agent, AGENT_TEXTS, CONTRAST_CODES)


def _usages(read: AttributeReader) -> Iterator[tuple[str, str]]:
    for usage in read.within(USAGES):
        yield from _pairs(usage, USAGE_TEXTS, ())


def _name(code: AttributeReader) -> str:
    """What a coded entry means (PS3.3 section 8.8), or its code where no meaning is written."""
    return next(filter(None, map(code.text, ("CodeMeaning", "CodeValue", "LongCodeValue"))), "")


_NAMES = {keyword: snake_case(keyword) for keyword in READ}
