from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.covnet.preprocess import Preprocessing, lung_box, prepare, slices_with_lung
from inference.errors import NoLungsError
from inference.findings import RowColumnBox
from inference.volume import CtVolume

SETTINGS = Preprocessing(size=64, margin_mm=4.0, smallest_lung_mm2=100.0)


def _volume(hu: int = -850) -> CtVolume:
    """Three slices of 100 x 120 pixels of 1 mm by 2 mm, 5 mm apart."""
    return CtVolume(np.full((3, 100, 120), hu, np.int16), np.diag([5.0, 1.0, 2.0, 1.0]))


def _lungs() -> NDArray[np.bool_]:
    lungs = np.zeros((3, 100, 120), np.bool_)
    lungs[0, 50:54, 60:64] = True  # 32 mm2
    lungs[1, 20:60, 30:70] = True  # 3200 mm2
    lungs[2, 30:70, 40:80] = True
    return lungs


def test_slices_with_too_little_lung_are_left_out_by_their_area_in_mm2() -> None:
    assert slices_with_lung(_volume(), _lungs(), 100.0) == (1, 2)
    assert slices_with_lung(_volume(), _lungs(), 32.0) == (0, 1, 2)


def test_no_slice_with_enough_lung_is_refused_with_the_largest_section() -> None:
    with pytest.raises(NoLungsError) as caught:
        slices_with_lung(_volume(), _lungs(), 5000.0)
    assert (caught.value.found, caught.value.limit, caught.value.unit) == (3200.0, 5000.0, "mm2")


def test_a_slice_without_lung_is_left_out_even_when_no_area_is_asked_for() -> None:
    lungs = _lungs()
    lungs[0] = False
    assert slices_with_lung(_volume(), lungs, 0.0) == (1, 2)


def test_the_box_holds_the_lungs_of_all_slices_and_a_margin_in_mm() -> None:
    assert lung_box(_volume(), _lungs(), 4.0) == RowColumnBox(16, 28, 74, 82)


def test_the_margin_ends_at_the_border_of_the_slice() -> None:
    assert lung_box(_volume(), _lungs(), 90.0) == RowColumnBox(0, 0, 100, 120)


def test_the_images_are_windowed_and_zero_outside_the_lungs() -> None:
    prepared = prepare(_volume(-850), _lungs(), SETTINGS)
    assert prepared.slice_indices == (1, 2)
    assert tuple(prepared.images.shape) == (2, 1, 64, 64)
    image = prepared.images[0, 0].numpy()
    assert image.max() == pytest.approx((-850 + 1250) / 1500)
    assert image[-10:].max() == 0.0
    assert image[0].max() == 0.0


@pytest.mark.parametrize(("hu", "value"), [(-2000, 0.0), (-1250, 0.0), (250, 1.0), (3000, 1.0)])
def test_the_window_ends_at_its_limits(hu: int, value: float) -> None:
    image = prepare(_volume(hu), _lungs(), SETTINGS).images[0, 0].numpy()
    assert image.max() == pytest.approx(value, abs=1e-6)


def test_resizing_keeps_the_mean_of_a_fine_pattern() -> None:
    """Without antialias a pattern finer than the new pixels would be sampled, not averaged."""
    volume = CtVolume(np.full((1, 448, 448), -1250, np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    volume.hu[:, ::4] = 250  # every fourth row
    lungs = np.ones((1, 448, 448), np.bool_)
    image = prepare(volume, lungs, replace(SETTINGS, margin_mm=0.0)).images[0, 0].numpy()
    assert image[4:-4].min() > 0.2
    assert image[4:-4].max() < 0.3


def test_the_defaults_are_usable() -> None:
    assert Preprocessing().problems() == ()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"hu_low": 300.0}, "window"),
        ({"size": 200}, "size"),
        ({"margin_mm": -1.0}, "margin_mm"),
        ({"smallest_lung_mm2": float("nan")}, "smallest_lung_mm2"),
    ],
)
def test_unusable_values_are_named(changed: dict[str, float], named: str) -> None:
    (problem,) = replace(Preprocessing(), **changed).problems()  # type: ignore[arg-type]
    assert problem.startswith(named)


def test_images_go_to_the_back_and_to_the_left_however_the_volume_is_stored() -> None:
    hu = np.random.default_rng(0).integers(-1000, 200, (2, 40, 40)).astype(np.int16)
    lungs = np.ones(hu.shape, np.bool_)
    plain = CtVolume(hu, np.diag([5.0, 3.0, 3.0, 1.0])[[2, 1, 0, 3]])
    turned = CtVolume(hu[:, ::-1, ::-1].copy(), plain.affine @ np.diag([1.0, -1.0, -1.0, 1.0]))
    wanted, found = (prepare(each, lungs, SETTINGS) for each in (plain, turned))
    assert np.allclose(found.images.numpy(), wanted.images.numpy(), atol=1e-6)
    assert found.flipped == (True, True)
    assert wanted.flipped == (False, False)
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    assert found.as_stored(maps).tolist() == maps[:, ::-1, ::-1].tolist()
    assert found.centre_offset == tuple(-each for each in wanted.centre_offset)
