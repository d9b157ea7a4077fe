"""The real series of tests/data/headers end as they must under the default policy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.decisions.contrast import Contrast, attribute_witness
from dicomnode.decisions.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.reasons import Verdict
from support.ct_headers import real_series

TOO_FEW = {"slice_spacing", "slice_count", "evenly_spaced"}
FIVE_MM = {"slice_thickness", "slice_spacing"}

CASES: dict[str, set[str]] = {
    "philips_5mm_noncontrast": FIVE_MM,
    "ge_5mm_arterial_contrast": FIVE_MM | {"evenly_spaced"},  # two overlapping scans in one series
    "ge_petct_5mm": FIVE_MM,
    "siemens_8mm": FIVE_MM,
    "ge_tilted_head": FIVE_MM | {"orientation", "gantry_tilt", "evenly_spaced"},
}

LOADED = {case: real_series(case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_skipped_for_exactly_these_rules(case: str) -> None:
    (headers,) = LOADED[case].values()
    decision = judge_eligibility(headers, EligibilityPolicy())
    assert {reason.rule for reason in decision.failures} == CASES[case]


@pytest.mark.parametrize("case", ["philips_5mm_noncontrast", "ge_petct_5mm"])
def test_eligible_where_the_site_allows_5_mm(case: str) -> None:
    (headers,) = LOADED[case].values()
    decision = judge_eligibility(headers, EligibilityPolicy(max_slice_thickness_mm=5.0))
    assert decision.eligible
    assert {reason.verdict for reason in decision.reasons} == {Verdict.PASS}


def test_localizer_and_captures_that_call_themselves_ct() -> None:
    series = real_series("philips_localizer_and_exam_summary")
    for name, expected in {
        "S21570_S1000": {"localizer", "image_type", "orientation"},
        "S21570_S4010": {"sop_class", "image_type", "pixel_data", "matrix_size"},
    }.items():
        decision = judge_eligibility(series[name], EligibilityPolicy())
        assert expected <= {reason.rule for reason in decision.failures}


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


def test_multi_frame_is_told_and_its_single_frames_have_no_hounsfield_units() -> None:
    rules = {
        name: {reason.rule for reason in judge_eligibility(headers, EligibilityPolicy()).failures}
        for name, headers in real_series("enhanced_ct").items()
    }
    assert {"sop_class", "single_frame"} <= rules["enhanced"] & rules["legacy_converted"]
    assert rules["single_frames"] == {"slice_count", "rescale"}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25)
@given(st.data())
def test_any_part_of_a_real_series_in_any_order_has_the_same_decision(
    case: str, data: st.DataObject
) -> None:
    (headers,) = LOADED[case].values()
    part = data.draw(st.lists(st.sampled_from(headers), max_size=12, unique=True))
    decision = judge_eligibility(part, EligibilityPolicy())
    assert judge_eligibility(sorted(part, key=repr), EligibilityPolicy()) == decision
    assert not decision.eligible
