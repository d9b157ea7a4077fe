from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.arrays.components import (
    bounding_box,
    close_in_plane,
    dilate_in_plane,
    erode_in_plane,
    fill_in_plane,
    fill_volume,
    label_in_plane,
    label_volume,
    largest,
    means,
    open_in_plane,
    select,
    sizes,
)


def _cube(shape: tuple[int, int, int], box: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[box] = True
    return mask


def test_slices_are_labelled_apart_even_where_they_touch() -> None:
    mask = _cube((2, 6, 6), np.s_[:, 4:6, 1:3])
    mask[1, 0, 1:3] = True  # next to the last row of the slice before it
    labels = label_in_plane(mask)
    assert sorted(sizes(labels).tolist()) == [0, 2, 4, 4]
    assert (labels.array() > 0).tolist() == mask.tolist()
    assert label_volume(mask).count == 2


def test_in_plane_labels_join_edges_not_corners() -> None:
    mask = np.eye(3, dtype=np.bool_)[None]
    assert label_in_plane(mask).count == 3


@st.composite
def _masks(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Noise, in which components touch in every way; sometimes none, sometimes all."""
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    noise = np.random.default_rng(draw(st.integers(0, 2**32))).random(shape)
    return noise < draw(st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0]))


def _itk_labels(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    itk: Any = SimpleITK
    image = itk.ConnectedComponent(itk.GetImageFromArray(mask.view(np.uint8)), False)
    return np.asarray(itk.GetArrayFromImage(image), np.int64)


@given(_masks())
def test_labels_of_the_volume_are_those_of_itk(mask: NDArray[np.bool_]) -> None:
    labels, wanted = label_volume(mask), _itk_labels(mask)
    assert labels.array().tolist() == wanted.tolist()
    assert sizes(labels).tolist() == [0, *np.bincount(wanted[mask])[1:]]
    assert (
        largest(mask).tolist()
        == ((wanted == sizes(labels).argmax()) & mask if mask.any() else mask).tolist()
    )


@given(_masks())
def test_labels_in_plane_are_those_of_itk_slice_by_slice(mask: NDArray[np.bool_]) -> None:
    before, labels = 0, label_in_plane(mask)
    for index, (found, of_slice) in enumerate(zip(labels.array(), mask, strict=True)):
        wanted = _itk_labels(of_slice[None])[0]
        assert found.tolist() == np.where(of_slice, wanted + before, 0).tolist()
        assert labels.on_slice(index).tolist() == found.tolist()
        before += int(wanted.max())


@given(_masks())
def test_holes_of_the_volume_are_those_of_itk(mask: NDArray[np.bool_]) -> None:
    itk: Any = SimpleITK
    filled = itk.BinaryFillhole(itk.GetImageFromArray(mask.view(np.uint8)), False)
    assert fill_volume(mask).tolist() == (itk.GetArrayFromImage(filled) > 0).tolist()


@given(_masks(), st.integers(0, 2**32))
def test_selection_and_means_are_those_of_every_voxel(mask: NDArray[np.bool_], seed: int) -> None:
    draw, labels = np.random.default_rng(seed), label_volume(mask)
    keep, where = draw.random(labels.count + 1) < 0.5, mask & (draw.random(mask.shape) < 0.5)
    values = draw.integers(-1000, 1000, mask.shape).astype(np.float32)
    assert select(labels, keep).tolist() == (keep[labels.array()] & mask).tolist()
    found = means(labels, values, where)
    for label in range(1, labels.count + 1):
        chosen = values[where & (labels.array() == label)]
        assert (
            np.isnan(found[label]) if not len(chosen) else found[label] == chosen.mean(dtype=float)
        )


def test_components_that_meet_late_are_one() -> None:
    """A comb hung upside down: its teeth are known of each other only in the last row."""
    comb = np.zeros((1, 40, 41), np.bool_)
    comb[0, :, ::2] = comb[0, -1] = True
    assert label_in_plane(comb).count == 1


def test_largest_of_nothing_is_nothing() -> None:
    assert not largest(np.zeros((2, 3, 3), np.bool_)).any()


def test_largest_and_select() -> None:
    mask = _cube((3, 8, 8), np.s_[:, 0:3, 0:3]) | _cube((3, 8, 8), np.s_[:1, 6:8, 6:8])
    assert largest(mask).tolist() == _cube((3, 8, 8), np.s_[:, 0:3, 0:3]).tolist()
    labels = label_volume(mask)
    assert not select(labels, np.array([True, False, False])).any()


def test_means_over_part_of_a_label() -> None:
    labels = label_in_plane(np.array([[[True, True, False, True]]]))
    values = np.array([[[10.0, 20.0, 7.0, 5.0]]])
    where = np.array([[[False, True, False, False]]])
    found = means(labels, values, where)
    assert found[1] == 20.0
    assert np.isnan(found[2])


def test_a_ring_is_filled_in_plane_and_a_gap_lets_the_outside_in() -> None:
    ring = _cube((1, 7, 7), np.s_[:, 1:6, 1:6]) & ~_cube((1, 7, 7), np.s_[:, 2:5, 2:5])
    assert int(fill_in_plane(ring).sum()) == 25
    ring[0, 1, 3] = False
    assert fill_in_plane(ring).tolist() == ring.tolist()


def test_a_tunnel_is_filled_in_plane_but_not_in_the_volume() -> None:
    tunnel = _cube((3, 7, 7), np.s_[:, 1:6, 1:6]) & ~_cube((3, 7, 7), np.s_[:, 3:4, 3:4])
    assert fill_in_plane(tunnel)[:, 3, 3].all()
    assert not fill_volume(tunnel)[:, 3, 3].any()
    tunnel[0, 3, 3] = tunnel[2, 3, 3] = True
    assert fill_volume(tunnel)[1, 3, 3]


@pytest.mark.parametrize("radius", [0, 1, 2, 4])
def test_discs_stay_in_their_slice_and_have_their_radius(radius: int) -> None:
    point = _cube((3, 21, 21), np.s_[1:2, 10:11, 10:11])
    grown = dilate_in_plane(point, radius)
    assert not grown[[0, 2]].any()
    assert grown[1].any(axis=0).sum() == grown[1].any(axis=1).sum() == 2 * radius + 1
    assert erode_in_plane(grown, radius).tolist() == point.tolist()


def test_the_border_of_a_slice_erodes_nothing() -> None:
    assert erode_in_plane(np.ones((1, 9, 9), np.bool_), 3).all()


def test_opening_removes_a_sheet_and_keeps_a_block() -> None:
    mask = _cube((1, 30, 30), np.s_[:, 2:4, :]) | _cube((1, 30, 30), np.s_[:, 12:25, 5:25])
    opened = open_in_plane(mask, 2)
    assert not opened[:, :5].any()
    assert opened[:, 15:22, 8:22].all()


def test_closing_fills_a_cleft_but_not_a_wide_bay_also_at_the_border() -> None:
    mask = np.ones((1, 30, 40), np.bool_)
    mask[0, 0:15, 5:8] = False
    mask[0, 0:15, 15:35] = False
    closed = close_in_plane(mask, 4)
    assert closed[0, 4:15, 5:8].all()
    assert not closed[0, 2:10, 22:28].any()


def test_bounding_box() -> None:
    box = np.s_[1:3, 2:6, 0:5]
    assert bounding_box(_cube((4, 7, 8), box)) == box
    assert bounding_box(np.zeros((2, 2, 2), np.bool_))[0] == slice(0, 0)
