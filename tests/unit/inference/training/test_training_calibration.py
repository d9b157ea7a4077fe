"""Temperature scaling."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from inference.training.calibration import HIGHEST, LOWEST, fit_temperature


def drawn(scale: float, scans: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `scale` times too sure, and classes drawn from what they should have been."""
    chance = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn((scans, 3), generator=chance)
    labels = torch.multinomial(torch.softmax(logits, dim=1), 1, generator=chance)[:, 0]
    return scale * logits, labels


@pytest.mark.parametrize("scale", [0.7, 1.0, 3.0, 10.0])
def test_the_temperature_undoes_what_made_the_logits_too_sure(scale: float) -> None:
    assert fit_temperature(*drawn(scale)) == pytest.approx(scale, rel=0.06)


def test_no_other_temperature_is_better() -> None:
    logits, labels = drawn(2.5, 50)
    best = fit_temperature(logits, labels)
    least = cross_entropy(logits.double() / best, labels)
    for other in torch.linspace(LOWEST, HIGHEST, 200, dtype=torch.float64):
        assert cross_entropy(logits.double() / other, labels) >= least - 1e-9


def test_a_few_scans_that_are_all_right_do_not_make_certainty() -> None:
    logits = torch.eye(3)
    assert fit_temperature(logits, torch.arange(3)) == pytest.approx(LOWEST, rel=1e-3)


def test_scans_that_are_all_wrong_make_the_probabilities_nearly_equal() -> None:
    logits = 10 * torch.eye(3)
    assert fit_temperature(logits, torch.tensor([1, 2, 0])) == pytest.approx(HIGHEST, rel=1e-3)
