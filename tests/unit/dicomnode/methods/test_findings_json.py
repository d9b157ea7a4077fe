"""What the queue keeps of findings, and that what earlier versions kept is still shown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rich.console import Console

from dicomnode.cli.views.findings_view import findings_lines
from dicomnode.cli.views.queue_view import as_json, print_series
from dicomnode.methods.findings_json import findings_json, kept_findings
from support.region_samples import COVID, FLU, NOTHING, region, regions
from support.result_samples import SAMPLE
from support.storage_samples import a_series

FOUND = regions(region(COVID, 0.87), region(FLU, 0.6), region(NOTHING, 0.9))
MODEL = {"name": "COVNet", "version": "1", "weights_sha256": "ab", "training": "untrained"}
FORMER: dict[str, Any] = {
    "probabilities": {"COVID-19": 0.25, "non-pneumonia": 0.75},
    "model": MODEL | {"warning": "UNTRAINED WEIGHTS"},
    "failures": [],
    "regions": {
        "model": MODEL | {"name": "Regions", "warning": None},
        "outcome": "COVID-19",
        "noisy_or": {"COVID-19": 0.999, "influenza-A viral pneumonia": 0.0},
        "confidences": {"COVID-19": 0.999, "influenza-A viral pneumonia": 0.0},
        "infections": 1,
        "candidates": [{}, {}],
    },
    "agreement": "The two methods differ.",
    "slices_analysed": 11,
}
"""As an earlier version kept an analysis by both methods."""


def test_each_method_has_one_entry_of_one_shape() -> None:
    whole, by_regions = kept_findings(
        {"findings": json.loads(json.dumps(findings_json([SAMPLE, FOUND])))}
    )
    assert whole["scores"] == {
        "COVID-19": 0.125,
        "community-acquired pneumonia": 0.625,
        "non-pneumonia": 0.25,
    }
    assert (whole["method"], whole["outcome"]) == ("lungs", "community-acquired pneumonia")
    assert (whole["meaning"], whole["slices_analysed"]) == ("probability", 11)
    assert "candidates" not in whole
    assert (by_regions["meaning"], by_regions["infections"]) == ("noisy-or", 2)
    assert [each["class"] for each in by_regions["candidates"]] == [
        "COVID-19",
        "influenza-A viral pneumonia",
        "irrelevant to infection",
    ]
    assert sum(by_regions["confidences"].values()) > 0.99


def test_the_precision_stands_where_it_is_not_the_references() -> None:
    in_bf16 = replace(SAMPLE, model=SAMPLE.model.computed_in("bf16"))
    plain, other = (findings_json([each])[0]["model"] for each in (SAMPLE, in_bf16))
    assert plain | {"precision": "bf16"} == other
    assert "precision" not in plain
    told = findings_lines(findings_json([in_bf16]), (), None)
    assert told[1] == "computed in bf16"
    assert len(told) == len(findings_lines(findings_json([SAMPLE]), (), None)) + 1


def test_an_analysis_of_an_earlier_version_is_shown_as_it_was() -> None:
    lines = findings_lines(kept_findings(FORMER), FORMER["failures"], FORMER["agreement"])
    assert lines == [
        "UNTRAINED WEIGHTS",
        "COVID-19: 25.0 %",
        "non-pneumonia: 75.0 %",
        "by regions: COVID-19; 1 of 2 candidates",
        "noisy-or (no probability of a disease): COVID-19 > 0.99, influenza-A viral pneumonia 0.00",
        "The two methods differ.",
    ]


def test_one_of_an_earlier_version_with_one_method_or_a_failed_one_is_shown() -> None:
    assert [each["method"] for each in kept_findings(FORMER | {"regions": None})] == ["lungs"]
    assert [each["method"] for each in kept_findings(FORMER | {"probabilities": {}})] == ["regions"]
    assert kept_findings({}) == []


def test_the_queue_shows_both() -> None:
    for analysis in (FORMER, {"findings": findings_json([SAMPLE, FOUND])}):
        console = Console(width=200)
        with console.capture() as told:
            print_series(console, replace(a_series(), analysis=analysis))
        assert "COVID-19: " in told.get()
        assert "by regions: COVID-19" in told.get()


def test_a_program_reads_one_form_whichever_version_kept_it() -> None:
    told = as_json(replace(a_series(), analysis=FORMER))["analysis"]
    assert [each["method"] for each in told["findings"]] == ["lungs", "regions"]
    assert told["findings"][0]["scores"] == told["probabilities"]
    now = {"findings": findings_json([SAMPLE, FOUND])}
    assert as_json(replace(a_series(), analysis=now))["analysis"] == now
