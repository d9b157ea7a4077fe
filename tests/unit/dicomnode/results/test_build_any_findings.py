"""Findings of every shape that a method may give: results of all of them are whole and valid."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.cli.views.findings_view import findings_lines
from dicomnode.decisions.result_options import AllSlices
from dicomnode.methods.findings_json import findings_json
from dicomnode.results.build import build_results
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.report.report import structured_report
from inference.findings import Findings, MethodTitle
from support.region_samples import COVID, FLU, region, regions
from support.result_samples import SAMPLE, context, dciodvfy, options

REGIONS = regions(region(COVID, 0.87), region(FLU, 0.6))
BARE = MethodTitle("bare", "reading of the lungs", "by reading")
TITLES = itertools.cycle((BARE, replace(BARE, qualifier="by reading"), BARE))
SHAPES = [
    replace(answered, title=next(TITLES), heat=heat, regions=found)
    for answered, heat, found in itertools.product(
        (SAMPLE, REGIONS),  # probabilities, noisy-or
        (None, SAMPLE.heat),
        (None, (), REGIONS.regions),
    )
    if not (answered is REGIONS and found is None)  # there is no noisy-or of no regions
]


@pytest.mark.parametrize("found", SHAPES, ids=lambda found: found.answer.meaning.value)
def test_one_method_of_any_shape(found: Findings, tmp_path: Path) -> None:
    settings = options(key_slices=1, all_slices=AllSlices.JPEG)
    whole = replace(context(settings=settings), outcomes=[found])
    report, *others = build_results(whole)
    assert dciodvfy(report, tmp_path)[0] == []
    assert {"montage", "key_slice", "seg"} <= {each.kind for each in others}
    assert ("slice" in {each.kind for each in others}) == (found.heat is not None)
    name = found.answer.outcome.name
    assert f": {name}" in report_as_text(report.data_set)
    lines = findings_lines(findings_json([found]), (), None)
    assert any(name in line for line in lines)


def test_two_of_any_shape_beside_one_another(tmp_path: Path) -> None:
    other = MethodTitle("other", "another reading", "by another", "by another")
    whole = context(settings=options(key_slices=1))
    for one, two in zip(SHAPES[::3], reversed(SHAPES[::3]), strict=True):
        outcomes = [one, replace(two, title=other, model=replace(two.model, name="Other"))]
        report = structured_report(replace(whole, outcomes=outcomes))
        assert dciodvfy(report, tmp_path)[0] == []
