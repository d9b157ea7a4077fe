from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.errors import EvaluationError
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.measures.estimate import Proportion, wilson
from inference.evaluation.report.confusion_csv import read_confusion

matrices = st.integers(2, 5).flatmap(
    lambda size: arrays(np.int64, (size, size), elements=st.integers(0, 50))
)


def named(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> ConfusionMatrix:
    return ConfusionMatrix(tuple(f"class {i}" for i in range(len(counts))), counts)


@given(matrices)
def test_each_class_counts_every_case_once(
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> None:
    matrix = named(counts)
    for each in matrix.by_class:
        total = each.true_positive + each.false_positive + each.false_negative + each.true_negative
        assert total == matrix.cases
    found = sum(each.true_positive for each in matrix.by_class)
    assert found == matrix.accuracy.hits


@given(matrices)
def test_turned_round_recall_and_precision_change_places(
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> None:
    pairs = zip(named(counts).by_class, named(counts.T.copy()).by_class, strict=True)
    for one, other in pairs:
        assert one.sensitivity == other.precision
        assert one.f1 == other.f1 or math.isnan(one.f1)


def test_cases_are_counted_by_truth_and_prediction() -> None:
    matrix = ConfusionMatrix.of(("a", "b"), [0, 0, 0, 1], [0, 1, 1, 1])
    assert matrix.counts.tolist() == [[1, 2], [0, 1]]


def test_cases_are_counted_as_scikit_learn_does() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 3, 100).tolist(), random.integers(0, 3, 100).tolist()
    found = ConfusionMatrix.of(("a", "b", "c"), truth, predicted)
    from sklearn.metrics import confusion_matrix

    assert found.counts.tolist() == confusion_matrix(truth, predicted).tolist()


def test_a_class_without_cases_has_no_figures() -> None:
    empty = ConfusionMatrix.of(("a", "b", "c"), [0, 1], [0, 1]).by_class[2]
    assert empty.sensitivity.estimate is None
    assert math.isnan(empty.f1)
    assert empty.specificity.value == 1.0


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_its_value_and_mirrors(pair: tuple[int, int]) -> None:
    hits, total = pair
    found, mirrored = wilson(hits, total), wilson(total - hits, total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert mirrored.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize("total", [1, 2, 10, 302, 20000])
def test_the_interval_is_that_of_wilsons_formula(total: int) -> None:
    """Wilson 1927, and what was printed before SciPy computed it: the same to 1e-12."""
    z2 = NormalDist().inv_cdf(0.975) ** 2
    for hits in {0, 1, total // 3, total - 1, total}:
        p = hits / total
        middle = (p + z2 / (2 * total)) / (1 + z2 / total)
        half = math.sqrt(z2 * (p * (1 - p) + z2 / (4 * total)) / total) / (1 + z2 / total)
        found = wilson(hits, total)
        assert found.low == pytest.approx(max(0.0, middle - half), abs=1e-12)
        assert found.high == pytest.approx(min(1.0, middle + half), abs=1e-12)


def test_more_hits_than_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        Proportion(3, 2)
    with pytest.raises(ValueError, match="0 of 0"):
        wilson(0, 0)


def test_lines_may_stand_in_another_order() -> None:
    matrix = read_confusion("\ufefftruth, a ,b\n\nb,3,4\na,1,2\n".removeprefix("\ufeff"))
    assert matrix.classes == ("a", "b")
    assert matrix.counts.tolist() == [[1, 2], [3, 4]]


def test_all_that_is_wrong_with_a_table_is_told_at_once() -> None:
    with pytest.raises(EvaluationError) as caught:
        read_confusion("truth,a,a\na,1,x\nc,-1\n")
    told = str(caught.value)
    for part in ("not all named and different", "'x' is no count", "'-1' is no count", "1 counts"):
        assert part in told
    assert "['a', 'c']" in told


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(EvaluationError, match="two lines or more"):
        read_confusion("truth,a,b\n")
