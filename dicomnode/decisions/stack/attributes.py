"""What stacks of one series are told apart by: attributes, read from the header of a slice."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from dicomnode.decisions.image_kind.image_kind import image_kind
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.geometry import COSINE_TOLERANCE, SAME_PIXEL_SPACING_MM
from dicomnode.decisions.stack.times import seconds_of

SAME_THICKNESS_MM = 0.01
"""Slice Thickness is written to 0.01 mm at least."""

Value = Hashable


@dataclass(frozen=True)
class Attribute:
    """Something by which stacks are told apart.

    `read` gives None where the slice does not tell. Numbers no further apart than `tolerance` are
    the same. `show` puts a value in words.
    """

    name: str
    read: Callable[[InstanceHeader], Value]
    tolerance: float = 0.0
    show: Callable[[Value], str] = str


@dataclass(frozen=True)
class Order:
    """Something that ascends while the table moves: `read` gives it as a number, or None.

    `pause`: a longer step than that, in the unit of `read`, lies between two passes.
    """

    name: str
    read: Callable[[InstanceHeader], float | None]
    pause: float | None = None


def _joined(separator: str, unit: str = "") -> Callable[[Value], str]:
    def show(value: Value) -> str:
        parts = value if isinstance(value, tuple) else (value,)
        return separator.join(f"{p:g}" if isinstance(p, float) else str(p) for p in parts) + unit

    return show


def _end_of_uid(value: Value) -> str:
    """UIDs are told apart by their end, and a whole one would drown the sentence."""
    uid = str(value)
    return uid if len(uid) <= 16 else f"…{uid[-12:]}"


def _short(value: Value) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _length(value: Value) -> str:
    """Of free text, which may name a person."""
    return f"of {len(str(value))} letters"


_VALUES, _MILLIMETRES = _joined("\\"), _joined("\\", " mm")


def _matrix(header: InstanceHeader) -> Value:
    return None if None in {header.rows, header.columns} else (header.rows, header.columns)


def _in_plane_place(header: InstanceHeader) -> Value:
    """Where the first pixel lies in the plane of the slice, mm to the nearest tenth."""
    position, cosines = header.image_position_patient, header.image_orientation_patient
    if position is None or cosines is None:
        return None
    axes = (cosines[:3], cosines[3:])
    return tuple(round(sum(a * p for a, p in zip(x, position, strict=True)), 1) for x in axes)


def _label(keyword: str, name: str, show: Callable[[Value], str] = _short) -> Attribute:
    return Attribute(name, lambda h: h.label(keyword) or None, 0.0, show)


def _setting(keyword: str, name: str) -> Attribute:
    """A number that is set on the console; what differs by less than its third digit is noise."""
    return Attribute(name, lambda h: _three_digits(h.label(keyword)) or None)


def _three_digits(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text


ALWAYS: tuple[Attribute, ...] = (
    Attribute("SOP Class", lambda h: h.sop_class_uid or None),
    Attribute("", image_kind),
    Attribute("keV", lambda h: h.energy_kev, 0.0, _VALUES),
    Attribute("Frame of Reference", lambda h: h.frame_of_reference_uid or None, 0.0, _end_of_uid),
    Attribute("orientation", lambda h: h.image_orientation_patient, COSINE_TOLERANCE, _VALUES),
    Attribute("matrix", _matrix, 0.0, _joined("x")),
    Attribute("Pixel Spacing", lambda h: h.pixel_spacing, SAME_PIXEL_SPACING_MM, _MILLIMETRES),
    Attribute("Convolution Kernel", lambda h: h.convolution_kernel.upper() or None),
    Attribute("Slice Thickness", lambda h: h.slice_thickness, SAME_THICKNESS_MM, _MILLIMETRES),
)
"""What one stack has one value of. A slice that does not tell goes with the others where these
have one value only, else it is set apart."""

IN_RUNS: tuple[Attribute, ...] = (
    Attribute("Acquisition Number", lambda h: h.acquisition_number),
    Attribute("contrast phase", lambda h: h.contrast_phase or None),
    Attribute("Contrast/Bolus Agent", lambda h: h.contrast_bolus_agent or None),
    Attribute("Image Type", lambda h: h.image_type or None, 0.0, _VALUES),
    Attribute("KVP", lambda h: h.kvp, 0.0, _VALUES),
    Attribute("Stack ID", lambda h: h.stack_id or None),
    Attribute("temporal position", lambda h: h.temporal_position or None),
    Attribute("cardiac phase", lambda h: h.cardiac_phase or None),
    Attribute("acquisition time", lambda h: h.acquisition_time or None),
    _label("IrradiationEventUID", "Irradiation Event", _end_of_uid),
    _label("AcquisitionUID", "Acquisition UID", _end_of_uid),
    _label("NominalPercentageOfRespiratoryPhase", "respiratory phase"),
    _label("TriggerTime", "Trigger Time"),
    Attribute("Image Comments", lambda h: h.image_comments or None, 0.0, _length),
    _label("FrameComments", "Frame Comments", _length),
    Attribute("Series Description", lambda h: h.series_description or None, 0.0, _short),
    Attribute("Protocol Name", lambda h: h.protocol_name or None, 0.0, _short),
    _label("AcquisitionProtocolDescription", "Acquisition Protocol Description"),
    _label("SeriesNumber", "Series Number"),
    _label("SeriesDate", "series date"),
    _label("SeriesTime", "series time"),
    _label("AcquisitionDate", "acquisition date"),
    _label("ScanOptions", "Scan Options"),
    _label("FilterType", "Filter Type"),
    _setting("ReconstructionDiameter", "Reconstruction Diameter"),
    _label("PatientPosition", "Patient Position"),
    _label("CardiacCyclePosition", "cardiac cycle position"),
    _label("RespiratoryCyclePosition", "respiratory cycle position"),
    Attribute("Contrast/Bolus Start Time", lambda h: h.contrast_bolus_start_time or None),
    _setting("DataCollectionDiameter", "Data Collection Diameter"),
    _label("AcquisitionType", "Acquisition Type"),
    _label("RotationDirection", "Rotation Direction"),
    _setting("TotalCollimationWidth", "Total Collimation Width"),
    _setting("TableSpeed", "Table Speed"),
    _setting("SpiralPitchFactor", "Spiral Pitch Factor"),
    _label("AcquisitionProtocolName", "Acquisition Protocol Name"),
    _label("ContentDate", "content date"),
    Attribute(
        "Performed Procedure Step Description",
        lambda h: h.performed_procedure_step_description or None,
        0.0,
        _short,
    ),
)
"""What a scan has one value of on most scanners, and others change in runs, as Acquisition Number
from rotation to rotation: never in turn from slice to slice."""

IF_UNEVEN: tuple[Attribute, ...] = (
    *IN_RUNS,
    Attribute("place in the plane", _in_plane_place, 0.0, _MILLIMETRES),
)
"""The first that leaves the longest even stack parts the slices; those that do not tell are set
apart."""

PAUSE_SECONDS = 1.5
"""No table is back at its start sooner; slices of one pass follow each other faster, or one is the
neighbour of the last."""

ASCENDING: tuple[Order, ...] = (
    Order("acquisition time", lambda h: seconds_of(h.acquisition_time), PAUSE_SECONDS),
    Order("content time", lambda h: seconds_of(h.label("ContentTime")), PAUSE_SECONDS),
    Order("Instance Number", lambda h: h.instance_number),
)
"""What tells one pass of the table from the next where each slice has its own value. Content Time
jitters where several computers reconstruct."""

LABELS: tuple[str, ...] = (
    *("IrradiationEventUID", "AcquisitionUID", "NominalPercentageOfRespiratoryPhase"),
    *("TriggerTime", "FrameComments", "AcquisitionProtocolDescription", "SeriesNumber"),
    *("SeriesDate", "SeriesTime", "AcquisitionDate", "ScanOptions", "FilterType"),
    *("ReconstructionDiameter", "PatientPosition", "TableSpeed", "SpiralPitchFactor"),
    *("CardiacCyclePosition", "RespiratoryCyclePosition", "DataCollectionDiameter"),
    *("AcquisitionType", "RotationDirection", "TotalCollimationWidth"),
    *("AcquisitionProtocolName", "ContentDate", "ContentTime"),
)
"""Keywords of what `InstanceHeader.labels` holds."""
