"""DeLong against its own definition, Mann and Whitney's U, and a bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from inference.evaluation.measures.bootstrap import draw_by_patient, percentiles
from inference.evaluation.measures.delong import auc, compare, delong
from inference.evaluation.measures.roc import roc_curve

Values = NDArray[np.float64]
Outcomes = NDArray[np.bool_]


def cases(seed: int, positives: int, negatives: int, decimals: int = 6) -> tuple[Values, Outcomes]:
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.normal(1, 1, positives), random.normal(0, 1.5, negatives)])
    positive = np.arange(positives + negatives) < positives
    order = random.permutation(len(scores))
    return np.round(scores, decimals)[order], positive[order]


def naive(rows: Values, positive: Outcomes) -> tuple[Values, Values]:
    """DeLong et al. 1988, equations 3 to 6, by all pairs: areas (k,) and covariance (k, k)."""
    x, y = rows[:, positive], rows[:, ~positive]
    psi = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])  # (k, m, n)
    areas = psi.mean(axis=(1, 2))
    v10, v01 = psi.mean(axis=2) - areas[:, None], psi.mean(axis=1) - areas[:, None]
    m, n = v10.shape[1], v01.shape[1]
    return areas, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n


SAMPLES = [(0, 20, 30, 6), (1, 2, 2, 6), (2, 40, 7, 1), (3, 127, 307, 1), (4, 15, 15, 0)]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_area_and_interval_are_those_of_the_definition(sample: tuple[int, int, int, int]) -> None:
    scores, positive = cases(*sample)
    areas, covariance = naive(scores[None], positive)
    found = delong(scores, positive)
    assert found is not None
    half = 1.959963984540054 * math.sqrt(covariance[0, 0])
    assert found.value == pytest.approx(areas[0], abs=1e-12)
    assert found.low == pytest.approx(max(0, areas[0] - half), abs=1e-12)
    assert found.high == pytest.approx(min(1, areas[0] + half), abs=1e-12)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_area_is_that_of_mann_and_whitney(sample: tuple[int, int, int, int]) -> None:
    scores, positive = cases(*sample)
    u = mannwhitneyu(scores[positive], scores[~positive]).statistic
    pairs = positive.sum() * (~positive).sum()
    assert auc(scores, positive) == pytest.approx(u / pairs, abs=1e-12)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_area_is_that_under_the_curve(sample: tuple[int, int, int, int]) -> None:
    scores, positive = cases(*sample)
    assert roc_curve(scores, positive).area == pytest.approx(auc(scores, positive), abs=1e-12)


def test_the_interval_is_near_that_of_a_bootstrap() -> None:
    scores, positive = cases(5, 127, 307)
    found = delong(scores, positive)
    assert found is not None
    each_alone = [str(number) for number in range(len(scores))]
    drawn = draw_by_patient(
        each_alone, lambda some: np.array([auc(scores[some], positive[some])]), 2000
    )
    low, high = percentiles(drawn)[:, 0]
    assert found.low == pytest.approx(low, abs=0.006)
    assert found.high == pytest.approx(high, abs=0.006)


def test_about_95_of_100_intervals_hold_the_true_area() -> None:
    """Two normal populations, one standard deviation apart: area Phi(1 / sqrt 2)."""
    random = np.random.default_rng(0)
    positive = np.arange(140) < 60
    true, held = 0.5 * (1 + math.erf(0.5)), 0
    for _ in range(600):
        found = delong(random.normal(0, 1, 140) + positive, positive)
        assert found is not None
        held += found.low <= true <= found.high
    assert 0.92 <= held / 600 <= 0.975


def test_the_paired_test_is_that_of_the_definition() -> None:
    first, positive = cases(6, 40, 60)
    second = first + np.random.default_rng(7).normal(0, 1.2, len(first))
    areas, covariance = naive(np.stack([first, second]), positive)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = compare(first, second, positive)
    assert found is not None
    assert (found.first, found.second) == pytest.approx(areas, abs=1e-12)
    assert found.z == pytest.approx((areas[0] - areas[1]) / math.sqrt(variance))
    assert found.p == pytest.approx(math.erfc(abs(found.z) / math.sqrt(2)), abs=1e-12)
    assert found.difference.low < found.first - found.second < found.difference.high


def test_scores_compared_with_themselves_have_no_p() -> None:
    scores, positive = cases(8, 20, 20)
    found = compare(scores, scores, positive)
    assert found is not None
    assert found.difference.value == 0
    assert math.isnan(found.p)


few = st.lists(st.integers(-5, 5), min_size=4, max_size=30)


@given(few, st.randoms(use_true_random=False))
def test_the_area_sees_ranks_only_and_flips(values: list[int], random) -> None:  # type: ignore[no-untyped-def]
    scores = np.array(values, np.float64)
    positive = np.array([random.random() < 0.5 for _ in values])
    area = auc(scores, positive)
    if positive.all() or not positive.any():
        assert math.isnan(area)
        return
    assert auc(np.exp(scores) * 3 - 1, positive) == pytest.approx(area, abs=1e-12)
    assert auc(-scores, positive) == pytest.approx(1 - area, abs=1e-12)
    assert auc(scores, ~positive) == pytest.approx(1 - area, abs=1e-12)


def test_perfect_separation_has_an_area_of_1_without_width() -> None:
    found = delong(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_one_case_of_a_kind_has_no_interval() -> None:
    scores, positive = np.array([0.1, 0.2, 0.3]), np.array([True, False, False])
    assert delong(scores, positive) is None
    assert compare(scores, scores, positive) is None
    assert auc(scores, positive) == 0.0


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        delong(np.array([0.1, math.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="for outcomes"):
        auc(np.array([0.1]), np.array([True, False]))


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_curve_and_area_are_those_of_scikit_learn(sample: tuple[int, int, int, int]) -> None:
    scores, positive = cases(*sample)
    from sklearn import metrics

    found = roc_curve(scores, positive)

    rates, sensitivity, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    assert found.false_positive_rate == pytest.approx(rates, abs=1e-12)
    assert found.sensitivity == pytest.approx(sensitivity, abs=1e-12)
    assert found.threshold.tolist() == thresholds.tolist()
    area = metrics.roc_auc_score(positive, scores)
    assert auc(scores, positive) == pytest.approx(area, abs=1e-12)


def test_the_curve_takes_ties_together() -> None:
    curve = roc_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
    assert curve.false_positive_rate.tolist() == [0, 0, 0.5, 1]
    assert curve.sensitivity.tolist() == [0, 0.5, 1, 1]
    assert curve.threshold.tolist() == [math.inf, 0.9, 0.5, 0.1]
    at = curve.sensitivity_at(np.array([0.0, 0.25, 0.5, 1.0]))
    assert at.tolist() == [0.5, 0.75, 1.0, 1.0]


def test_a_curve_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="positive and negative"):
        roc_curve(np.array([0.9, 0.5]), np.array([True, True]))
