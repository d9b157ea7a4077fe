"""The annex on the objects that are made: modules and attributes, templates, codes.

What an object has is read from one that was built; which module an attribute belongs to, from the
tables of PS3.3 that come with highdicom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from highdicom import _standard_utils
from pydicom.datadict import dictionary_description, dictionary_has_tag, keyword_dict
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomnode.config.settings import Settings
from dicomnode.conformance.contexts import heading
from dicomnode.conformance.made import MadeObjects, words_of
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.patient_attributes import PatientAttributes
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import IDENTITY
from dicomnode.results.common.uids import uid_name
from inference.bundles.bundle import load_card
from inference.evaluation.report.document import Block, Paragraph, Table

_COLUMNS = ("Module", "Attribute", "Tag", "VR", "Value", "Presence", "Source")


def annexes(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    """8."""
    yield heading("8 Annexes")
    yield heading("8.1 IOD contents")
    yield heading("8.1.1 Created SOP instances")
    yield Paragraph(
        "ALWAYS: the attribute has a value in each object; EMPTY: it is there without one where"
        " nothing is known. Source CT: from the analysed series, as most of its slices have it;"
        " CONFIG: from the configuration; AUTO: made by this program. The values are those of an"
        " object built with the present configuration. No private attribute is written."
    )
    for number, each in enumerate(made.all, start=1):
        yield heading(f"8.1.1.{number} {words_of(each)}: {uid_name(str(each.sop_class_uid))}")
        yield Table(_COLUMNS, tuple(_attributes(each, settings)))
    yield heading("8.1.2 Usage of attributes of received instances")
    yield Paragraph("Read to decide on a series, to compute, or to be copied into results:")
    yield Table(("Attribute", "Tag", "Copied into results"), tuple(_used()))
    yield heading("8.1.3 Attribute mapping")
    yield Paragraph("None: no modality worklist or performed procedure step is used.")
    yield heading("8.1.4 Coerced or modified fields")
    yield Paragraph("None: received instances are kept as they came.")
    yield heading("8.2 Data dictionary of private attributes")
    yield Paragraph("None.")
    yield heading("8.3 Coded terminology and templates")
    yield Table(("Template", "Mapping resource", "Object"), tuple(_templates(made.all)))
    codes = {*_codes_of_objects(made.all), *_codes_of_bundles(settings)}
    yield Table(("Code", "Coding scheme", "Meaning"), tuple(sorted(codes, key=_by_scheme)))
    yield heading("8.4 Grayscale image consistency")
    yield Paragraph("None: this node displays nothing.")
    yield heading("8.5 Standard extended, specialized and private SOP classes")
    yield Paragraph("None is created.")
    yield heading("8.6 Private transfer syntaxes")
    yield Paragraph("None.")


def _attributes(made: ResultObject, settings: Settings) -> Iterator[tuple[str, ...]]:
    data_set, left = made.data_set, {each.keyword for each in made.data_set}
    for module, usage, keywords in _modules(str(made.sop_class_uid)):
        own = [each for each in data_set if each.keyword in keywords & left]
        for element in own:
            left.discard(element.keyword)
            yield (f"{module} ({usage})", *_row(element, settings))
    for element in data_set:
        if element.keyword in left:
            yield ("–", *_row(element, settings))


def _modules(sop_class_uid: str) -> Iterator[tuple[str, str, set[str]]]:
    """Name, usage and keywords of each module of an IOD, the mandatory ones first."""
    iod = _standard_utils.get_sop_class_iod_map()[sop_class_uid]
    modules = _standard_utils.get_iod_module_map()[iod]
    attributes = _standard_utils.get_module_attribute_map()
    for each in sorted(modules, key=lambda module: "MCU".index(module["usage"])):
        keywords = {found["keyword"] for found in attributes[each["key"]] if not found["path"]}
        yield each["key"].replace("-", " "), each["usage"], keywords


def _row(element: DataElement, settings: Settings) -> tuple[str, ...]:
    empty = element.value is None or element.value == "" or element.is_empty
    presence = "EMPTY" if empty else "ALWAYS"
    source = _source(element, settings)
    values = element.value if element.VM > 1 else [element.value]
    known = element.VR == "CS" and source != "CT" and not empty
    value = ", ".join(map(str, values)) if known else "–"
    name = dictionary_description(element.tag)
    return name, str(element.tag), element.VR, value, presence, source


def _source(element: DataElement, settings: Settings) -> str:
    if element.keyword in IDENTITY:
        return "CT"
    numbers = {str(value) for value in settings.results.__dict__.values()}
    configured = element.keyword == "SeriesNumber" and str(element.value) in numbers
    return "CONFIG" if configured else "AUTO"


def _used() -> Iterator[tuple[str, str, str]]:
    names = {each.name for kind in (InstanceHeader, PatientAttributes) for each in fields(kind)}
    bare = {name.replace("_", "") for name in names} | {each.lower() for each in IDENTITY}
    for keyword in sorted(keyword_dict):
        if keyword.lower() in bare:
            tag = keyword_dict[keyword]
            copied = "yes" if keyword in IDENTITY else "no"
            shown = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            yield dictionary_description(tag), shown, copied


def _templates(objects: Iterable[ResultObject]) -> Iterator[tuple[str, str, str]]:
    seen: set[tuple[str, str, str]] = set()
    for made in objects:
        for item in _items(made.data_set):
            if "TemplateIdentifier" in item:
                row = (f"TID {item.TemplateIdentifier}", item.MappingResource, words_of(made))
                if row not in seen:
                    yield row
                seen.add(row)


def _codes_of_objects(objects: Iterable[ResultObject]) -> Iterator[tuple[str, str, str]]:
    for made in objects:
        for item in _items(made.data_set):
            if "CodeValue" in item:
                yield item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning


def _codes_of_bundles(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Of the classes that the configured methods tell apart."""
    for _task, folder in settings.inference.bundles:
        for each in load_card(folder).finding_classes:
            yield each.value, each.scheme, each.meaning


def _by_scheme(code: tuple[str, ...]) -> tuple[str, str]:
    return code[1], code[0]


def _items(data_set: Dataset) -> Iterator[Dataset]:
    """The data set and every item in it, however deep."""
    yield data_set
    for element in data_set:
        if element.VR == "SQ" and dictionary_has_tag(element.tag):
            items: Any = element.value
            for item in items:
                yield from _items(item)
