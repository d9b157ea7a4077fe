"""Lesions of a scan, from its mask or from boxes in LPS mm, however the volume is stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.arrays.patient_axes import patient_view
from inference.errors import LesionTruthError
from inference.location_attention.network import CLASSES
from inference.training.regions.lesion_truth import Lesion, lesions_of
from inference.training.scan import LoadedScan
from inference.volume import CtVolume
from support.labelled_scans import COVID, FLU, IRRELEVANT, SPACING_MM, known_lungs, labelled
from support.orientations import AXIAL, Stored, stored, turned

ONE, OTHER = (0.0, 20.0, -70.0, 18.0), (30.0, 0.0, 80.0, 12.0)


def _lesions(scan: LoadedScan, label: str) -> tuple[Lesion, ...]:
    return lesions_of(scan, patient_view(scan.volume, known_lungs(scan)), label, CLASSES)


def _lps(scan: LoadedScan, lesion: Lesion) -> list[list[float]]:
    """Low and high corner (x, y, z) in the patient."""
    view = patient_view(scan.volume, known_lungs(scan))
    corners = [view.to_lps((z, y, x)) for z, y, x in lesion.box.tolist()]
    return np.sort(np.array(corners), axis=0).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", [*AXIAL, Stored((2, 0, 1), (False, True, False))], ids=str)
def test_mask_and_box_mean_the_same_place_however_stored(how: Stored) -> None:
    scan = labelled({ONE: COVID, OTHER: IRRELEVANT})
    assert scan.lesions is not None
    masks = turned(known_lungs(scan), how), turned(scan.lesions, how)
    other_way = LoadedScan(stored(scan.volume, how), *masks, scan.boxes)
    masked = _lesions(other_way, COVID)
    boxed = _lesions(replace(other_way, lesions=None), COVID)
    for one, other, box in zip(masked, boxed, scan.boxes, strict=True):
        assert one.box == pytest.approx(other.box, abs=1e-6)
        assert _lps(other_way, one) == pytest.approx(np.array([box.low, box.high]), abs=1e-6)
    assert [each.class_index for each in masked] == [0, 2]


def test_without_boxes_all_lesions_are_of_the_scans_class() -> None:
    scan = labelled({ONE: FLU, OTHER: FLU}, boxes=False)
    assert [each.class_index for each in _lesions(scan, FLU)] == [1, 1]
    assert [each.class_index for each in _lesions(scan, "no infection found")] == [2, 2]


def test_a_scan_without_infection_needs_no_lesion() -> None:
    scan = labelled({}, masks=False)
    assert _lesions(scan, "no infection found") == ()


@pytest.mark.parametrize(
    ("label", "balls", "told"),
    [
        (COVID, {}, "labelled COVID-19, but no lesion of it is known"),
        (COVID, {ONE: IRRELEVANT}, "no lesion of it is known"),
        (COVID, {ONE: COVID, OTHER: "cancer"}, "lesions of the class cancer, which is none here"),
    ],
)
def test_what_does_not_fit_is_refused(
    label: str, balls: dict[tuple[float, float, float, float], str], told: str
) -> None:
    with pytest.raises(LesionTruthError, match=told):
        _lesions(labelled(balls), label)


def test_the_box_of_an_oblique_volume_holds_the_one_of_the_patient() -> None:
    scan = labelled({ONE: COVID}, masks=False)
    angle = np.radians(15)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ scan.volume.affine[:3, :3]
    tilted = replace(scan, volume=CtVolume(scan.volume.hu, affine))
    (lesion,) = _lesions(tilted, COVID)
    extent = (lesion.box[1] - lesion.box[0]) * SPACING_MM
    (box,) = scan.boxes
    across, down = (high - low for low, high in zip(box.low[:2], box.high[:2], strict=True))
    wanted = across * np.cos(angle) + down * np.sin(angle)
    assert extent[2] == pytest.approx(wanted, rel=1e-6)
