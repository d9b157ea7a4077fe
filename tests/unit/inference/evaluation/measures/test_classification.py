"""All figures together: patients with several scans, strata, classes without cases."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluation.measures.bootstrap import draw_by_patient, mean_estimate, percentiles
from inference.evaluation.measures.classification import Cases, classify
from inference.evaluation.report.strata import strata

CLASSES = ("a", "b", "c")


def sample(patients: int = 30, scans: int = 2, seed: int = 0) -> Cases:
    """Each patient's scans are nearly alike."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(patients) % 3, scans)
    logits = np.repeat(random.normal(0, 1, (patients, 3)), scans, axis=0)
    logits += random.normal(0, 0.1, logits.shape)
    logits[np.arange(len(truth)), truth] += 1.0
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"p{number // scans}" for number in range(len(truth)))
    return Cases(CLASSES, truth, scores.argmax(axis=1), scores, names)


def test_figures_agree_with_each_other() -> None:
    cases = sample()
    found = classify(cases, draws=100)
    assert found.matrix.cases == 60
    for index, each in enumerate(found.by_class):
        assert each.auc is not None
        assert each.roc is not None
        assert each.roc.area == pytest.approx(each.auc.value)
        hits = int(((cases.predicted == index) & (cases.truth == index)).sum())
        assert each.counts.sensitivity.hits == hits
        assert each.band is not None
        assert (each.band[0] <= each.band[1]).all()


def test_scans_that_are_alike_make_the_interval_over_patients_wider() -> None:
    one = classify(sample(scans=1, patients=40), draws=300).by_class[0].by_patient["AUC"]
    many = classify(sample(scans=6, patients=40), draws=300).by_class[0]
    assert many.auc is not None
    width = many.by_patient["AUC"][1] - many.by_patient["AUC"][0]
    assert width > 1.6 * (many.auc.high - many.auc.low)
    assert width == pytest.approx(one[1] - one[0], rel=0.35)


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, second, other = (
        classify(sample(), seed, draws=50).by_class[1].by_patient for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_few_patients_have_no_interval_over_patients() -> None:
    found = classify(sample(patients=4))
    assert found.accuracy_by_patient is None
    assert all(not each.by_patient and each.band is None for each in found.by_class)


def test_a_class_without_cases_has_no_area() -> None:
    cases = sample()
    found = classify(cases.some(np.flatnonzero(cases.truth != 2)), draws=50)
    assert found.by_class[2].auc is None
    assert found.by_class[2].roc is None
    assert "sensitivity" not in found.by_class[2].by_patient
    assert "specificity" in found.by_class[2].by_patient


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        classify(sample().some([]))


def test_arrays_that_do_not_fit_are_refused() -> None:
    cases = sample()
    with pytest.raises(ValueError, match="scores"):
        Cases(("a", "b"), cases.truth, cases.predicted, cases.scores, cases.patients)
    with pytest.raises(ValueError, match="truths"):
        Cases(CLASSES, cases.truth[1:], cases.predicted, cases.scores, cases.patients)


def test_patients_are_drawn_with_all_their_scans() -> None:
    patients = ["x", "y", "y", "y"]
    drawn = draw_by_patient(patients, lambda some: np.bincount(some, minlength=4).astype(float), 50)
    assert (drawn[:, 1] == drawn[:, 2]).all()
    assert (drawn[:, 1] == drawn[:, 3]).all()
    assert set((drawn[:, 0] + drawn[:, 1]).tolist()) == {2.0}


def test_a_figure_that_few_draws_define_has_no_bounds() -> None:
    drawn = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])
    assert np.isfinite(percentiles(drawn)).tolist() == [[True, False], [True, False]]


def test_the_mean_says_over_what_it_was_drawn() -> None:
    values = [0.5, 0.7, 0.9, 0.8, 0.6, 0.7]
    by_patient = mean_estimate(values, list("abcdef"))
    assert by_patient.value == pytest.approx(0.7)
    assert by_patient.method == "bootstrap over patients"
    assert 0.5 < by_patient.low < 0.7 < by_patient.high < 0.9
    assert mean_estimate(values, list("aaabbb")).method == "bootstrap over scans"
    with pytest.raises(ValueError, match="nothing"):
        mean_estimate([], [])


def test_strata_are_named_and_small_ones_not_measured() -> None:
    known = [{"sex": "F", "age": str(age)} for age in (39, 40, 59, 60, 61, 62, 63, 64, 80)]
    found = strata([*known, {"sex": "M"}, {}], ("scanner", "sex", "age"))
    told = [(each.variable, each.value, each.cases, len(each.members)) for each in found]
    assert told == [
        ("sex", "F", 9, 9),
        ("sex", "M", 1, 0),
        ("age", "under 40", 1, 0),
        ("age", "40 to 59", 2, 0),
        ("age", "60 to 79", 5, 5),
        ("age", "80 and over", 1, 0),
    ]
    assert found[4].members == (3, 4, 5, 6, 7)


def test_a_thickness_on_a_bound_belongs_below_it() -> None:
    known = [{"thickness_mm": value} for value in ("0.6", "1", "1.25", "2.0", "3", "5")]
    found = strata(known, ("thickness_mm",))
    assert [(each.value, each.cases) for each in found] == [
        ("up to 1 mm", 2),
        ("over 1 to 2 mm", 2),
        ("over 2 to 3 mm", 1),
        ("over 3 mm", 1),
    ]
