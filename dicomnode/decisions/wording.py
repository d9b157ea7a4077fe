"""Words for people: how many of a thing, a rule with its value, and the key that sets its limit."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.decisions.reasons import Reason, ReasonValue, Verdict

_WORDS = {
    "sop_class": "kind of object",
    "own_result": "made by this product",
    "phantom": "phantom or quality control",
    "localizer": "localizer (scout)",
    "one_pass": "one pass of the table",
    "image_type": "Image Type",
    "frames": "multi-frame",
    "contrast": "contrast agent",
    "contrast_attributes": "contrast agent named in the header",
    "contrast_text": "contrast agent named in a description",
    "contrast_of_acquisition": "contrast agent in another series of the scan",
    "slice_count": "number of slices",
    "coverage": "part of the scan that would be read",
    "lost_slices": "slices that are missing",
    "evenly_spaced": "even spacing of the slices",
    "matrix_size": "rows and columns",
    "rescale": "conversion to Hounsfield units",
    "header_problems": "unusable values in the header",
    "study_choice": "choice in the study",
    "lungs": "lungs",
    "worker_lost": "the analysis was ended several times",
    "deadline": "time that an analysis may take",
    "fault": "fault of the program",
}
"""Rules whose name does not say it; the others are read as they are written."""


_UNITS = {
    "slice_thickness": "mm",
    "slice_spacing": "mm",
    "orientation": "degrees",
    "gantry_tilt": "degrees",
}
"""Of rules whose value and upper limit are plain numbers."""

_SENTENCES = {
    "slice_thickness": "slices are {0.value} mm thick, the limit is {0.limit}",
    "slice_spacing": "slices lie {0.value} mm apart, the limit is {0.limit}",
    "slice_count": "it has {0.value} slices, {0.limit} are asked for",
    "orientation": "slices are tilted by {0.value} degrees, the limit is {0.limit}",
    "gantry_tilt": "the gantry was tilted by {0.value} degrees, the limit is {0.limit}",
    "worker_lost": "the analysis ended its process {0.value} times",
}
"""Of rules that fail by a number; where they fail by another value it is told as of all rules."""

KEYS = {
    "slice_thickness": ("eligibility.max_slice_thickness_mm",),
    "slice_spacing": ("eligibility.max_slice_spacing_mm",),
    "slice_count": ("eligibility.min_slices", "eligibility.usual_slices"),
    "orientation": ("eligibility.max_axial_tilt_degrees",),
    "gantry_tilt": ("eligibility.max_gantry_tilt_degrees",),
    "evenly_spaced": ("eligibility.spacing_tolerance_share",),
    "pixel_spacing": ("eligibility.usual_pixel_spacing_mm",),
    "contrast": ("eligibility.contrast_policy", "eligibility.allow_contrast"),
    "contrast_of_acquisition": ("eligibility.allow_contrast",),
    "lung_volume": ("chest.min_lung_ml",),
    "lung_height": ("chest.min_lung_height_mm",),
    "lung_slices": ("chest.min_lung_slices",),
    "lung_sides": ("chest.min_side_share",),
    "lung_top": ("chest.max_cut_mm2",),
    "lung_base": ("chest.max_cut_mm2",),
    "completeness": ("completeness.incomplete", "completeness.incomplete_after_seconds"),
    "resent": ("receive.resend_conflict",),
    "study_choice": ("study.choose",),
    "deadline": ("inference.deadline_seconds",),
}
"""The keys of the configuration that set the limit of a rule; the first is the one it fails by. Of
the other rules no key changes anything."""

_WITNESSES = ("contrast_attributes", "contrast_text", "contrast_pixels")
"""Rules whose value is a verdict on contrast, and what it rests on."""

_SEVEREST_FIRST = (Verdict.FAIL, Verdict.WARNING, Verdict.PASS)


def how_many(number: int, thing: str) -> str:
    """`1 delivery`, `2 deliveries`, `3 series`."""
    if number == 1 or thing.endswith("s"):
        return f"{number} {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"


def severest_first(reasons: Sequence[Reason]) -> list[Reason]:
    """What fails, then what is warned of, then the rest; each in its order."""
    return sorted(reasons, key=lambda each: _SEVEREST_FIRST.index(each.verdict))


def answer(reasons: Sequence[Reason]) -> str:
    """Why a series is not analysed, in one sentence, with the key that sets the limit; "" where
    nothing fails."""
    failed = [each for each in reasons if each.verdict is Verdict.FAIL]
    if not failed:
        return ""
    keys = KEYS.get(failed[0].rule, ())
    key = f": {keys[0]}" if keys else ""
    others = len(failed) - 1
    more = f"; {how_many(others, 'other rule')} {'fails' if others == 1 else 'fail'}, too"
    return f"{_sentence(failed[0], reasons)}{key}{more if others else ''}"


def _sentence(reason: Reason, reasons: Sequence[Reason]) -> str:
    """Of a rule that fails, among all of them."""
    signs = [_sign(each) for each in reasons if each.rule in _WITNESSES and _sign(each)]
    if reason.rule == "contrast" and signs:
        return f"contrast was given: {'; '.join(signs)}"
    text = _SENTENCES.get(reason.rule)
    if text is not None and isinstance(reason.value, int | float):
        return text.format(reason)
    words = in_words(reason)
    return words[0].lower() + words[1:]


def _sign(witness: Reason) -> str:
    """What a witness of contrast rests on; "" where it does not say that it was given."""
    verdict, _, evidence = str(witness.value).partition(": ")
    return evidence if verdict == "yes" else ""


def rule_words(rule: str) -> str:
    """What a rule is about."""
    return _WORDS.get(rule, rule.replace("_", " "))


def in_words(reason: Reason) -> str:
    """A rule with what was found and what was asked for."""
    name = rule_words(reason.rule)
    found = "nothing" if reason.value is None else _with_unit(reason.rule, reason.value)
    limit = "" if reason.limit is None else _with_unit(reason.rule, reason.limit, "at most ")
    asked = f" (asked for: {limit})" if limit else ""
    return f"{name[0].upper()}{name[1:]}: {found}{asked}"


def _with_unit(rule: str, value: ReasonValue, before: str = "") -> str:
    plain_number = isinstance(value, int | float) and rule in _UNITS
    return f"{before}{value:g} {_UNITS[rule]}" if plain_number else str(value)
