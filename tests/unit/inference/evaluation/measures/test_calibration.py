from __future__ import annotations

import math

import numpy as np
import pytest

from inference.evaluation.measures.calibration import brier, calibration_curve, calibration_error


def test_probabilities_that_come_true_have_no_error() -> None:
    random = np.random.default_rng(0)
    said = random.random(40000)
    outcomes = random.random(40000) < said
    curve = calibration_curve(said, outcomes)
    assert len(curve) == 10
    assert calibration_error(curve) < 0.01
    assert calibration_error(calibration_curve(said**3, outcomes)) > 0.15


def test_cases_on_a_bound_belong_above_it_and_one_to_the_last_bin() -> None:
    curve = calibration_curve(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), bins=2)
    assert [(each.low, each.high, each.observed.total) for each in curve] == [
        (0.0, 0.5, 1),
        (0.5, 1.0, 2),
    ]
    assert curve[1].mean_probability == 0.75
    assert curve[1].observed.hits == 2


def test_the_error_weighs_bins_by_their_cases() -> None:
    said = np.array([0.1, 0.1, 0.1, 0.9])
    outcomes = np.array([True, False, False, True])
    wanted = 3 / 4 * (1 / 3 - 0.1) + 1 / 4 * 0.1
    assert calibration_error(calibration_curve(said, outcomes)) == pytest.approx(wanted)


def test_brier_by_hand() -> None:
    said = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    wanted = ((0.3**2 + 0.2**2 + 0.1**2) + 2.0) / 2
    assert brier(said, np.array([0, 1])) == pytest.approx(wanted)


def test_brier_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    said, truth = random.dirichlet((1, 1, 1), 200), random.integers(0, 3, 200)
    from sklearn.metrics import brier_score_loss

    wanted = brier_score_loss(truth, said, labels=[0, 1, 2], scale_by_half=False)
    assert brier(said, truth) == pytest.approx(wanted, abs=1e-12)


def test_brier_is_least_for_the_true_probabilities() -> None:
    random = np.random.default_rng(1)
    truth = (random.random(20000) < 0.3).astype(np.intp)
    scores = {p: brier(np.tile([1 - p, p], (20000, 1)), truth) for p in (0.1, 0.3, 0.5)}
    assert min(scores, key=scores.__getitem__) == 0.3


def test_no_case_has_no_figure() -> None:
    assert math.isnan(calibration_error(()))
    assert math.isnan(brier(np.empty((0, 3)), np.empty(0, np.intp)))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        calibration_curve(np.array([value]), np.array([True]))
