"""What the PACS, the slices and the headers say, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicomnode.decisions.arrival.arrival_evidence import (
    Announcement,
    HeaderEvidence,
    PacsCount,
    Weight,
    announcement_evidence,
    evidence_of_headers,
    pacs_evidence,
    slices_evidence,
)
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.geometry import sort_slices
from support.ct_headers import ct_series

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ORIENTED_ELSE = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def look(headers: Sequence[InstanceHeader]) -> HeaderEvidence:
    return evidence_of_headers(headers, sort_slices(headers))


@pytest.mark.parametrize(
    ("count", "at_least", "asked_after", "weight"),
    [
        (60, False, 1, Weight.PROVES),
        (60, False, 0, Weight.PROVES),
        (60, False, -1, Weight.NEUTRAL),  # asked before the last instance came
        (60, True, 1, Weight.NEUTRAL),  # at least as many as came
        (59, False, 1, Weight.NEUTRAL),  # it may still be storing itself
        (0, False, 1, Weight.NEUTRAL),  # it never heard of the series
        (61, False, 1, Weight.CONTRADICTS),
        (61, False, -1, Weight.CONTRADICTS),  # what it had then it has still
        (61, True, 1, Weight.CONTRADICTS),
        (None, False, 1, Weight.NEUTRAL),
    ],
)
def test_what_a_count_of_the_pacs_proves(
    count: int | None, at_least: bool, asked_after: int, weight: Weight
) -> None:
    asked_at = START + timedelta(seconds=asked_after)
    answer = PacsCount("pacs", asked_at, count, "C-FIND", at_least=at_least)
    assert pacs_evidence(answer, 60, START).weight is weight


def test_a_pacs_that_is_silent_says_why() -> None:
    told = pacs_evidence(PacsCount("pacs", START, None, "no answer: it is down"), 60, START)
    assert told.noted().as_json() == {
        "witness": "pacs_count",
        "says": "neutral",
        "evidence": "pacs: no answer: it is down",
    }


def test_slices_without_a_gap_support() -> None:
    assert look(ct_series(30)) == HeaderEvidence(slices=30, missing=0)
    assert slices_evidence(look(ct_series(30))).weight is Weight.SUPPORTS


@pytest.mark.parametrize(("absent", "missing"), [([5], 1), ([5, 6, 7], 3), ([3, 20], 2)])
def test_slices_missing_in_the_middle_are_counted(absent: list[int], missing: int) -> None:
    left = [each for each in ct_series(30) if each.instance_number not in absent]
    found = slices_evidence(look(left))
    assert found.weight is Weight.CONTRADICTS
    assert found.value == f"{missing} slice{'s' * (missing > 1)} missing between others"


def test_slices_missing_at_an_end_cannot_be_seen() -> None:
    assert slices_evidence(look(ct_series(30)[5:])).weight is Weight.SUPPORTS


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ct_series(1),
        [replace(each, image_position_patient=None) for each in ct_series(30)],
        [*ct_series(30), replace(ct_series(1)[0], image_orientation_patient=ORIENTED_ELSE)],
    ],
    ids=["none", "one", "no positions", "two orientations"],
)
def test_what_is_no_single_stack_says_nothing(headers: list[InstanceHeader]) -> None:
    assert slices_evidence(look(headers)).weight is Weight.NEUTRAL


@pytest.mark.parametrize(
    ("count", "came", "binding", "weight"),
    [
        (60, 60, False, Weight.PROVES),
        (60, 60, True, Weight.PROVES),
        (120, 60, False, Weight.DOUBTS),
        (120, 60, True, Weight.CONTRADICTS),
        (30, 60, True, Weight.NEUTRAL),
    ],
)
def test_what_an_announced_count_proves(
    count: int, came: int, binding: bool, weight: Weight
) -> None:
    assert announcement_evidence(Announcement("A", count, came, binding)).weight is weight


def announced(headers: Sequence[InstanceHeader]) -> dict[str, tuple[int, int, bool]]:
    return {
        each.attribute: (each.count, each.came, each.binding) for each in look(headers).announced
    }


def test_the_count_of_the_series_binds_when_all_state_it_alike() -> None:
    stated = ct_series(30, number_of_series_related_instances=31)
    assert announced(stated) == {"Number of Series Related Instances": (31, 30, True)}
    differing = [*stated[1:], replace(stated[0], number_of_series_related_instances=32)]
    assert announced(differing) == {}
    silent = [*stated[1:], replace(stated[0], number_of_series_related_instances=None)]
    assert announced(silent) == {}


def test_images_of_several_acquisitions_add_up() -> None:
    first = ct_series(10, images_in_acquisition=10, acquisition_number=1)
    second = [
        replace(
            each,
            sop_instance_uid=f"1.9.{number}",
            images_in_acquisition=12,
            acquisition_number=2,
        )
        for number, each in enumerate(ct_series(10))
    ]
    assert announced(first) == {"Images in Acquisition": (10, 10, False)}
    assert announced(first + second) == {"Images in Acquisition": (22, 20, False)}
    assert announced([*first, replace(second[0], images_in_acquisition=None)]) == {}


def test_images_in_acquisition_of_multi_frame_objects_may_be_frames() -> None:
    assert announced(ct_series(10, images_in_acquisition=400, number_of_frames=40)) == {}


def test_parts_of_a_concatenation_are_counted_by_it() -> None:
    parts = [
        replace(each, concatenation_uid="1.7", in_concatenation_total_number=3)
        for each in ct_series(2)
    ]
    assert announced(parts) == {"In-concatenation Total Number": (3, 2, True)}


def test_frames_of_one_instance_count_once() -> None:
    frames = [
        replace(each, sop_instance_uid="1.2.3.1", number_of_series_related_instances=1)
        for each in ct_series(30)
    ]
    assert announced(frames) == {"Number of Series Related Instances": (1, 1, True)}
