"""The rules of eligibility that attributes decide. Each always gives its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dicomnode.decisions.eligibility.candidate import Candidate, tally
from dicomnode.decisions.image_kind.image_kind import ImageKind, image_kind
from dicomnode.decisions.image_kind.phantoms import is_phantom, is_phantom_series
from dicomnode.decisions.image_kind.virtual_image import virtual_image
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

SOP_CLASS_NAMES = {
    CT_IMAGE_STORAGE: "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
}
"""SOP classes that call themselves CT (PS3.6 table A-1); others are told by their UID."""

CT_IMAGE_CLASSES = frozenset(
    {
        CT_IMAGE_STORAGE,
        "1.2.840.10008.5.1.4.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.2.2",
    }
)

DECODABLE = frozenset(
    {
        *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"),  # native, deflated
        *("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"),  # big endian, RLE
        "1.2.840.10008.1.2.1.98",  # encapsulated, uncompressed
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70)),  # JPEG
        *(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)),  # JPEG-LS
        *(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203)),  # JPEG 2000, HTJ2K
        *(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)),  # JPEG XL
    }
)
"""Transfer syntaxes (PS3.6 table A-1) that `dicom_files/pixels.py` has a decoder for; video and
most retired processes of JPEG are not among them."""

HOUNSFIELD = frozenset({"", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNDSFIELD UNIT"})
"""Rescale Type for Hounsfield units, absent among them (PS3.3 C.8.2.1); the last one as sent by
a workstation of a large vendor."""


MAPPED_HOUNSFIELD = HOUNSFIELD - {""} | {"[HNSF'U]", "HNSF'U"}
"""Hounsfield units among Measurement Units (UCUM, PS3.16 CID 83 and 84), in capitals."""


def passed_if(passes: bool, otherwise: Verdict = Verdict.FAIL) -> Verdict:
    return Verdict.PASS if passes else otherwise


def modality(series: Candidate) -> Reason:
    found = tally(h.modality for h in series.slices)
    return Reason("modality", found, "CT", passed_if(found == "CT"))


def sop_class(series: Candidate) -> Reason:
    """CT Image, or a multi-frame CT whose frames are read as slices (PS3.4 table B.5-1)."""
    found = tally(SOP_CLASS_NAMES.get(h.sop_class_uid, h.sop_class_uid) for h in series.slices)
    wanted = "a CT image storage class"
    of_ct = {h.sop_class_uid for h in series.slices} <= CT_IMAGE_CLASSES and bool(series.slices)
    return Reason("sop_class", found, wanted, passed_if(of_ct))


def frames(series: Candidate) -> Reason:
    """Where an instance holds several frames, its functional groups must tell each (C.7.6.16)."""
    undescribed = max(
        (h.number_of_frames for h in series.slices if h.frame_number is None), default=1
    )
    if undescribed > 1:
        found = f"{undescribed} in one instance, without functional groups"
        return Reason("frames", found, "one slice each", Verdict.FAIL)
    framed = {h.sop_instance_uid for h in series.slices if h.frame_number is not None}
    found = f"slices of {len(framed)} multi-frame instances" if framed else "one in each instance"
    return Reason("frames", found, "one slice each", Verdict.PASS)


def localizer(series: Candidate) -> Reason:
    """A localizer beside a stack is left out; alone it is no series to analyse."""
    count, total = len(series.localizers), len(series.headers)
    if count == 0:
        return Reason("localizer", 0, 0, Verdict.PASS)
    if count < total:
        return Reason("localizer", f"{count} of {total} instances, left out", 0, Verdict.WARNING)
    return Reason("localizer", f"all {total} instances", 0, Verdict.FAIL)


def image_type(series: Candidate) -> Reason:
    """Image Type (PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1): original or at least primary, and axial.

    Never a map or virtual image: its values are not HU as acquired, contrast may be taken out.
    """
    verdict = _worst(map(_image_type_verdict, series.slices))
    virtual = sorted({str(v) for v in map(virtual_image, series.slices) if v is not None})
    found = "; ".join((tally("\\".join(h.image_type) for h in series.slices), *virtual[:3]))
    return Reason("image_type", found, "ORIGINAL\\PRIMARY\\AXIAL", verdict)


def pixel_data(series: Candidate) -> Reason:
    """Pixel Data there, whole, of one sample per pixel (PS3.3 C.8.2.1.1.2), with a decoder.

    An unknown encoding is left to the decoding.
    """
    total = len(series.slices)
    lacking = sum(1 for h in series.slices if not h.has_pixel_data)
    colour = sum(1 for h in series.slices if (h.samples_per_pixel or 1) != 1)
    syntaxes = [h.transfer_syntax_uid for h in series.slices]
    undecodable = [uid for uid in syntaxes if uid and uid not in DECODABLE]
    if lacking:
        found = f"absent or cut short in {lacking} of {total} instances"
    elif colour:
        found = f"several samples per pixel in {colour} of {total} instances"
    elif undecodable:
        found = f"no decoder for transfer syntax {tally(undecodable)}"
    else:
        found = f"in all {total} instances"
    fits = not lacking and not colour and not undecodable
    return Reason("pixel_data", found, "in every instance", passed_if(fits))


def rescale(series: Candidate) -> Reason:
    """Whether stored values can be made Hounsfield units (PS3.3 C.11.1 and C.8.2.1)."""
    unknown = sum(1 for h in series.slices if not h.rescale_slope or h.rescale_intercept is None)
    units = {unit for h in series.slices for unit in _other_units(h)}
    if unknown:
        found = f"slope or intercept missing in {unknown} of {len(series.slices)} instances"
    else:
        found = tally(units) if units else "HU"
    return Reason("rescale", found, "HU", passed_if(not unknown and not units))


def _other_units(header: InstanceHeader) -> tuple[str, ...]:
    """Units other than HU, by Rescale Type and by Real World Value Mappings (C.7.6.16.2.11).

    Rescale Type may be absent for HU only where the acquisition is of one energy (C.8.2.1).
    """
    mapped = header.real_world_units
    in_hu = any(unit.upper() in MAPPED_HOUNSFIELD for unit in mapped)
    if header.rescale_type.upper() not in HOUNSFIELD:
        return (header.rescale_type,)
    if mapped and not in_hu:
        return tuple(f"real world values in {unit[:16]}" for unit in mapped)
    if header.multi_energy and not header.rescale_type and not in_hu:
        return ("not told in a multi-energy acquisition",)
    return ()


def own_result(series: Candidate) -> Reason:
    """Never analyse what this node made: it would go round in a loop."""
    own = sum(header.made_here for header in series.headers)
    return Reason("own_result", own, 0, passed_if(own == 0))


def phantom(series: Candidate) -> Reason:
    """A phantom or a check of the scanner; by attributes' names, which may hold a patient's."""
    signs = {sign for h in series.slices for sign in (*h.phantom_signs, *_phantom_texts(h))}
    found = f"told by {', '.join(sorted(signs))}" if signs else "no sign of one"
    return Reason("phantom", found, "a patient", passed_if(not signs))


def _phantom_texts(header: InstanceHeader) -> Iterator[str]:
    if is_phantom(header.study_description):
        yield "Study Description"
    if is_phantom(header.protocol_name):
        yield "Protocol Name"
    if is_phantom_series(header.series_description):
        yield "Series Description"


def header_problems(series: Candidate) -> Reason:
    """Values that could not be used; the rules that need them fail by themselves."""
    problems = [problem for h in series.slices for problem in h.problems]
    if not problems:
        return Reason("header_problems", 0, 0, Verdict.PASS)
    several = sorted(set(problems))
    more = f" and {len(several) - 3} more" if len(several) > 3 else ""
    return Reason("header_problems", "; ".join(several[:3]) + more, 0, Verdict.WARNING)


def _image_type_verdict(header: InstanceHeader) -> Verdict:
    if image_kind(header) is not ImageKind.ACQUIRED:
        return Verdict.FAIL
    if virtual_image(header) is not None:
        return Verdict.WARNING
    upper = [value.upper() for value in header.image_type]
    # a frame of a regularly sampled volume says VOLUME (PS3.3 C.8.16.1.3)
    third = {"AXIAL"} if header.frame_number is None else {"AXIAL", "VOLUME"}
    as_wanted = upper[:2] == ["ORIGINAL", "PRIMARY"] and bool(third & set(upper[2:3]))
    # DERIVED may mean lossy compression only; what is missing is left to the orientation
    return passed_if(as_wanted, Verdict.WARNING)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    order = (Verdict.PASS, Verdict.WARNING, Verdict.FAIL)
    return max(verdicts, key=order.index, default=Verdict.FAIL)
