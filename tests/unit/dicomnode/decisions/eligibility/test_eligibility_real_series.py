"""The real series of tests/data/headers end as they must under the default policy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.decisions.contrast.contrast import Contrast, attribute_witness
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.stack.geometry import sort_slices
from support.ct_headers import real_series

TOO_FEW = {"slice_spacing", "slice_count", "evenly_spaced"}
FIVE_MM = {"slice_thickness", "slice_spacing"}


@dataclass(frozen=True)
class Ending:
    """How a series ends under the default policy (non-contrast, at most 3 mm).

    `fails`: the rules it is skipped for, all of them. `said`: what a rule says, in part.
    """

    fails: set[str]
    said: dict[str, str] = field(default_factory=dict)


TABLE: dict[str, Ending] = {
    # whole chest, soft kernel, BodyPartExamined empty
    "philips_5mm_noncontrast": Ending(FIVE_MM, {"slice_thickness": "5.0", "contrast": "no"}),
    # contrast tags empty, contrast in the descriptions; two overlapping scans and stray slices
    "ge_5mm_arterial_contrast": Ending(
        FIVE_MM | {"contrast"},
        {
            "contrast": "text yes",
            "stacks": "3: Acquisition Number 2 (59 slices) looked at; left out: "
            "Acquisition Number 1 (37 slices): not fit (contrast, slice_thickness",
        },
    ),
    # CT of a PET/CT, BodyPartExamined BREAST: no reason
    "ge_petct_5mm": Ending(FIVE_MM, {"slice_spacing": "4.25"}),
    "siemens_8mm": Ending(FIVE_MM, {"slice_thickness": "8.0", "slice_spacing": "8.0"}),
    # gantry tilt; 4 mm through the base of the skull, 7 mm above
    "ge_tilted_head": Ending(
        FIVE_MM | {"orientation", "gantry_tilt"},
        {"gantry_tilt": "18.5", "stacks": "left out: Slice Thickness 7 mm (14 slices)"},
    ),
    "philips_localizer_and_exam_summary/S21570_S1000": Ending(
        {"localizer", "image_type", "orientation", *TOO_FEW}, {"localizer": "all 1 instances"}
    ),
    # Secondary Capture objects that say Modality CT, in three sizes
    "philips_localizer_and_exam_summary/S21570_S4010": Ending(
        {"sop_class", "image_type", "orientation", *TOO_FEW},
        {"sop_class": "Secondary Capture Image Storage", "stacks": "matrix 741x650 (1 slice)"},
    ),
    "enhanced_ct/enhanced": Ending(
        {*FIVE_MM, "image_type", "contrast", "slice_count", "rescale"},
        {"frames": "slices of 1 multi-frame instances", "image_type": "PERFUSION"},
    ),
    "enhanced_ct/legacy_converted": Ending(
        {"slice_count", "rescale"}, {"slice_count": "3", "sop_class": "Legacy Converted"}
    ),
    "enhanced_ct/single_frames": Ending({"slice_count", "rescale"}, {"slice_count": "3"}),
}
"""By the name of the case, and of the series where it holds several. The others of the data at
hand: `covid19_single_slices` below, `one_slice_15_transfer_syntaxes` in test_volume.py, and what
has no headers, or is judged by its pixels, in the tests of `inference`."""


def series_of(name: str) -> list[InstanceHeader]:
    case, _, series = name.partition("/")
    return real_series(case)[series]


LOADED = {name: series_of(name) for name in TABLE}


@pytest.mark.parametrize("name", TABLE)
def test_each_series_ends_as_the_table_says(name: str) -> None:
    decision = judge_eligibility(LOADED[name], EligibilityPolicy())
    assert {reason.rule for reason in decision.failures} == TABLE[name].fails
    reasons = {reason.rule: str(reason.value) for reason in decision.reasons}
    for rule, words in TABLE[name].said.items():
        assert words in reasons[rule]


@pytest.mark.parametrize("case", ["philips_5mm_noncontrast", "ge_petct_5mm"])
def test_eligible_where_the_site_allows_5_mm(case: str) -> None:
    decision = judge_eligibility(LOADED[case], EligibilityPolicy(max_slice_thickness_mm=5.0))
    assert decision.eligible
    assert {reason.verdict for reason in decision.reasons} == {Verdict.PASS}


def test_single_slices_are_too_few_and_reformats_are_named() -> None:
    series = real_series("covid19_single_slices")
    assert len(series) == 20
    for name, headers in series.items():
        rules = {r.rule for r in judge_eligibility(headers, EligibilityPolicy()).failures}
        assert rules >= TOO_FEW
        assert ("image_type" in rules) == ("orientation" in rules) == ("sagittal" in name)


def test_contrast_attributes_of_single_slices() -> None:
    """The study descriptions of these three dates say "with IV contrast", all others "without"."""
    series = real_series("covid19_single_slices")
    with_contrast = {
        name
        for name, headers in series.items()
        if attribute_witness(headers).verdict is Contrast.YES
    }
    patients_dates = [
        ("A002304", "19001231-076"),  # the agent is empty: the route tells
        ("A002304", "19010112-135"),
        ("A056642", "19010107-111"),
    ]
    assert {f"{p}/axial/{d}" for p, d in patients_dates} == {
        name for name in with_contrast if "axial" in name
    }
    assert len(with_contrast) == 6


def test_the_frames_of_a_legacy_conversion_lie_where_its_single_frames_do() -> None:
    stacks = [
        sort_slices(series_of(f"enhanced_ct/{name}"))
        for name in ("single_frames", "legacy_converted")
    ]
    assert stacks[0].affine == stacks[1].affine
    assert [h.frame_number for h in stacks[1].headers] == [1, 2, 3]


@pytest.mark.parametrize("name", TABLE)
@settings(max_examples=25)
@given(st.data())
def test_any_part_of_a_real_series_in_any_order_has_the_same_decision(
    name: str, data: st.DataObject
) -> None:
    part = data.draw(st.lists(st.sampled_from(LOADED[name]), max_size=12, unique=True))
    decision = judge_eligibility(part, EligibilityPolicy())
    assert judge_eligibility(sorted(part, key=repr), EligibilityPolicy()) == decision
    assert not decision.eligible
