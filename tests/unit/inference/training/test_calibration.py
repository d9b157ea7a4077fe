"""Temperatures and biases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from inference.training.calibration import (
    HIGHEST,
    LOWEST,
    fit_calibration,
)


def drawn(scale: float, scans: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `scale` times too sure, and classes drawn from what they should have been."""
    chance = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn((scans, 3), generator=chance)
    labels = torch.multinomial(torch.softmax(logits, dim=1), 1, generator=chance)[:, 0]
    return scale * logits, labels


@pytest.mark.parametrize("scale", [1.0, 3.0, 10.0])
def test_the_temperature_undoes_what_made_the_logits_too_sure(scale: float) -> None:
    assert fit_calibration(*drawn(scale)).temperature == pytest.approx(scale, rel=0.06)


def test_no_other_temperature_is_better() -> None:
    logits, labels = drawn(2.5, 50)
    weights = 1.0 / torch.bincount(labels, minlength=3).double()
    best = fit_calibration(logits, labels)
    least = cross_entropy(best.applied(logits), labels, weights)
    for other in torch.linspace(LOWEST, HIGHEST, 200, dtype=torch.float64).tolist():
        changed = replace(best, temperature=other).applied(logits)
        assert cross_entropy(changed, labels, weights) >= least - 1e-9


def test_a_network_is_never_made_surer() -> None:
    assert fit_calibration(*drawn(0.5)).temperature == pytest.approx(LOWEST, rel=1e-3)


def test_a_few_scans_that_are_all_right_do_not_make_certainty() -> None:
    logits = torch.eye(3)
    assert fit_calibration(logits, torch.arange(3)).temperature == pytest.approx(LOWEST, rel=1e-3)


def test_scans_that_are_all_wrong_make_the_probabilities_nearly_equal() -> None:
    logits = 10 * torch.eye(3)
    found = fit_calibration(logits, torch.tensor([1, 2, 0]))
    assert found.temperature == pytest.approx(HIGHEST, rel=1e-3)


SHIFT = torch.tensor([1.5, -0.5, -1.0])
"""What the maximum over slices adds to the logits of each class."""


def test_biases_undo_what_is_added_to_a_class() -> None:
    logits, labels = drawn(3.0)
    found = fit_calibration(logits + 3.0 * SHIFT, labels)
    assert found.temperature == pytest.approx(3.0, rel=0.06)
    assert found.biases == pytest.approx((-SHIFT).tolist(), abs=0.1)
    applied = found.applied(logits + 3.0 * SHIFT)
    assert torch.allclose(applied.float(), logits / 3.0, atol=0.6)


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    """Nothing to learn from the logits: then each class is as likely as another."""
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    found = fit_calibration(torch.zeros((100, 3)), labels)
    assert found.biases == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_no_other_biases_are_better() -> None:
    logits, labels = drawn(2.0, 40)
    weights = 1.0 / torch.bincount(labels, minlength=3).double()
    best = fit_calibration(logits + SHIFT, labels)
    least = cross_entropy(best.applied(logits + SHIFT), labels, weights)
    chance = torch.Generator().manual_seed(1)
    for _ in range(200):
        other = torch.randn(3, generator=chance, dtype=torch.float64) * 0.3
        moved = best.applied(logits + SHIFT) + other
        assert cross_entropy(moved, labels, weights) >= least - 1e-7


def test_a_class_without_a_scan_is_left_alone() -> None:
    logits, labels = drawn(1.0, 200)
    found = fit_calibration(logits[labels < 2], labels[labels < 2])
    assert found.biases[2] == 0.0
