"""Each rule of eligibility, and what holds for any series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.eligibility import (
    RULES,
    Eligibility,
    EligibilityPolicy,
    judge_eligibility,
)
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict
from storage.decided import OWN_RESULT
from support.ct_headers import ct_header, ct_series

POLICY = EligibilityPolicy()
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
VOLUME = ("ORIGINAL", "PRIMARY", "VOLUME", "NONE")


def reason_of(decision: Eligibility, rule: str) -> Reason:
    (reason,) = [reason for reason in decision.reasons if reason.rule == rule]
    return reason


def test_a_thin_non_contrast_chest_passes_every_rule() -> None:
    decision = judge_eligibility(ct_series(), POLICY)
    assert decision.eligible
    assert {reason.verdict for reason in decision.reasons} == {Verdict.PASS}
    assert [reason.rule for reason in decision.reasons] == [rule.__name__ for rule in RULES]


@pytest.mark.parametrize(
    ("rule", "changes", "verdict"),
    [
        ("modality", {"modality": "MR"}, "fail"),
        ("modality", {"modality": ""}, "fail"),
        ("sop_class", {"sop_class_uid": SECONDARY_CAPTURE}, "fail"),
        ("own_result", {"made_here": True}, "fail"),
        ("own_result", {"made_here": False}, "pass"),
        ("localizer", {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "fail"),
        ("image_type", {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "fail"),
        ("image_type", {"image_type": ("DERIVED", "SECONDARY", "AXIAL")}, "fail"),
        ("image_type", {"image_type": ("DERIVED", "PRIMARY", "AXIAL", "MIP")}, "fail"),
        ("image_type", {"image_type": ("derived", "primary", "mpr")}, "fail"),
        ("image_type", {"image_type": ("DERIVED", "PRIMARY", "AXIAL")}, "warning"),
        ("image_type", {"image_type": ()}, "warning"),
        ("image_type", {"image_type": ("ORIGINAL", "PRIMARY", "AXIAL", "HELIX")}, "pass"),
        ("frames", {"number_of_frames": 2}, "fail"),
        ("frames", {"number_of_frames": 60, "frame_number": 7}, "pass"),
        ("sop_class", {"sop_class_uid": ENHANCED_CT, "frame_number": 7}, "pass"),
        ("sop_class", {"sop_class_uid": LEGACY_CONVERTED_ENHANCED_CT}, "pass"),
        ("image_type", {"image_type": VOLUME, "frame_number": 7}, "pass"),
        ("image_type", {"image_type": VOLUME}, "fail"),
        ("image_type", {"image_type": (*VOLUME[:2], "AXIAL", "MAXIMUM")}, "fail"),
        ("image_type", {"image_type": ("ORIGINAL", "PRIMARY", "Screen Save")}, "fail"),
        ("image_type", {"image_type": ("DERIVED", "PRIMARY", "DOSE_INFO")}, "fail"),
        ("image_type", {"volume_technique": "MAX_IP"}, "fail"),
        ("image_type", {"volume_technique": "NONE"}, "pass"),
        ("image_type", {"image_type": ("ORIGINAL",)}, "warning"),
        ("contrast", {"contrast_bolus_agent": "CE"}, "fail"),
        ("contrast", {"contrast_bolus_agent": "none"}, "pass"),
        ("slice_thickness", {"slice_thickness": 3.1}, "fail"),
        ("slice_thickness", {"slice_thickness": 3.000001}, "pass"),
        ("slice_thickness", {"slice_thickness": None}, "warning"),
        ("slice_spacing", {"image_position_patient": None}, "fail"),
        ("orientation", {"image_orientation_patient": (0, 1, 0, 0, 0, -1)}, "fail"),
        ("orientation", {"image_orientation_patient": (1, 0, 0, 1, 0, 0)}, "fail"),
        ("orientation", {"image_orientation_patient": None}, "fail"),
        ("gantry_tilt", {"image_orientation_patient": (1, 0, 0, 0, 0.9483237, -0.3173047)}, "fail"),
        ("gantry_tilt", {"gantry_detector_tilt": -12.0}, "warning"),
        ("frame_of_reference", {"frame_of_reference_uid": ""}, "warning"),
        ("matrix_size", {"rows": None}, "fail"),
        ("pixel_spacing", {"pixel_spacing": None}, "fail"),
        ("pixel_spacing", {"pixel_spacing": (1.2, 1.2)}, "warning"),
        ("pixel_data", {"has_pixel_data": False}, "fail"),
        ("pixel_data", {"samples_per_pixel": 3}, "fail"),
        ("pixel_data", {"transfer_syntax_uid": "1.2.840.10008.1.2.4.54"}, "fail"),
        ("pixel_data", {"transfer_syntax_uid": "1.2.840.113619.5.2"}, "fail"),
        ("pixel_data", {"transfer_syntax_uid": ""}, "pass"),
        ("rescale", {"rescale_slope": None}, "fail"),
        ("rescale", {"rescale_slope": 0.0}, "fail"),
        ("rescale", {"rescale_intercept": None}, "fail"),
        ("rescale", {"rescale_type": "US"}, "fail"),
        ("rescale", {"rescale_type": "Houndsfield Unit"}, "pass"),
        ("rescale", {"rescale_type": "HU_MOD"}, "fail"),
        ("rescale", {"rescale_type": "10^-2 Z_EFF"}, "fail"),
        ("rescale", {"multi_energy": True}, "fail"),
        ("rescale", {"multi_energy": True, "rescale_type": "HU"}, "pass"),
        ("rescale", {"multi_energy": True, "real_world_units": ("[hnsf'U]",)}, "pass"),
        ("rescale", {"rescale_type": "HU", "real_world_units": ("mg/cm3",)}, "fail"),
        ("rescale", {"real_world_units": ("10*23/ml", "%")}, "fail"),
        ("rescale", {"rescale_type": "HU", "real_world_units": ("[hnsf'U]",)}, "pass"),
        ("rescale", {"rescale_type": "HU", "real_world_units": ("HU", "mg/cm3")}, "pass"),
        ("rescale", {"rescale_type": "MGML", "real_world_units": ("HU",)}, "fail"),
        ("phantom", {"phantom_signs": ("Quality Control Image",)}, "fail"),
        ("phantom", {"study_description": "CT CHEST"}, "pass"),
        ("image_type", {"image_type": ("DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED")}, "fail"),
        ("image_type", {"series_description": "Thorax VNC"}, "fail"),
        ("contrast", {"series_description": "Thorax VNC"}, "fail"),
        ("header_problems", {"problems": ("SliceThickness: bad",)}, "warning"),
    ],
)
def test_rule(rule: str, changes: dict[str, Any], verdict: str) -> None:
    decision = judge_eligibility(ct_series(**changes), POLICY)
    reason = reason_of(decision, rule)
    assert reason.verdict == verdict, str(reason)
    if verdict == "fail":
        assert not decision.eligible


def test_what_a_dicomnode_made_is_that_and_nothing_else() -> None:
    """Whatever else does not fit: a list shall say why it is here, not all that it is not."""
    made = ct_series(made_here=True, modality="OT", sop_class_uid=SECONDARY_CAPTURE)
    (reason,) = judge_eligibility(made, POLICY).reasons
    assert (reason.rule, reason.verdict) == (OWN_RESULT, Verdict.FAIL)


def test_one_slice_of_another_modality_is_enough() -> None:
    series = ct_series()
    series[30] = replace(series[30], modality="PT")
    assert reason_of(judge_eligibility(series, POLICY), "modality").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_of_reference_uid": "9.9"},
        {"pixel_spacing": (0.8, 0.7)},
        {"columns": 256},
        {"image_orientation_patient": (0, 1, 0, 0, 0, -1)},
    ],
)
def test_one_differing_slice_is_no_part_of_the_stack_and_leaves_a_gap(
    changes: dict[str, Any],
) -> None:
    series = ct_series()
    series[30] = replace(series[30], **changes)
    decision = judge_eligibility(series, POLICY)
    assert [reason.rule for reason in decision.failures] == ["evenly_spaced"]
    assert "(1 slice): not fit" in str(reason_of(decision, "stacks").value)
    assert "1 gap" in str(reason_of(decision, "evenly_spaced").value)


def test_slice_spacing_decides_though_the_attribute_says_thin() -> None:
    decision = judge_eligibility(ct_series(spacing=5.0, slice_thickness=1.0), POLICY)
    assert [reason.rule for reason in decision.failures] == ["slice_spacing"]
    assert reason_of(decision, "slice_spacing").value == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("count", "verdict"), [(1, "fail"), (9, "fail"), (10, "warning"), (51, "pass")]
)
def test_slice_count(count: int, verdict: str) -> None:
    decision = judge_eligibility(ct_series(count), POLICY)
    assert reason_of(decision, "slice_count").verdict == verdict
    assert decision.eligible == (verdict != "fail")


def test_a_missing_and_a_repeated_slice_are_told() -> None:
    series = ct_series()
    del series[20]
    found = reason_of(judge_eligibility(series, POLICY), "evenly_spaced")
    assert found.verdict is Verdict.FAIL
    assert "1 gap" in str(found.value)
    series = [*ct_series(), ct_header(99, z=20.0)]
    found = reason_of(judge_eligibility(series, POLICY), "evenly_spaced")
    assert found.verdict is Verdict.FAIL
    assert "1 slice at a position already taken" in str(found.value)


def test_a_localizer_beside_a_good_stack_is_left_out() -> None:
    scout = ct_header(
        99,
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        image_orientation_patient=(0, 1, 0, 0, 0, -1),
    )
    decision = judge_eligibility([*ct_series(), scout], POLICY)
    assert decision.eligible
    assert reason_of(decision, "localizer").verdict is Verdict.WARNING
    assert scout not in decision.stack.headers
    assert len(decision.stack.headers) == 60


def test_the_site_may_set_other_limits() -> None:
    series = ct_series(spacing=5.0, slice_thickness=5.0, contrast_bolus_agent="CE")
    allowed = EligibilityPolicy(max_slice_thickness_mm=5.0, allow_contrast=True)
    assert judge_eligibility(series, allowed).eligible
    assert not judge_eligibility(series, replace(allowed, max_slice_spacing_mm=3.0)).eligible


@pytest.mark.parametrize(
    "wrong",
    [{"max_slice_thickness_mm": 0.0}, {"max_slice_spacing_mm": -1.0}, {"min_slices": 1}],
)
def test_a_policy_that_no_series_can_meet_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EligibilityPolicy(**wrong)


def test_a_thickness_that_only_some_slices_tell() -> None:
    series = ct_series()
    series[5] = replace(series[5], slice_thickness=None)
    reason = reason_of(judge_eligibility(series, POLICY), "slice_thickness")
    assert reason.verdict is Verdict.WARNING
    assert reason.value == "2 mm, absent in 1 of 60 instances"


def test_values_that_differ_are_counted() -> None:
    series = ct_series()
    series[5] = replace(series[5], modality="PT")
    reason = reason_of(judge_eligibility(series, POLICY), "modality")
    assert str(reason) == "modality: CT (59), PT (1) (asked for: CT) – fail"


def test_many_header_problems_are_told_in_short() -> None:
    series = [ct_header(i, z=i, problems=(f"Rows: {i}",)) for i in range(1, 6)]
    reason = reason_of(judge_eligibility(series, POLICY), "header_problems")
    assert reason.value == "Rows: 1; Rows: 2; Rows: 3 and 2 more"


def test_no_instances_at_all_have_reasons_too() -> None:
    decision = judge_eligibility([], POLICY)
    assert not decision.eligible
    assert len(decision.reasons) == len(RULES)


def test_as_json_keeps_every_reason() -> None:
    described = judge_eligibility(ct_series(3), POLICY).as_json()
    assert described["eligible"] is False
    count = [r for r in described["reasons"] if r["rule"] == "slice_count"]
    assert count == [{"rule": "slice_count", "value": 3, "limit": "at least 10", "verdict": "fail"}]


NUMBERS = st.floats(-1000, 1000, allow_nan=False)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "modality": st.sampled_from(["CT", "", "OT"]),
        "image_type": st.lists(st.sampled_from(["ORIGINAL", "AXIAL", "", "LOCALIZER"])).map(tuple),
        "instance_number": st.none() | st.integers(-5, 5),
        "rows": st.none() | st.integers(1, 3),
        "number_of_frames": st.integers(1, 3),
        "pixel_spacing": st.none() | st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)),
        "slice_thickness": st.none() | st.floats(0.01, 100),
        "image_position_patient": st.none() | st.tuples(NUMBERS, NUMBERS, NUMBERS),
        "image_orientation_patient": st.none()
        | st.tuples(*[st.floats(-1, 1, allow_nan=False)] * 6)
        | st.sampled_from([(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (0, 0, 0, 0, 0, 0)]),
        "rescale_slope": st.none() | NUMBERS,
        "contrast_bolus_agent": st.sampled_from(["", "NONE", "CE", "平扫"]),
        "has_pixel_data": st.booleans(),
    },
)


@st.composite
def series_and_shuffled(
    draw: st.DrawFn,
) -> tuple[list[InstanceHeader], list[InstanceHeader]]:
    changed = draw(st.lists(CHANGES, max_size=8))
    plain = draw(st.integers(0, 15))
    series = ct_series(plain) + [ct_header(i, z=i * 1.5, **c) for i, c in enumerate(changed)]
    return series, draw(st.permutations(series))


@given(series_and_shuffled())
def test_any_series_in_any_order_has_one_explained_decision(
    pair: tuple[list[InstanceHeader], list[InstanceHeader]],
) -> None:
    series, shuffled = pair
    decision = judge_eligibility(series, POLICY)
    assert judge_eligibility(shuffled, POLICY) == decision
    assert decision.eligible == (not decision.failures)
    assert len(decision.reasons) == len(RULES)
    if decision.eligible:
        assert decision.stack.affine is not None
