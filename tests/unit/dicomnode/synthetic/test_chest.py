"""The drawn chest: the same each time, with lungs and lesions where the truth says."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from dicomnode.synthetic.chest import drawn_chest
from dicomnode.synthetic.patient import SyntheticPatient
from dicomnode.synthetic.spacing import fine_enough

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)


def test_it_is_the_same_each_time() -> None:
    once = drawn_chest()
    drawn_chest.cache_clear()
    again = drawn_chest()
    digests = {hashlib.sha256(each.volume.hu.tobytes()).hexdigest() for each in (once, again)}
    assert len(digests) == 1


def test_lungs_are_of_a_grown_person_and_whole() -> None:
    chest = drawn_chest()
    assert 3000 < chest.lungs_ml < 6000
    assert not chest.lungs[0].any()
    assert not chest.lungs[-1].any()


@pytest.mark.parametrize(
    ("most_mm", "spacing_mm"), [(3.0, 2.5), (2.0, 2.0), (1 / 3 + 1, 1.33), (0.01, 0.5)]
)
def test_it_is_drawn_as_fine_as_a_node_asks_for(most_mm: float, spacing_mm: float) -> None:
    assert fine_enough(most_mm) == spacing_mm


def test_finer_slices_show_the_same_chest() -> None:
    usual, fine = drawn_chest(), drawn_chest(1.33)
    assert fine.spacing_mm == 1.33
    assert fine.lungs_ml == pytest.approx(usual.lungs_ml, rel=0.01)
    first, second, *_ = SyntheticPatient.new("CANARY", NOW).instances(fine)
    assert first.SliceThickness == 1.33
    assert second.ImagePositionPatient[2] - first.ImagePositionPatient[2] == pytest.approx(1.33)


def test_lesions_lie_in_the_lungs_and_on_both_sides() -> None:
    chest = drawn_chest()
    assert (chest.lesions & chest.lungs).sum() > 0.9 * chest.lesions.sum()
    middle = chest.lungs.shape[2] // 2
    assert chest.lesions[:, :, :middle].any()
    assert chest.lesions[:, :, middle:].any()


def test_a_part_lies_where_its_slices_lay() -> None:
    chest, part = drawn_chest(), drawn_chest().part(slice(20, 30))
    assert part.volume.to_lps((0.0, 3.0, 4.0)) == chest.volume.to_lps((20.0, 3.0, 4.0))


def test_words_stand_beside_the_body_on_each_slice() -> None:
    letters = drawn_chest().volume.hu[:, :20] > 900
    assert (letters.sum(axis=(1, 2)) > 100).all()
