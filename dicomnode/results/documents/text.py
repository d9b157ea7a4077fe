"""Any Structured Report as indented text: for the command line and the demonstration folder."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

_INDENT = "  "
_REFERENCES = ("IMAGE", "COMPOSITE", "WAVEFORM")
_PLAIN_VALUES = {
    "TEXT": "TextValue",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
    "PNAME": "PersonName",
    "UIDREF": "UID",
}


def report_as_text(data_set: Dataset) -> str:
    """The content tree (PS3.3 section C.17.3), one item a line: name = value unit.

    Says who made it and whether anyone has verified it; holds no patient identity but what the
    tree itself holds.

    Raises:
        ValueError: the data set has no content tree.
    """
    if "ValueType" not in data_set:
        raise ValueError("no Structured Report: there is no content tree (0040,A040)")
    flags = [
        str(data_set.get(keyword, ""))
        for keyword in ("CompletionFlag", "VerificationFlag", "PreliminaryFlag")
    ]
    lines = [*_lines(data_set, 0), "", f"Status: {', '.join(f for f in flags if f)}"]
    return "\n".join(lines) + "\n"


def _lines(item: Dataset, depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    name = _meaning(item, "ConceptNameCodeSequence") or item.get("ValueType", "?")
    first, *more = _value(item).split("\n")
    if more:
        yield f"{indent}{name}:"
        yield from (f"{indent}{_INDENT}{line}" for line in (first, *more))
    else:
        yield f"{indent}{name}" + (f" = {first}" if first else "")
    for child in item.get("ContentSequence") or ():
        yield from _lines(child, depth + 1)


def _meaning(item: Dataset, keyword: str) -> str:
    codes = item.get(keyword)
    return str(codes[0].get("CodeMeaning", "")) if codes else ""


def _value(item: Dataset) -> str:
    """The value of one content item; empty for a container."""
    kind = str(item.get("ValueType", ""))
    if kind in _PLAIN_VALUES:
        return str(item.get(_PLAIN_VALUES[kind], "")).replace("\r\n", "\n")
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    if kind == "NUM":
        return _measured(item)
    if kind in ("SCOORD", "SCOORD3D"):
        return _coordinates(item)
    if kind in _REFERENCES:
        return ", ".join(_reference(r) for r in item.get("ReferencedSOPSequence") or ())
    return f"reference to item {item.get('ReferencedContentItemIdentifier')}" if not kind else ""


def _measured(item: Dataset) -> str:
    """NUM (PS3.3 section C.18.1); without a value, the qualifier says why."""
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return _meaning(item, "NumericValueQualifierCodeSequence") or "no value"
    units = measured[0].get("MeasurementUnitsCodeSequence")
    unit = str(units[0].get("CodeValue", "")) if units else ""
    return f"{measured[0].get('NumericValue', '')} {'' if unit == '1' else unit}".rstrip()


def _coordinates(item: Dataset) -> str:
    size = 3 if item.ValueType == "SCOORD3D" else 2
    numbers = [f"{float(n):g}" for n in item.get("GraphicData") or ()]
    points = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    return f"{item.get('GraphicType', '')} " + " ".join(f"({', '.join(p)})" for p in points)


def _reference(reference: Dataset) -> str:
    frames = reference.get("ReferencedFrameNumber")
    of_frames = "" if frames is None else f" frame {frames}"
    return f"{reference.get('ReferencedSOPInstanceUID', '')}{of_frames}"
