"""What falls by its tags, and that what is absent rejects nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.campaign.tags import is_told, judge_tags
from dicomnode.decisions.eligibility.attribute_rules import CT_IMAGE_STORAGE
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.instance_header import InstanceHeader

POLICY = EligibilityPolicy()
NOTHING = InstanceHeader("", "", "1.2", "1", "")
THIN = replace(
    NOTHING,
    sop_class_uid=CT_IMAGE_STORAGE,
    modality="CT",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    slice_thickness=1.0,
)
ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"
LOCALIZER = replace(THIN, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))

REJECTED = {
    "modality": {"modality": "MR"},
    "sop_class": {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"},
    "slice_thickness": {"slice_thickness": 5.0},
    "localizer": {"image_type": LOCALIZER.image_type},
    "image_type": {"image_type": ("DERIVED", "SECONDARY", "MPR")},
    "contrast": {"contrast_bolus_agent": "ULTRAVIST 370"},
    "own_result": {"made_here": True},
    "phantom": {"study_description": "Phantom QA"},
}


def rules(*headers: InstanceHeader, instances: int | None = 100) -> set[str]:
    return {reason.rule for reason in judge_tags(headers, instances, POLICY)}


@pytest.mark.parametrize("rule", REJECTED)
def test_each_rule_rejects_by_what_is_told(rule: str) -> None:
    assert rule in rules(replace(THIN, **REJECTED[rule]))  # type: ignore[arg-type]
    assert rules(THIN) == set()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "sop_class_uid": st.just(CT_IMAGE_STORAGE),
            "modality": st.just("CT"),
            "image_type": st.just(THIN.image_type),
            "slice_thickness": st.floats(0.5, 3.0),
            "manufacturer": st.just("Philips"),
            "series_description": st.just("thorax lung"),
            "rows": st.just(512),
            "pixel_spacing": st.just((0.7, 0.7)),
        },
    ),
    st.sampled_from([None, 10, 300]),
)
def test_what_is_absent_rejects_nothing(told: dict[str, object], instances: int | None) -> None:
    assert rules(replace(NOTHING, **told), instances=instances) == set()  # type: ignore[arg-type]


def test_a_localizer_beside_a_scan_does_not_reject_it() -> None:
    assert rules(LOCALIZER, LOCALIZER) == {"localizer", "image_type"}
    assert rules(LOCALIZER, THIN) == set()
    assert rules() == set()


def test_few_instances_reject_where_each_is_one_slice() -> None:
    assert rules(THIN, instances=9) == {"slice_count"}
    assert rules(THIN, instances=10) == set()
    assert rules(replace(THIN, sop_class_uid=ENHANCED), instances=1) == set()
    assert rules(replace(THIN, sop_class_uid=""), instances=1) == set()


def test_a_volume_of_a_multi_frame_class_is_no_rendering() -> None:
    volume = replace(THIN, image_type=("ORIGINAL", "PRIMARY", "VOLUME"))
    assert rules(volume) == {"image_type"}
    assert rules(replace(volume, sop_class_uid=ENHANCED)) == set()
    assert rules(replace(volume, sop_class_uid="")) == set()


def test_when_single_instances_need_not_be_asked_for() -> None:
    assert is_told(THIN)
    assert not is_told(replace(THIN, slice_thickness=None))
    assert not is_told(replace(THIN, image_type=()))
