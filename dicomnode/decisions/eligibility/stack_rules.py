"""The rules of eligibility that the geometry decides. Each always gives its reason."""

from __future__ import annotations

from dicomnode.decisions.eligibility.attribute_rules import passed_if
from dicomnode.decisions.eligibility.candidate import Candidate, tally
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.stack.geometry import StackProblem
from dicomnode.decisions.stack.lost_slices import lost_slices as find_lost_slices
from dicomnode.decisions.stack.passes import passes_in_turn
from dicomnode.decisions.wording import how_many

_UNPLACED = (
    StackProblem.NO_SLICES,
    StackProblem.POSITION_MISSING,
    StackProblem.ORIENTATION_MISSING,
    StackProblem.ORIENTATION_INVALID,
)


_STACKS_TOLD = 5

COVERAGE_LEFT_OUT_MM = 10.0
"""Less is the end of another reconstruction of the same scan."""

LEAST_COVERAGE = 0.2
"""Share of one scan that must be read: a rotation of many is less, the chest of a body more."""


def stacks(series: Candidate) -> Reason:
    """One stack is analysed; what else the series holds is named."""
    others = series.left_out
    if not others:
        found = f"1: {series.name}" if series.joined else "1"
        return Reason("stacks", found, 1, passed_if(not series.joined, Verdict.WARNING))
    parts = [f"{each.name}: {each.why}" for each in others[:_STACKS_TOLD]]
    if len(others) > _STACKS_TOLD:
        parts.append(f"and {len(others) - _STACKS_TOLD} more")
    found = f"{len(others) + 1}: {series.name} looked at; left out: {'; '.join(parts)}"
    return Reason("stacks", found, 1, Verdict.WARNING)


def one_pass(series: Candidate) -> Reason:
    """Passes of the table, phases or breath-holds that are mixed slice by slice are no volume."""
    mixed = passes_in_turn(series.stack)
    if not mixed:
        return Reason("one_pass", 1, 1, Verdict.PASS)
    text = ", ".join(dict.fromkeys(passes.name for passes in mixed))
    found = f"slices of several passes or phases in turn, as {text} tells"
    return Reason("one_pass", found, 1, Verdict.FAIL)


def coverage(series: Candidate) -> Reason:
    """What of the scan lies in stacks that are left out: lungs there are not read.

    Where nearly all of one scan does, as of rotations that do not fit together, it is no scan.
    """
    limit = f"at most {COVERAGE_LEFT_OUT_MM:g} mm not read"
    missed = [each for each in series.left_out if sum(each.beyond_mm) > COVERAGE_LEFT_OUT_MM]
    if not missed:
        return Reason("coverage", "all", limit, Verdict.PASS)
    parts = [f"{each.name} reaches {sum(each.beyond_mm):.0f} mm further" for each in missed]
    found = f"{'; '.join(parts[:_STACKS_TOLD])}; what lies there is not read"
    ends = [each.beyond_mm for each in missed if each.same_scan]
    beyond = sum(map(max, zip(*ends, strict=True))) if ends else 0.0
    read = sum(series.stack.spacings_mm)
    enough = read >= LEAST_COVERAGE * (read + beyond)
    return Reason("coverage", found, limit, Verdict.WARNING if enough else Verdict.FAIL)


def copies(series: Candidate) -> Reason:
    """Slices with another UID, but the attributes and the pixels of one that is there."""
    if series.copies == 0:
        return Reason("copies", 0, 0, Verdict.PASS)
    found = f"{series.copies} of {len(series.headers)} slices, left out"
    return Reason("copies", found, 0, Verdict.WARNING)


def lost_slices(series: Candidate) -> Reason:
    """Slices that may be missing though the others lie evenly: a finding there is not seen."""
    lost = find_lost_slices(series.stack, series.headers)
    found = "; ".join(map(str, lost)) or "none"
    return Reason("lost_slices", found, "none", passed_if(not lost, Verdict.WARNING))


def slice_thickness(series: Candidate) -> Reason:
    """Slice Thickness (0018,0050); where it is missing the slice spacing decides alone."""
    limit = series.policy.max_slice_thickness_mm
    known = [h.slice_thickness for h in series.slices if h.slice_thickness is not None]
    missing = len(series.slices) - len(known)
    if not known:
        found = "absent: the slice spacing decides"
        return Reason("slice_thickness", found, limit, Verdict.WARNING)
    thickest = max(known)
    fits = thickest <= limit + series.policy.length_tolerance_mm
    if fits and missing:
        found = f"{thickest:g} mm, absent in {missing} of {len(series.slices)} instances"
        return Reason("slice_thickness", found, limit, Verdict.WARNING)
    return Reason("slice_thickness", round(thickest, 4), limit, passed_if(fits))


def slice_spacing(series: Candidate) -> Reason:
    """Distance of neighbouring positions, which no attribute can misstate."""
    limit = series.policy.slice_spacing_limit_mm
    spacing = series.stack.slice_spacing_mm
    if spacing is None:
        why = [p.value for p in series.stack.problems if p in _UNPLACED]
        found = "unknown: " + (why[0] if why else "slices at one position only")
        return Reason("slice_spacing", found, limit, Verdict.FAIL)
    fits = spacing <= limit + series.policy.length_tolerance_mm
    return Reason("slice_spacing", round(spacing, 4), limit, passed_if(fits))


def slice_count(series: Candidate) -> Reason:
    count = len(series.slices)
    if count < series.policy.min_slices:
        return Reason("slice_count", count, f"at least {series.policy.min_slices}", Verdict.FAIL)
    low, high = series.policy.usual_slices
    usual = low <= count <= high
    return Reason("slice_count", count, f"{low} to {high}", passed_if(usual, Verdict.WARNING))


def pixel_spacing(series: Candidate) -> Reason:
    """Pixel Spacing (PS3.3 C.7.6.2, 10.7.1.1), one for all slices."""
    low, high = series.policy.usual_pixel_spacing_mm
    limit = f"{low:g} to {high:g} mm"
    spacings = [h.pixel_spacing for h in series.slices]
    found = tally("" if s is None else f"{s[0]:g}\\{s[1]:g} mm" for s in spacings)
    hindered = {StackProblem.PIXEL_SPACING_MISSING, StackProblem.MIXED_PIXEL_SPACING}
    if not spacings or hindered & set(series.stack.problems):
        return Reason("pixel_spacing", found, limit, Verdict.FAIL)
    usual = all(low <= side <= high for s in spacings if s is not None for side in s)
    return Reason("pixel_spacing", found, limit, passed_if(usual, Verdict.WARNING))


def matrix_size(series: Candidate) -> Reason:
    found = tally(f"{h.rows}x{h.columns}" for h in series.slices)
    hindered = {StackProblem.MATRIX_SIZE_MISSING, StackProblem.MIXED_MATRIX_SIZE}
    return Reason("matrix_size", found, "one", passed_if(not hindered & set(series.stack.problems)))


def frame_of_reference(series: Candidate) -> Reason:
    """Positions can be compared in one frame of reference only (PS3.3 C.7.4.1)."""
    uids = {h.frame_of_reference_uid for h in series.slices}
    if uids == {""}:
        return Reason("frame_of_reference", "absent", 1, Verdict.WARNING)
    return Reason("frame_of_reference", len(uids), 1, passed_if(len(uids) == 1))


def orientation(series: Candidate) -> Reason:
    """Degrees between the slices' normal and the patient's axis."""
    limit = series.policy.max_axial_tilt_degrees
    hindered = (*_UNPLACED, StackProblem.MIXED_ORIENTATION)
    why = [problem.value for problem in series.stack.problems if problem in hindered]
    tilt = series.stack.tilt_degrees
    if why or tilt is None:
        return Reason("orientation", ", ".join(why) or "unknown", limit, Verdict.FAIL)
    return Reason("orientation", round(tilt, 2), limit, passed_if(tilt <= limit))


def evenly_spaced(series: Candidate) -> Reason:
    """No gap, no two slices at one place, no spacing far from the usual one."""
    share = series.policy.spacing_tolerance_share
    limit = f"within {share:.0%} of the slice spacing"
    stack = series.stack
    spacing, deviation = stack.slice_spacing_mm, stack.largest_deviation_mm
    if spacing is None or deviation is None:
        return Reason("evenly_spaced", "slice spacing unknown", limit, Verdict.FAIL)
    found = f"{deviation:.3g} mm off {spacing:.4g} mm"
    if stack.gaps:
        found += f", {how_many(len(stack.gaps), 'gap')}"
    if stack.duplicate_count:
        found += f", {how_many(stack.duplicate_count, 'slice')} at a position already taken"
    return Reason("evenly_spaced", found, limit, passed_if(deviation <= share * spacing))


def gantry_tilt(series: Candidate) -> Reason:
    """Degrees between the way from slice to slice and the normal.

    A tilt that only the attribute (0018,1120) tells was taken out by a reformat: a warning.
    """
    limit = series.policy.max_gantry_tilt_degrees
    shear = series.stack.shear_degrees
    if shear is None:
        return Reason("gantry_tilt", "unknown", limit, Verdict.FAIL)
    if shear > limit:
        return Reason("gantry_tilt", round(shear, 2), limit, Verdict.FAIL)
    tilt_degrees = max((abs(h.gantry_detector_tilt or 0.0) for h in series.slices), default=0.0)
    if tilt_degrees > limit:
        found = f"{tilt_degrees:g} by the attribute, {shear:.2f} by the positions"
        return Reason("gantry_tilt", found, limit, Verdict.WARNING)
    return Reason("gantry_tilt", round(shear, 2), limit, Verdict.PASS)
