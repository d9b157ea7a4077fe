"""One normalised header per study, from source headers that may be damaged, and may differ.

Who the patient is comes whole from one instance, of those whose words are the commonest: the name
of one is never put beside the Patient ID of another. Result objects take patient, study, issuers,
time zone and institution from here. Values are decoded and written in UTF-8 (ISO_IR 192), so that
every name survives. Attributes of type 2 are there, empty where nothing valid was found. Each
repair is recorded, without patient identity.
"""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom import config
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomnode.results.common import values
from dicomnode.results.common.character_sets import CharacterSet, character_set_of, raw_value
from dicomnode.results.common.uids import derived_uid

# PS3.3 C.7.1.1 Patient, C.7.2.1 General Study, C.7.2.2 Patient Study, C.12.1 SOP Common
IDENTITY: Mapping[str, values.Rule] = {
    "PatientName": values.person_name,
    "PatientID": values.identifier(64),
    "IssuerOfPatientID": values.identifier(64),
    "PatientBirthDate": values.date,
    "PatientSex": values.one_of("M", "F", "O"),
    "PatientAge": values.age,
    "PatientIdentityRemoved": values.one_of("YES", "NO"),
    "DeidentificationMethod": values.description(64),
    "StudyInstanceUID": values.uid,
    "StudyDate": values.date,
    "StudyTime": values.time,
    "StudyID": values.identifier(16),
    "AccessionNumber": values.identifier(16),
    "ReferringPhysicianName": values.person_name,
    "StudyDescription": values.description(64),
    "TimezoneOffsetFromUTC": values.time_zone,
    "InstitutionName": values.description(64),
}
_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_ENTITY: Mapping[str, values.Rule] = {  # HL7v2 Hierarchic Designator Macro, PS3.3 section 10.14
    "LocalNamespaceEntityID": values.identifier(1024),
    "UniversalEntityID": values.identifier(1024),
    "UniversalEntityIDType": values.one_of("DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"),
}
_CODE: Mapping[str, values.Rule] = {  # Code Sequence Macro, PS3.3 section 8.8
    "CodeValue": values.identifier(16),
    "CodingSchemeDesignator": values.identifier(16),
    "CodingSchemeVersion": values.identifier(16),
    "CodeMeaning": values.description(64),
}
_SEQUENCES: Mapping[str, tuple[Mapping[str, values.Rule], tuple[str, ...]]] = {
    # keyword: what an item may hold, and what it must hold to be carried over
    "IssuerOfPatientIDQualifiersSequence": (_ENTITY, ()),
    "IssuerOfAccessionNumberSequence": (_ENTITY, ()),
    "DeidentificationMethodCodeSequence": (
        _CODE,
        ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    ),
}
_EQUIPMENT: Mapping[str, values.Rule] = {  # Contributing Equipment Sequence, PS3.3 C.12.1
    "Manufacturer": values.description(64),
    "InstitutionName": values.description(64),
    "StationName": values.description(16),
    "ManufacturerModelName": values.description(64),
    "DeviceSerialNumber": values.identifier(64),
    "SoftwareVersions": values.description(64),
}
READ_OF_SOURCES = (
    "SpecificCharacterSet",
    *IDENTITY,
    *_SEQUENCES,
    *_EQUIPMENT,
    "FrameOfReferenceUID",
)
"""The attributes of sources that are read here."""

_UNREADABLE = (
    *(ValueError, TypeError, KeyError, AttributeError, LookupError),
    *(NotImplementedError, OSError, EOFError, struct.error),
)


@dataclass(frozen=True, eq=False)
class StudyHeader:
    """What all result objects of one series share.

    `identity`: patient and study attributes, ISO_IR 192. `equipment`: the scanner.
    `repairs`: one sentence for each, without values, so that they may be logged.
    """

    identity: Dataset
    equipment: Dataset
    frame_of_reference_uid: str
    repairs: tuple[str, ...]

    @property
    def study_instance_uid(self) -> str:
        return str(self.identity.StudyInstanceUID)

    def write_into(self, data_set: Dataset) -> None:
        """Set the identity in a result object, in place of what is there."""
        for element in self.identity:
            data_set.add(element)


_PATIENT = frozenset(
    {
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("PatientAge", "PatientIdentityRemoved", "DeidentificationMethod"),
    }
)
"""Taken from one instance alone, even where that has no value and another has."""

_WHOSE = (
    *("PatientID", "StudyInstanceUID", "PatientName", "IssuerOfPatientID"),
    *("PatientBirthDate", "PatientSex", "AccessionNumber"),
)
_WHOSE_TAGS = tuple(tag_for_keyword(each) or 0 for each in ("SpecificCharacterSet", *_WHOSE))


def normalised_header(sources: Sequence[Dataset]) -> StudyHeader:
    """The header of the study: from the first of the sources whose patient, study and order are
    told by most; what else that lacks, from the first other one of its patient and study.

    Bad values never raise. A Study Instance UID that no source has is derived from the first
    source, so that the result can be stored at all.

    Raises:
        ValueError: there are no sources.
    """
    if not sources:
        raise ValueError("no sources: a result has at least one source instance")
    reader = _Reader(_commonest_first(sources))
    identity = reader.attributes(IDENTITY)
    for keyword, (rules, needed) in _SEQUENCES.items():
        items = reader.items(keyword, rules, needed)
        if items:
            identity.add(_element(keyword, items))
    _complete(identity, reader)
    equipment = reader.attributes(_EQUIPMENT)
    frame_of_reference = reader.value("FrameOfReferenceUID", values.uid)
    return StudyHeader(
        identity, equipment, frame_of_reference, tuple(dict.fromkeys(reader.repairs))
    )


def _commonest_first(sources: Sequence[Dataset]) -> list[Dataset]:
    """That source, then the others of its patient and study in their order.

    Of identities that are as common the one that says more counts, then the first.
    """
    raw = [tuple(raw_value(source, tag) for tag in _WHOSE_TAGS) for source in sources]
    read = {key: _whose(source) for key, source in dict(zip(raw, sources, strict=True)).items()}
    parts = [read[key] for key in raw]
    count = Counter(parts)
    best = max(range(len(parts)), key=lambda at: (count[parts[at]], sum(map(bool, parts[at])), -at))
    others = (
        source
        for at, source in enumerate(sources)
        if at != best and parts[at][:2] == parts[best][:2]
    )
    return [sources[best], *others]


def _whose(source: Dataset) -> tuple[str, ...]:
    """Its values of `_WHOSE`, as they would be written."""
    reader = _Reader([source])
    return tuple(reader.value(keyword, IDENTITY[keyword]) for keyword in _WHOSE)


def _complete(identity: Dataset, reader: _Reader) -> None:
    identity.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TYPE_2:
        if keyword not in identity:
            identity.add(_element(keyword, ""))
    if "StudyInstanceUID" not in identity:
        series = reader.value("SeriesInstanceUID", values.uid)
        instance = reader.value("SOPInstanceUID", values.uid)
        identity.StudyInstanceUID = derived_uid("study", series, instance)
        reader.repairs.append("Study Instance UID: absent: derived from the series")
    method = (
        "DeidentificationMethod" in identity or "DeidentificationMethodCodeSequence" in identity
    )
    if identity.get("PatientIdentityRemoved") == "YES" and not method:
        identity.DeidentificationMethod = "unknown"  # type 1C
        reader.repairs.append("De-identification Method: absent: set to unknown")


def _element(keyword: str, value: object) -> DataElement:
    """An element whose value has been checked here: pydicom need not warn of it again."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    return DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)


class _Reader:
    """Reads attributes of several sources by rules, and notes what was wrong with them."""

    def __init__(self, sources: Sequence[Dataset]) -> None:
        self._sources = sources
        self._character_sets: dict[int, CharacterSet] = {}
        self.repairs: list[str] = []

    def attributes(self, rules: Mapping[str, values.Rule]) -> Dataset:
        found = Dataset()
        for keyword, rule in rules.items():
            value = self.value(keyword, rule)
            if value:
                found.add(_element(keyword, value))
        return found

    def value(self, keyword: str, rule: values.Rule) -> str:
        """The first valid value of the sources, "" where there is none."""
        sources = self._sources[:1] if keyword in _PATIENT else self._sources
        for index, source in enumerate(sources):
            value = self._read(source, self._character_set(index), keyword, rule)
            if value:
                return value
        return ""

    def items(
        self, keyword: str, rules: Mapping[str, values.Rule], needed: tuple[str, ...]
    ) -> list[Dataset]:
        """The items of a sequence of the first source, each with the attributes of `rules`."""
        items = self._items_of(self._sources[0], keyword)
        read = [self._item(item, rules) for item in items]
        kept = [item for item in read if len(item) and all(k in item for k in needed)]
        if len(kept) < len(items):
            self.repairs.append(
                f"{dictionary_description(keyword)}: an item without content left out"
            )
        return kept

    def _item(self, item: Dataset, rules: Mapping[str, values.Rule]) -> Dataset:
        character_set = character_set_of(item, self._character_set(0))
        read = Dataset()
        for keyword, rule in rules.items():
            value = self._read(item, character_set, keyword, rule)
            if value:
                read.add(_element(keyword, value))
        return read

    def _items_of(self, source: Dataset, keyword: str) -> list[Dataset]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return [item for item in source.get(keyword) or () if isinstance(item, Dataset)]
        except _UNREADABLE:
            self.repairs.append(f"{dictionary_description(keyword)}: cannot be read: left out")
            return []

    def _read(
        self, source: Dataset, character_set: CharacterSet, keyword: str, rule: values.Rule
    ) -> str:
        tag = tag_for_keyword(keyword) or 0
        raw = raw_value(source, tag)
        fits = True
        if isinstance(raw, bytes):
            raw, fits = character_set.decode(raw, dictionary_VR(tag))
        text = (raw or "").strip(" \0")
        if not text:
            return ""
        value, problem = rule(text)
        if not fits:
            self._repair(keyword, "bytes outside the character set: decoded by guess")
        if problem:
            self._repair(keyword, problem)
        return value

    def _repair(self, keyword: str, what: str) -> None:
        self.repairs.append(f"{dictionary_description(keyword)}: {what}")

    def _character_set(self, index: int) -> CharacterSet:
        if index not in self._character_sets:
            found = character_set_of(self._sources[index])
            self._character_sets[index] = found
            self.repairs.extend(found.problems)
        return self._character_sets[index]
