"""The rules of eligibility that attributes decide. Each always gives its reason."""

from __future__ import annotations

from collections.abc import Iterable

from dicomnode.decisions.candidate import Candidate, tally
from dicomnode.decisions.contrast import Contrast, attribute_witness
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.version import MANUFACTURER

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

SOP_CLASS_NAMES = {
    CT_IMAGE_STORAGE: "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
}
"""SOP classes that call themselves CT (PS3.6 table A-1); others are told by their UID."""

NOT_ACQUIRED = frozenset(
    {"CPR", "MINIP", "MIP", "MPR", "PROJECTION IMAGE", "REFORMATTED", "VOLREN", "VOLUME", "VRT"}
)
"""Values of Image Type from the third on that tell a reformat, a projection or a rendering
(PS3.3 C.8.16.1, and what scanners write)."""

HOUNSFIELD = frozenset({"", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNDSFIELD UNIT"})
"""Rescale Type for Hounsfield units, absent among them (PS3.3 C.8.2.1); the last one as sent by
a workstation of a large vendor."""


def passed_if(passes: bool, otherwise: Verdict = Verdict.FAIL) -> Verdict:
    return Verdict.PASS if passes else otherwise


def modality(series: Candidate) -> Reason:
    found = tally(h.modality for h in series.slices)
    return Reason("modality", found, "CT", passed_if(found == "CT"))


def sop_class(series: Candidate) -> Reason:
    found = tally(SOP_CLASS_NAMES.get(h.sop_class_uid, h.sop_class_uid) for h in series.slices)
    wanted = SOP_CLASS_NAMES[CT_IMAGE_STORAGE]
    return Reason("sop_class", found, wanted, passed_if(found == wanted))


def single_frame(series: Candidate) -> Reason:
    most = max((h.number_of_frames for h in series.slices), default=1)
    return Reason("single_frame", most, 1, passed_if(most == 1))


def localizer(series: Candidate) -> Reason:
    """A localizer beside a stack is left out; alone it is no series to analyse."""
    count, total = len(series.localizers), len(series.headers)
    if count == 0:
        return Reason("localizer", 0, 0, Verdict.PASS)
    if count < total:
        return Reason("localizer", f"{count} of {total} instances, left out", 0, Verdict.WARNING)
    return Reason("localizer", f"all {total} instances", 0, Verdict.FAIL)


def image_type(series: Candidate) -> Reason:
    """Image Type (PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1): original or at least primary, and axial."""
    verdict = _worst(_image_type_verdict(h.image_type) for h in series.slices)
    found = tally("\\".join(h.image_type) for h in series.slices)
    return Reason("image_type", found, "ORIGINAL\\PRIMARY\\AXIAL", verdict)


def contrast(series: Candidate) -> Reason:
    witness = attribute_witness(series.slices)
    if series.policy.allow_contrast:
        return Reason("contrast", f"{witness.verdict}: {witness.evidence}", None, Verdict.PASS)
    verdict = passed_if(witness.verdict is not Contrast.YES)
    return Reason("contrast", f"{witness.verdict}: {witness.evidence}", "none given", verdict)


def pixel_data(series: Candidate) -> Reason:
    """Pixel Data there and whole, of one sample per pixel (PS3.3 C.8.2.1.1.2)."""
    total = len(series.slices)
    lacking = sum(1 for h in series.slices if not h.has_pixel_data)
    colour = sum(1 for h in series.slices if (h.samples_per_pixel or 1) != 1)
    if lacking:
        found = f"absent or cut short in {lacking} of {total} instances"
    elif colour:
        found = f"several samples per pixel in {colour} of {total} instances"
    else:
        found = f"in all {total} instances"
    return Reason("pixel_data", found, "in every instance", passed_if(not lacking and not colour))


def rescale(series: Candidate) -> Reason:
    """Whether stored values can be made Hounsfield units (PS3.3 C.11.1 and C.8.2.1)."""
    unknown = sum(1 for h in series.slices if not h.rescale_slope or h.rescale_intercept is None)
    units = {h.rescale_type for h in series.slices if h.rescale_type.upper() not in HOUNSFIELD}
    if unknown:
        found = f"slope or intercept missing in {unknown} of {len(series.slices)} instances"
    else:
        found = tally(units) if units else "HU"
    return Reason("rescale", found, "HU", passed_if(not unknown and not units))


def own_result(series: Candidate) -> Reason:
    """Never analyse what this node made: it would go round in a loop."""
    own = sum(header.manufacturer == MANUFACTURER for header in series.headers)
    return Reason("own_result", own, 0, passed_if(own == 0))


def header_problems(series: Candidate) -> Reason:
    """Values that could not be used; the rules that need them fail by themselves."""
    problems = [problem for h in series.slices for problem in h.problems]
    if not problems:
        return Reason("header_problems", 0, 0, Verdict.PASS)
    several = sorted(set(problems))
    more = f" and {len(several) - 3} more" if len(several) > 3 else ""
    return Reason("header_problems", "; ".join(several[:3]) + more, 0, Verdict.WARNING)


def _image_type_verdict(values: tuple[str, ...]) -> Verdict:
    upper = [value.upper() for value in values]
    if "SECONDARY" in upper[1:2] or "LOCALIZER" in upper[2:] or NOT_ACQUIRED & set(upper[2:]):
        return Verdict.FAIL
    as_wanted = upper[:3] == ["ORIGINAL", "PRIMARY", "AXIAL"]
    # DERIVED may mean lossy compression only; what is missing is left to the orientation
    return passed_if(as_wanted, Verdict.WARNING)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    order = (Verdict.PASS, Verdict.WARNING, Verdict.FAIL)
    return max(verdicts, key=order.index, default=Verdict.FAIL)
