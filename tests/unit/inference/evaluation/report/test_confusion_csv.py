"""The printed tables of both papers, from their counts alone.

What cannot be had from the counts is asserted as such, with what comes out instead.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta, binom, binomtest, norm

from inference.evaluation.measures.confusion import ClassCounts, ConfusionMatrix
from inference.evaluation.measures.estimate import wilson
from inference.evaluation.report.confusion_csv import read_confusion

# Li et al. 2020, table 3: hits, cases, per cent, bounds of the 95 % interval in per cent
LI = {
    "COVID-19 sensitivity": (114, 127, 90, 83, 94),
    "COVID-19 specificity": (294, 307, 96, 93, 98),
    "CAP sensitivity": (152, 175, 87, 81, 91),
    "CAP specificity": (239, 259, 92, 88, 95),
    "non-pneumonia sensitivity": (124, 132, 94, 88, 97),
    "non-pneumonia specificity": (291, 302, 96, 94, 98),
}
LI_CLASSES = ("COVID-19", "CAP", "non-pneumonia")
# The paper prints no confusion matrix; its margins leave these two and no other.
LI_MATRICES = (
    [[114, 12, 1], [13, 152, 10], [0, 8, 124]],
    [[114, 13, 0], [12, 152, 11], [1, 7, 124]],
)

INFECTIONS = ("COVID-19", "IAVP")
XU_CLASSES = (*INFECTIONS, "ITI")
# Xu et al. 2020: table 1 of both models, table 3, table 5
PATCHES_1 = [[260, 47, 50], [55, 276, 59], [75, 81, 807]]
PATCHES_2 = [[273, 32, 52], [46, 280, 64], [77, 82, 804]]
REGIONS = [[97, 15, 7], [18, 98, 14], [5, 2, 314]]
CASES = [[26, 3, 1], [4, 25, 1], [2, 1, 27]]
# tables 2, 4 and 6: recall, precision, F1 of the three classes
XU = {
    "table 2, ResNet": (
        PATCHES_1,
        [(0.728, 0.667, 0.696), (0.708, 0.683, 0.695), (0.838, 0.881, 0.859)],
    ),
    "table 2, with location attention": (
        PATCHES_2,
        [(0.765, 0.689, 0.725), (0.718, 0.711, 0.714), (0.835, 0.874, 0.854)],
    ),
    "table 4, regions": (
        REGIONS,
        [(0.815, 0.808, 0.811), (0.754, 0.852, 0.800), (0.978, 0.937, 0.957)],
    ),
    "table 6, cases": (
        CASES,
        [(0.867, 0.813, 0.839), (0.833, 0.862, 0.847), (0.900, 0.931, 0.915)],
    ),
}
NOT_REPRODUCED = {("table 4, regions", 0, "F1")}
"""0.8117 from the counts; the printed 0.811 is what the rounded recall and precision give."""


def xu(counts: list[list[int]]) -> ConfusionMatrix:
    return ConfusionMatrix(XU_CLASSES, np.array(counts, np.int64))


@pytest.mark.parametrize("row", LI)
def test_wilson_reproduces_every_interval_of_li(row: str) -> None:
    hits, cases, *printed = LI[row]
    found = wilson(hits, cases)
    assert [round(100 * each) for each in (found.value, found.low, found.high)] == printed


def _clopper_pearson(k: int, n: int) -> tuple[float, float]:
    found = binomtest(k, n).proportion_ci(method="exact")
    return found.low, found.high


def _corrected(k: int, n: int) -> tuple[float, float]:
    found = binomtest(k, n).proportion_ci(method="wilsoncc")
    return found.low, found.high


def _agresti_coull(k: int, n: int) -> tuple[float, float]:
    z = norm.ppf(0.975)
    p = (k + z * z / 2) / (n + z * z)
    half = z * (p * (1 - p) / (n + z * z)) ** 0.5
    return p - half, p + half


def _wald(k: int, n: int) -> tuple[float, float]:
    half = norm.ppf(0.975) * (k / n * (1 - k / n) / n) ** 0.5
    return k / n - half, k / n + half


def _jeffreys(k: int, n: int) -> tuple[float, float]:
    return beta.ppf(0.025, k + 0.5, n - k + 0.5), beta.ppf(0.975, k + 0.5, n - k + 0.5)


def _mid_p(k: int, n: int) -> tuple[float, float]:
    def above(p: float) -> float:
        return float(binom.sf(k, n, p) + binom.pmf(k, n, p) / 2 - 0.025)

    def below(p: float) -> float:
        return float(binom.cdf(k - 1, n, p) + binom.pmf(k, n, p) / 2 - 0.025)

    return brentq(above, 1e-9, k / n), brentq(below, k / n, 1 - 1e-9)


@pytest.mark.parametrize(
    ("method", "missed"),
    [
        (_clopper_pearson, 0),
        (_agresti_coull, 0),
        (_corrected, 1),
        (_jeffreys, 3),
        (_mid_p, 3),
        (_wald, 5),
    ],
)
def test_how_many_of_the_six_intervals_another_method_misses(method, missed: int) -> None:  # type: ignore[no-untyped-def]
    wrong = [
        row
        for row, (k, n, _, low, high) in LI.items()
        if [round(100 * float(each)) for each in method(k, n)] != [low, high]
    ]
    assert len(wrong) == missed, wrong


@pytest.mark.parametrize("counts", LI_MATRICES)
def test_both_confusion_matrices_that_li_allows_give_table_3(counts: list[list[int]]) -> None:
    matrix = ConfusionMatrix(LI_CLASSES, np.array(counts, np.int64))
    found = [(p.hits, p.total) for c in matrix.by_class for p in (c.sensitivity, c.specificity)]
    assert found == [(hits, cases) for hits, cases, *_ in LI.values()]
    assert matrix.cases == 434


def test_the_margins_of_table_3_leave_two_matrices_and_no_other() -> None:
    found = []
    wrong_of, called = (13, 23, 8), (13, 20, 11)  # false negatives and false positives by class
    for as_cap in range(wrong_of[0] + 1):
        for as_covid in range(wrong_of[1] + 1):
            first, second = wrong_of[0] - as_cap, wrong_of[1] - as_covid
            third = called[0] - as_covid
            fourth = wrong_of[2] - third
            if (
                min(third, fourth) < 0
                or as_cap + fourth != called[1]
                or first + second != called[2]
            ):
                continue
            found.append(
                [[114, as_cap, first], [as_covid, 152, second], [third, fourth, 124]],
            )
    assert sorted(found) == sorted(LI_MATRICES)


@pytest.mark.parametrize("table", XU)
@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("figure", ["recall", "precision", "F1"])
def test_tables_of_xu(table: str, index: int, figure: str) -> None:
    counts, printed = XU[table]
    found = _figures(xu(counts).by_class[index])[figure]
    wanted = printed[index][("recall", "precision", "F1").index(figure)]
    fits = abs(found - wanted) <= 0.0005 + 1e-12
    assert fits is ((table, index, figure) not in NOT_REPRODUCED), f"{found:.5f}, not {wanted}"


def _figures(counts: ClassCounts) -> dict[str, float]:
    return {
        "recall": counts.sensitivity.value,
        "precision": counts.precision.value,
        "F1": counts.f1,
    }


def test_the_one_f1_of_xu_that_is_not_reproduced_comes_from_rounded_figures() -> None:
    covid = xu(REGIONS).by_class[0]
    assert covid.f1 == pytest.approx(0.81172, abs=5e-6)
    recall, precision = 0.815, 0.808  # as printed
    assert round(2 * recall * precision / (recall + precision), 3) == 0.811


@pytest.mark.parametrize(
    ("counts", "printed"), [(PATCHES_1, 0.750), (PATCHES_2, 0.764), (REGIONS, 0.856)]
)
def test_mean_f1_of_xu(counts: list[list[int]], printed: float) -> None:
    assert round(xu(counts).mean_f1, 3) == printed


@pytest.mark.parametrize(("counts", "printed"), [(REGIONS, 0.806), (CASES, 0.843)])
def test_mean_f1_of_the_two_infections_of_xu(counts: list[list[int]], printed: float) -> None:
    first, second, _ = xu(counts).by_class
    assert round((first.f1 + second.f1) / 2, 3) == printed


def test_accuracy_of_xu() -> None:
    assert round(100 * xu(CASES).accuracy.value, 1) == 86.7


@pytest.mark.parametrize(
    ("counts", "truth"),
    [(PATCHES_1, (357, 390, 963)), (PATCHES_2, (357, 390, 963)), (REGIONS, (119, 130, 321))],
)
def test_the_matrices_of_xu_have_the_numbers_of_its_text(
    counts: list[list[int]], truth: tuple[int, ...]
) -> None:
    assert tuple(xu(counts).counts.sum(axis=1).tolist()) == truth


def test_two_improvements_that_xu_prints_are_not_those_of_its_figures() -> None:
    """Section 3.3.4 prints 12.1 %, section 3.3.5 prints 4.7 %."""
    from_patches = xu(REGIONS).mean_f1 / xu(PATCHES_2).mean_f1 - 1
    assert round(100 * from_patches, 1) == 12.0
    before, after = (
        np.mean([each.f1 for each in xu(counts).by_class[:2]]) for counts in (REGIONS, CASES)
    )
    assert round(100 * float(after / before - 1), 1) == 4.6


@pytest.mark.parametrize("counts", [PATCHES_1, PATCHES_2, REGIONS, CASES])
def test_a_matrix_is_read_from_its_table(counts: list[list[int]]) -> None:
    pairs = zip(XU_CLASSES, counts, strict=True)
    lines = [",".join((name, *map(str, line))) for name, line in pairs]
    read = read_confusion("\n".join([",".join(("truth", *XU_CLASSES)), *lines]))
    assert read.classes == XU_CLASSES
    assert (read.counts == xu(counts).counts).all()
