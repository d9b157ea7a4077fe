"""From findings made by hand to cases and to lines of the tables."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest

from dicomnode.config.settings import Settings
from dicomnode.errors import DataError
from dicomnode.weights.evaluation_cases import (
    as_csv,
    heat_cases,
    lung_cases,
    lung_line,
    region_cases,
    region_lines,
    region_scan_cases,
    region_scan_line,
    scored_cases,
    scored_line,
)
from dicomnode.weights.evaluation_scans import (
    Attempt,
    LungScan,
    RegionScan,
    ScoredScan,
    attempt_all,
    class_index,
    with_bundle,
)
from dicomnode.weights.manifest import ManifestRow
from inference.bundles.tasks import NO_INFECTION
from inference.errors import NoLungsError
from inference.evaluation.measures.lesions import Match
from inference.evaluation.measures.localisation import HeatShares
from inference.evaluation.measures.overlap import MaskAgreement
from inference.training.scan import Split
from support.region_samples import CLASSES, COVID, FLU, NOTHING, region, regions

COVNET = ("a", "b", "c")


def row(scan: str, label: str) -> ManifestRow:
    return ManifestRow(scan, f"patient of {scan}", Path(scan), label, Split.TEST)


def covnet(scan: str, label: str, winner: int, shares: HeatShares | None) -> Attempt[ScoredScan]:
    probabilities = tuple(0.6 if index == winner else 0.2 for index in range(3))
    return Attempt(row(scan, label), ScoredScan(probabilities, winner, shares), None, 1.0)


FAILED: Attempt[ScoredScan] = Attempt(row("bad", "a"), None, "no lungs", 0.5)
SHARES = HeatShares(0.75, 0.8, 0.1)


def test_failed_scans_are_no_cases() -> None:
    attempts = [covnet("x", "b", 1, None), FAILED, covnet("y", "a", 2, None)]
    cases = scored_cases(attempts, COVNET)
    assert cases.truth.tolist() == [1, 0]
    assert cases.predicted.tolist() == [1, 2]
    assert cases.scores[1].tolist() == [0.2, 0.2, 0.6]
    assert cases.patients == ("patient of x", "patient of y")
    assert len(scored_cases([FAILED], COVNET)) == 0


def test_heat_goes_with_whether_the_scan_was_told_rightly() -> None:
    attempts = [covnet("x", "a", 0, SHARES), covnet("y", "a", 1, SHARES), covnet("z", "c", 2, None)]
    assert [(each.scan, each.right) for each in heat_cases([*attempts, FAILED], COVNET)] == [
        ("x", True),
        ("y", False),
    ]


def test_lines_of_all_scans_have_the_same_columns() -> None:
    empty = HeatShares(math.nan, math.nan, 0.1)
    attempts = [FAILED, covnet("x", "a", 0, SHARES), covnet("y", "a", 1, empty)]
    table = as_csv(scored_line(each, COVNET) for each in attempts)
    failed, one, two = csv.DictReader(io.StringIO(table))
    assert (failed["state"], failed["reason"], failed["p: a"]) == ("failed", "no lungs", "")
    assert (one["predicted"], one["p: a"], one["heat_on_lesions"]) == ("a", "0.600000", "0.750000")
    assert (two["heat_on_lesions"], two["heat_by_chance"]) == ("", "0.100000")
    assert (one["split"], one["patient"]) == ("test", "patient of x")


def test_a_reason_with_commas_and_lines_stays_in_its_cell() -> None:
    table = as_csv([{"scan": "x", "reason": 'a, "b"\nc'}])
    assert next(csv.DictReader(io.StringIO(table)))["reason"] == 'a, "b"\nc'


def located(scan: str, label: str, *found: tuple[int, float]) -> Attempt[RegionScan]:
    findings = regions(*(region(index, confidence) for index, confidence in found))
    return Attempt(row(scan, label), RegionScan(findings, None, None), None, 1.0)


def test_what_is_irrelevant_counts_as_no_infection() -> None:
    attempts = [
        located("x", CLASSES[COVID], (COVID, 0.9), (FLU, 0.6)),
        located("y", CLASSES[NOTHING], (NOTHING, 0.9)),
        located("z", NO_INFECTION, (FLU, 0.7)),
    ]
    cases = region_scan_cases(attempts, CLASSES)
    assert cases.classes == (CLASSES[COVID], CLASSES[FLU], NO_INFECTION)
    assert cases.truth.tolist() == [0, 2, 2]
    assert cases.predicted.tolist() == [0, 2, 1]
    assert cases.scores == pytest.approx(
        np.array([[0.9, 0.6, 0.1 * 0.4], [0.0, 0.0, 1.0], [0.0, 0.7, 0.3]])
    )


def matched() -> Attempt[RegionScan]:
    """Three regions: on an infection, on an irrelevant lesion, on nothing."""
    findings = regions(region(COVID, 0.9), region(COVID, 0.8), region(NOTHING, 0.7))
    matches = (Match(4, 1.0), Match(9, 0.5), Match(None, 0.1))
    lesions = {4: (COVID, True), 9: (NOTHING, True), 11: (FLU, False)}
    return Attempt(row("x", CLASSES[COVID]), RegionScan(findings, matches, lesions), None, 1.0)


def test_regions_have_the_class_of_their_lesion() -> None:
    (case,) = region_cases([matched(), located("y", CLASSES[FLU], (FLU, 0.9))])
    assert case.truth == (COVID, NOTHING, NOTHING)
    assert case.voted == (COVID, COVID, NOTHING)
    assert case.patches.shape == (3, 3, 3)
    assert case.patches[0, 0, COVID] == pytest.approx(0.9)
    assert case.lesions == ((COVID, True), (NOTHING, True), (FLU, False))


def test_each_patch_has_a_line() -> None:
    lines = region_lines(matched())
    assert len(lines) == 9
    assert [line["patch"] for line in lines[:3]] == ["centre", "feet", "head"]
    assert [line["region"] for line in lines[::3]] == ["1", "2", "3"]
    assert [line["lesion"] for line in lines[::3]] == ["4", "9", ""]
    assert lines[0]["truth"] == CLASSES[COVID]
    assert "truth" not in region_lines(located("y", CLASSES[FLU], (FLU, 0.9)))[0]
    assert region_lines(Attempt(row("z", ""), None, "no lungs", 1.0)) == []


def test_a_verdict_has_its_scores() -> None:
    line = region_scan_line(located("x", CLASSES[COVID], (COVID, 0.9)), CLASSES)
    assert (line["predicted"], line["regions"]) == (CLASSES[COVID], "1")
    assert line[f"p: {NO_INFECTION}"] == "0.100000"


def test_lungs_that_the_classical_method_does_not_find_leave_a_gap() -> None:
    agreed = MaskAgreement(0.95, 4900.0, 5000.0)
    attempts = [
        Attempt(row("x", ""), LungScan(agreed, MaskAgreement(0.9, 4000.0, 5000.0)), None, 1.0),
        Attempt(row("y", ""), LungScan(agreed, None), None, 1.0),
        Attempt(row("z", ""), None, "no lungs", 1.0),
    ]
    assert [each.scan for each in lung_cases(attempts)] == ["x", "y"]
    one, two, three = csv.DictReader(io.StringIO(as_csv(lung_line(each) for each in attempts)))
    assert (one["dice"], one["classical_ml"]) == ("0.950000", "4000.0")
    assert (two["classical_dice"], three["dice"]) == ("", "")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoLungsError("lung volume", 3.0, 150.0, "ml"), "lung volume: 3.0 ml found"),
        (DataError("series", "2 series in the folder", "one"), "series: 2 series in the folder"),
        (FileNotFoundError(2, "No such file or directory", "/secret/name"), "file: No such file"),
        (DataError("x", "two\nlines"), "x: two lines"),
    ],
)
def test_what_is_wrong_with_one_scan_ends_it_alone(error: Exception, told: str) -> None:
    def analyse(each: ManifestRow) -> str:
        if each.scan == "bad":
            raise error
        return each.scan

    heard: list[tuple[str, int, int]] = []
    rows = [row("one", ""), row("bad", ""), row("two", "")]
    attempts = attempt_all(rows, analyse, lambda *each: heard.append(each))
    assert [each.found for each in attempts] == ["one", None, "two"]
    failure = attempts[1].failure or ""
    assert failure.startswith(told)
    assert "/secret" not in failure
    assert heard == [("one", 0, 3), ("bad", 1, 3), ("two", 2, 3), ("", 3, 3)]


def test_a_fault_of_ours_ends_the_evaluation() -> None:
    def analyse(_: ManifestRow) -> str:
        raise TypeError("ours")

    with pytest.raises(TypeError, match="ours"):
        attempt_all([row("one", "")], analyse, lambda *_: None)


def test_an_infection_that_the_network_does_not_know_is_irrelevant_to_it() -> None:
    assert class_index(CLASSES, CLASSES[FLU]) == FLU
    assert class_index(CLASSES, "community-acquired pneumonia") == NOTHING


@pytest.mark.parametrize("task", ["covnet", "regions", "lungs"])
def test_the_bundle_takes_its_place_in_the_settings(task: str, tmp_path: Path) -> None:
    changed = with_bundle(Settings(), task, tmp_path)
    assert dict(changed.inference.bundles)[task] == tmp_path.resolve()
    assert changed.inference.device == Settings().inference.device
