"""Losses of what segments and proposes, against the formulae of their papers written out."""

from __future__ import annotations

import math

import pytest
import torch

from inference.training.overlap_losses import SMOOTH, classes_loss, dice_loss, voxel_loss
from inference.training.regions.anchors import NEGATIVE, POSITIVE, UNCOUNTED
from inference.training.regions.proposal_losses import objectness_loss, offsets_loss

SURE = 60.0
"""Log-odds at which a float32 probability is 0 or 1."""


def test_dice_by_hand() -> None:
    shares, truth = torch.tensor([0.5, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    wanted = 1 - (2 * 1.5 + SMOOTH) / (1.25 + 2.0 + SMOOTH)
    assert float(dice_loss(shares, truth)) == pytest.approx(wanted)


def test_dice_of_what_is_right_or_rightly_empty_is_no_loss() -> None:
    truth = (torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    assert float(dice_loss(truth, truth)) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(torch.zeros(9), torch.zeros(9))) == 0


def test_classes_loss_is_least_where_all_is_right() -> None:
    labels = torch.tensor([[[0, 1], [2, 1]]])
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() * SURE
    assert float(classes_loss(right, labels)) == pytest.approx(0, abs=1e-5)
    swapped = right[:, [0, 2, 1]]
    assert float(classes_loss(swapped, labels)) > float(classes_loss(right * 0, labels)) > 1


def test_even_logits_cost_the_logarithm_of_the_classes_and_the_dice() -> None:
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    dice = 1 - SMOOTH / (4 * (1 / 3) ** 2 + SMOOTH)
    wanted = math.log(3) + dice
    assert float(classes_loss(torch.zeros(1, 3, 2, 2), labels)) == pytest.approx(wanted)


def test_voxels_that_do_not_count_change_nothing() -> None:
    truth, counts = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    some = voxel_loss(torch.tensor([2.0, -1.0, -SURE]), truth, counts)
    other = voxel_loss(torch.tensor([2.0, -1.0, SURE]), truth, counts)
    assert float(some) == float(other) > 0
    assert float(voxel_loss(torch.tensor([SURE]), torch.ones(1), torch.zeros(1))) == 0


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_objectness_is_the_mean_of_the_positive_and_of_the_hardest_negative() -> None:
    """64 negatives count at least: 65 easy ones and 63 that are even make 63 and one."""
    labels = torch.full((130,), NEGATIVE, dtype=torch.int8)
    labels[0], labels[1] = POSITIVE, UNCOUNTED
    log_odds = torch.full((130,), _log_odds(0.1))
    log_odds[0], log_odds[1], log_odds[2:65] = _log_odds(0.8), SURE, 0.0
    wanted = -math.log(0.8) + (63 * math.log(2) - math.log(0.9)) / 64
    assert float(objectness_loss(log_odds, labels)) == pytest.approx(wanted, rel=1e-5)


def test_three_negatives_count_for_each_of_many_positives() -> None:
    labels = torch.tensor([POSITIVE] * 30 + [NEGATIVE] * 200, dtype=torch.int8)
    log_odds = torch.tensor([SURE] * 30 + [0.0] * 90 + [-SURE] * 110)
    assert float(objectness_loss(log_odds, labels)) == pytest.approx(math.log(2), rel=1e-5)


def test_a_batch_without_lesion_teaches_what_is_none_and_an_uncounted_one_nothing() -> None:
    labels = torch.full((1, 3, 2, 2, 2), NEGATIVE, dtype=torch.int8)
    log_odds = torch.zeros(labels.shape, requires_grad=True)
    (slopes,) = torch.autograd.grad(objectness_loss(log_odds, labels), log_odds)
    assert bool((slopes > 0).all())
    nothing = objectness_loss(log_odds, torch.full_like(labels, UNCOUNTED))
    (slopes,) = torch.autograd.grad(nothing, log_odds)
    assert float(nothing.detach()) == 0
    assert not bool(slopes.any())


def test_offsets_count_where_an_anchor_is_positive() -> None:
    """Smooth L1: 9 d^2 / 2 below 1/9, |d| - 1/18 above; the sum over the six."""
    labels = torch.zeros(1, 2, 1, 1, 1, dtype=torch.int8)
    labels[0, 1] = POSITIVE
    wanted = torch.zeros(1, 2, 6, 1, 1, 1)
    found = torch.full_like(wanted, 9.0)
    found[0, 1, :, 0, 0, 0] = torch.tensor([0.5, 2.0, 0.1, 0, 0, 0])
    assert float(offsets_loss(found, wanted, labels)) == pytest.approx(2.5 - 2 / 18 + 0.045)
    assert float(offsets_loss(found, wanted, torch.zeros_like(labels))) == 0
