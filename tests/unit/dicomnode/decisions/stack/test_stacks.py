"""Several stacks in one series: told apart, named, the best of them analysed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.eligibility import (
    Eligibility,
    EligibilityPolicy,
    judge_eligibility,
)
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.stack.copies import possible_copies, without_copies
from dicomnode.decisions.stack.stacks import lies_evenly, stacks_of
from support.ct_headers import ct_header, ct_series, real_series

POLICY = EligibilityPolicy()
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def again(series: Sequence[InstanceHeader], uid: str = "9", **changes: Any) -> list[InstanceHeader]:
    """Another stack at the same positions."""
    return [replace(h, sop_instance_uid=f"{uid}.{h.instance_number}", **changes) for h in series]


def names(series: Sequence[InstanceHeader]) -> list[str]:
    return [each.name for each in stacks_of(series)]


def value(decision: Eligibility, rule: str) -> str:
    (reason,) = [reason for reason in decision.reasons if reason.rule == rule]
    return str(reason.value)


def test_one_even_stack_stays_whole_and_has_no_name() -> None:
    rotations = [replace(h, acquisition_number=i // 4) for i, h in enumerate(ct_series())]
    assert names(rotations) == ["60 slices"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"convolution_kernel": "B70f"}, ["Convolution Kernel B30F", "Convolution Kernel B70F"]),
        ({"slice_thickness": 5.0}, ["Slice Thickness 2 mm", "Slice Thickness 5 mm"]),
        ({"rows": 256, "columns": 256}, ["matrix 256x256", "matrix 512x512"]),
        ({"pixel_spacing": (0.5, 0.5)}, ["Pixel Spacing 0.5\\0.5 mm", "Pixel Spacing 0.7\\0.7 mm"]),
        ({"frame_of_reference_uid": "1.9"}, ["Frame of Reference 1.2.4", "Frame of Reference 1.9"]),
        (
            {"image_orientation_patient": SAGITTAL},
            ["orientation 0\\1\\0\\0\\0\\-1", "orientation 1\\0\\0\\0\\1\\0"],
        ),
        ({"sop_class_uid": "1.2.8"}, ["SOP Class 1.2.8", "SOP Class 1.2.840.10008.5.1.4.1.1.2"]),
        (
            {"image_type": ("DERIVED", "PRIMARY", "AXIAL", "MIP")},
            ["acquired", "reformat, projection or rendering"],
        ),
        ({"acquisition_number": 2}, ["Acquisition Number 1", "Acquisition Number 2"]),
        (
            {"contrast_bolus_agent": "CE"},
            ["Contrast/Bolus Agent CE", "Contrast/Bolus Agent absent"],
        ),
        ({"kvp": 80.0}, ["KVP 120", "KVP 80"]),
        (
            {"image_type": ("DERIVED", "PRIMARY", "AXIAL")},
            ["Image Type DERIVED\\PRIMARY\\AXIAL", "Image Type ORIGINAL\\PRIMARY\\AXIAL"],
        ),
        ({"temporal_position": "2"}, ["temporal position 1", "temporal position 2"]),
        ({"cardiac_phase": "70"}, ["cardiac phase 30", "cardiac phase 70"]),
        ({"contrast_phase": "PORTAL"}, ["contrast phase PORTAL", "contrast phase PRE"]),
        ({"stack_id": "B"}, ["Stack ID A", "Stack ID B"]),
        ({"acquisition_time": "101600"}, ["acquisition time 101500", "acquisition time 101600"]),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else "",
)
def test_two_stacks_at_the_same_positions_are_named_by_what_differs(
    changes: dict[str, Any], expected: list[str]
) -> None:
    first = ct_series(
        acquisition_number=1,
        convolution_kernel="B30f",
        kvp=120.0,
        temporal_position="1",
        cardiac_phase="30",
        contrast_phase="PRE",
        stack_id="A",
        acquisition_time="101500",
    )
    series = first + again(first, **changes)
    assert names(series[::-1]) == [f"{name} (60 slices)" for name in expected]
    in_one_plane = "image_orientation_patient" in changes
    assert all(lies_evenly(each.stack) for each in stacks_of(series)) != in_one_plane


@pytest.mark.parametrize("number", [lambda n: n + 60, lambda n: 121 - n], ids=["on", "back"])
def test_two_stacks_that_only_their_numbers_tell_apart(number: Callable[[int], int]) -> None:
    first = ct_series()
    second = [replace(h, instance_number=number(h.instance_number or 0)) for h in again(first)]
    assert names(second + first) == [
        "pass by Instance Number 1 (60 slices)",
        "pass by Instance Number 2 (60 slices)",
    ]


def test_slices_numbered_place_by_place_are_parted_by_rank() -> None:
    first = [replace(h, instance_number=2 * i) for i, h in enumerate(ct_series())]
    second = [replace(h, instance_number=2 * i + 1) for i, h in enumerate(again(first))]
    assert names(second + first) == [
        "1 of 2 at each position (60 slices)",
        "2 of 2 at each position (60 slices)",
    ]


@pytest.mark.parametrize(
    "number",
    [lambda _: None, lambda n: n, lambda n: n * 37 % 61 + 60],
    ids=["absent", "equal", "random"],
)
def test_what_nothing_tells_apart_is_never_dealt_out(number: Callable[[int], int | None]) -> None:
    first = ct_series()
    second = [replace(h, instance_number=number(h.instance_number or 0)) for h in again(first)]
    series = [replace(h, instance_number=number(h.instance_number or 0)) for h in first] + second
    assert names(series) == ["120 slices"]
    assert "evenly_spaced" in {r.rule for r in judge_eligibility(series, POLICY).failures}


def test_the_same_scan_moved_in_its_plane_is_another_stack() -> None:
    first = ct_series()
    moved = [
        replace(h, image_position_patient=(-150.0, -170.0, h.image_position_patient[2]))
        for h in again(first)
        if h.image_position_patient is not None
    ]
    assert names(first + moved) == [
        "place in the plane -150\\-170 mm (60 slices)",
        "place in the plane -180\\-170 mm (60 slices)",
    ]


def test_two_scans_that_overlap_in_part_and_differ_in_spacing() -> None:
    upper = [replace(h, acquisition_number=1) for h in ct_series(40, 2.0)]
    lower = [
        replace(ct_header(100 + i, z=60.3 - i * 1.25), acquisition_number=2) for i in range(50)
    ]
    assert names([*upper, *lower]) == [
        "Acquisition Number 2 (50 slices)",
        "Acquisition Number 1 (40 slices)",
    ]


def test_the_overlapping_scans_of_a_real_series() -> None:
    (headers,) = real_series("ge_5mm_arterial_contrast").values()
    stacks = stacks_of(headers)
    assert [each.name for each in stacks] == [
        "Acquisition Number 2 (59 slices)",
        "Acquisition Number 1 (37 slices)",
        "Acquisition Number 3 (3 slices)",
    ]
    assert [lies_evenly(each.stack) for each in stacks] == [True, True, False]


def test_three_phases_and_two_kernels_make_six_stacks() -> None:
    phases = [ct_series(30, acquisition_number=n) for n in (1, 2, 3)]
    sharp = [again(p, f"8.{n}", convolution_kernel="LUNG") for n, p in enumerate(phases)]
    soft = [again(p, f"9.{n}", convolution_kernel="SOFT") for n, p in enumerate(phases)]
    found = stacks_of([h for part in sharp + soft for h in part])
    assert [each.told_apart_by for each in found] == [
        (f"Convolution Kernel {kernel}", f"Acquisition Number {n}")
        for kernel in ("LUNG", "SOFT")
        for n in (1, 2, 3)
    ]


def test_a_gap_in_rotations_of_four_slices_does_not_scatter_them() -> None:
    series = [replace(h, acquisition_number=i // 4) for i, h in enumerate(ct_series())]
    del series[20:23]
    assert names(series) == ["57 slices"]
    assert judge_eligibility(series, POLICY).failures[0].rule == "evenly_spaced"


def test_one_slice_that_is_there_twice_with_other_pixels_is_nobodys_choice() -> None:
    series = [*ct_series(), ct_header(99, z=20.0)]
    assert names(series) == ["61 slices"]


def test_a_slice_that_does_not_tell_goes_with_the_others_where_they_agree() -> None:
    series = ct_series(convolution_kernel="B30f")
    series[5] = replace(series[5], convolution_kernel="", slice_thickness=None)
    assert names(series) == ["60 slices"]
    series[6:30] = [replace(h, convolution_kernel="B70f") for h in series[6:30]]
    assert "Convolution Kernel absent (1 slice)" in names(series)


def test_scanners_roundings_do_not_part_a_stack() -> None:
    series = [
        replace(
            h,
            image_orientation_patient=(1.0, 0.0001 * (i % 3), 0.0, 0.0, 1.0, 0.0),
            pixel_spacing=(0.7 + 0.00001 * (i % 4), 0.7),
            slice_thickness=2.0 + 0.001 * (i % 5),
        )
        for i, h in enumerate(ct_series())
    ]
    assert names(series) == ["60 slices"]


def test_without_positions_nothing_is_parted_by_place() -> None:
    series = ct_series(20, image_position_patient=None, acquisition_number=1)
    assert names(series + again(series, acquisition_number=2)) == ["40 slices"]


def test_no_headers_are_one_stack_of_nothing() -> None:
    assert names([]) == ["0 slices"]


def test_one_good_stack_is_analysed_and_the_other_named_with_why() -> None:
    good = ct_series()
    decision = judge_eligibility([*again(good, slice_thickness=5.0), *good], POLICY)
    assert decision.eligible
    assert {h.slice_thickness for h in decision.stack.headers} == {2.0}
    assert value(decision, "stacks") == (
        "2: Slice Thickness 2 mm (60 slices) looked at; "
        "left out: Slice Thickness 5 mm (60 slices): not fit (slice_thickness)"
    )


def test_of_native_and_contrast_phase_the_native_one_is_analysed() -> None:
    native = ct_series(acquisition_number=1, contrast_bolus_agent="NONE")
    arterial = again(native, acquisition_number=2, contrast_bolus_agent="Iohexol")
    decision = judge_eligibility(arterial + native, POLICY)
    assert decision.eligible
    assert {h.acquisition_number for h in decision.stack.headers} == {1}
    assert "not fit (contrast)" in value(decision, "stacks")


def test_localizer_and_dose_report_beside_a_stack_do_not_hinder_it() -> None:
    scout = ct_header(98, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), pixel_spacing=(1, 1))
    page = ct_header(
        99,
        image_type=("DERIVED", "SECONDARY", "SCREEN SAVE"),
        image_position_patient=None,
        image_orientation_patient=None,
        samples_per_pixel=3,
        rescale_slope=None,
    )
    decision = judge_eligibility([page, *ct_series(), scout], POLICY)
    assert decision.eligible
    assert len(decision.stack.headers) == 60
    warned = {r.rule: str(r.value) for r in decision.reasons if r.verdict is Verdict.WARNING}
    assert set(warned) == {"localizer", "stacks"}
    assert (
        "secondary image, screen capture or report (1 slice): not fit (image_type"
        in (warned["stacks"])
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"convolution_kernel": "STANDARD"}, {"convolution_kernel": "LUNG"}),
        ({"convolution_kernel": "Br40d"}, {"convolution_kernel": "Bl64d"}),
    ],
)
def test_of_two_good_stacks_the_better_kernel_is_taken(
    better: dict[str, Any], worse: dict[str, Any]
) -> None:
    series = ct_series(**better)
    decision = judge_eligibility(again(series, **worse) + series, POLICY)
    assert decision.eligible
    assert decision.stack.headers[0].convolution_kernel == better["convolution_kernel"]
    assert "fit too, but not the best: 60 slices every 2 mm" in value(decision, "stacks")


def test_of_two_good_stacks_the_finer_is_taken() -> None:
    fine = ct_series(120, 1.0, slice_thickness=1.0)
    coarse = again(ct_series(60, 2.0), slice_thickness=2.0)
    decision = judge_eligibility(coarse + fine, POLICY)
    assert decision.stack.slice_spacing_mm == pytest.approx(1.0)


def test_where_none_is_good_the_longest_scan_is_told_of_not_a_stray_slice() -> None:
    scan = ct_series(60, 5.0, slice_thickness=5.0, contrast_bolus_agent="CE")
    stray = ct_header(99, z=7.0, slice_thickness=1.0)
    decision = judge_eligibility([stray, *scan], POLICY)
    assert {r.rule for r in decision.failures} == {"contrast", "slice_thickness", "slice_spacing"}
    assert len(decision.stack.headers) == 60


def test_many_stacks_are_told_in_short() -> None:
    series = [ct_header(i, z=i, slice_thickness=float(i)) for i in range(1, 9)]
    assert value(judge_eligibility(series, POLICY), "stacks").endswith("; and 2 more")


def copied(series: Sequence[InstanceHeader]) -> list[InstanceHeader]:
    """With the digests that the shell reads for slices that are alike."""
    return [replace(h, pixel_data_sha256=f"{i:064x}") for i, h in enumerate(series)]


def test_copies_under_another_uid_are_left_out_and_counted() -> None:
    series = copied(ct_series())
    copies = [replace(h, instance_number=500 + i) for i, h in enumerate(again(series[:7]))]
    decision = judge_eligibility(copies + series, POLICY)
    assert decision.eligible
    assert {h.sop_instance_uid for h in decision.stack.headers} == {
        h.sop_instance_uid for h in series
    }
    assert value(decision, "copies") == "7 of 67 slices, left out"


def test_only_slices_alike_in_what_counts_are_compared() -> None:
    series = ct_series(5)
    twin = replace(series[2], sop_instance_uid="9", instance_number=77)
    other = replace(series[3], sop_instance_uid="8", slice_thickness=1.0)
    found = possible_copies([*series, twin, other])
    assert found == {series[2].slice_key, ("9", None)}
    unplaced = replace(series[0], image_position_patient=None)
    assert possible_copies([unplaced, replace(unplaced, sop_instance_uid="7")]) == frozenset()


def test_slices_with_other_or_unknown_pixels_are_no_copies() -> None:
    header = ct_header()
    unknown = [header, replace(header, sop_instance_uid="9")]
    assert len(without_copies(unknown)) == 2
    assert len(without_copies([replace(unknown[0], pixel_data_sha256="a"), unknown[1]])) == 2
    assert len(without_copies([replace(h, pixel_data_sha256="a") for h in unknown])) == 1


TILTED = (1.0, 0.0, 0.0, 0.0, math.cos(0.3), -math.sin(0.3))
DIFFERENT = st.fixed_dictionaries(
    {},
    optional={
        "convolution_kernel": st.sampled_from(["", "A", "L"]),
        "acquisition_number": st.none() | st.integers(1, 2),
        "slice_thickness": st.sampled_from([None, 2.0, 2.005, 5.0]),
        "image_orientation_patient": st.sampled_from([None, TILTED, SAGITTAL]),
        "image_position_patient": st.none()
        | st.tuples(st.just(-180.0), st.just(-170.0), st.sampled_from([0.0, 2.0, 2.005, 31.0])),
        "pixel_data_sha256": st.sampled_from(["", "a"]),
        "image_type": st.sampled_from([(), ("ORIGINAL", "PRIMARY", "LOCALIZER")]),
    },
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), DIFFERENT), max_size=30), st.integers(0, 30), st.data()
)
def test_every_slice_is_in_one_stack_whatever_the_order(
    odd: list[tuple[int, dict[str, Any]]], plain: int, data: st.DataObject
) -> None:
    series = ct_series(plain) + [
        ct_header(1000 + n, z=2.0 * z, **changes) for n, (z, changes) in enumerate(odd)
    ]
    stacks = stacks_of(series)
    slices = [h.slice_key for each in stacks for h in each.stack.headers]
    assert sorted(slices, key=str) == sorted((h.slice_key for h in series), key=str)
    shuffled = data.draw(st.permutations(series))
    assert stacks_of(shuffled) == stacks
    assert judge_eligibility(shuffled, POLICY) == judge_eligibility(series, POLICY)
