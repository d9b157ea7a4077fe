"""Cases from the field: what a hospital sent when something went wrong, and what is right.

The table is read by people: each row is a case, how it came about, and how its parts must end.
They go through `dicomnode process` in one run; those that need a node are in `test_field_sends`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from dicomnode.assess.assessment import assess_files
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.results.documents.text import report_as_text
from support.command import app
from support.field_series import (
    ROOT,
    Slices,
    chest,
    every,
    overlapping,
    padded,
    save,
    two_passes,
    two_patients,
    with_meta_length,
    without_meta_length,
)

Entry = dict[str, Any]
TOO_FAR, TWO = ["skipped slice_spacing"], "2: "
"""Half of the slices lie 5 mm apart; the reason `stacks` begins with how many there are."""


@dataclass(frozen=True)
class Case:
    """`right`: how its parts must end, sorted; `says`: what a reason must say.

    `slices`: of a number, which names patient, study and series; `rewritten`: each file.
    """

    slices: Callable[[int], Slices]
    right: list[str]
    says: str = ""
    rewritten: Callable[[bytes], bytes] = bytes


def part(slices: Slices) -> Slices:
    """The 60 slices of the middle of each scan: half the time."""
    return [each for each in slices if 30 < each.InstanceNumber <= 90]


BREATHS = {"ImageComments": ("inspiration", "expiration")}
TIMES = {"AcquisitionNumber": (1, 2), "AcquisitionTime": ("101010", "101210")}
POSITIONS = {"TemporalPositionIdentifier": (1, 2)}

CASES: dict[str, Case] = {
    "a plain chest": Case(chest, ["analysed 127"]),
    # whose is it?
    "two patients, alternate slices": Case(partial(two_patients, how="alternate"), TOO_FAR * 2),
    "two patients, same places": Case(
        partial(two_patients, how="same places"), ["analysed 127", "analysed 127"]
    ),
    "two patients, own frames": Case(
        lambda n: part(two_patients(n, "own frames")), ["analysed 60", "analysed 60"]
    ),
    # contrast
    "volume of contrast 0.000000": Case(
        lambda n: every(part(chest(n)), ContrastBolusVolume="0.000000"), ["analysed 60"]
    ),
    # reading
    "512 bytes of excess padding": Case(partial(padded, count=512), ["analysed 127"]),
    "no file meta group length": Case(chest, ["analysed 127"], rewritten=without_meta_length),
    "file meta group length too short": Case(
        lambda n: chest(n)[::3], ["skipped slice_spacing"], rewritten=partial(with_meta_length, -28)
    ),
    "file meta group length too long": Case(
        lambda n: chest(n)[::3], ["skipped slice_spacing"], rewritten=partial(with_meta_length, 30)
    ),
    # one or two?
    "two passes, by all": Case(lambda n: two_passes(n, **TIMES, **BREATHS), TOO_FAR, TWO),
    "two passes, by time": Case(lambda n: two_passes(n, **TIMES), TOO_FAR, TWO),
    "two passes, by comment": Case(lambda n: two_passes(n, **BREATHS), TOO_FAR, TWO),
    "two passes, by temporal position": Case(lambda n: two_passes(n, **POSITIONS), TOO_FAR, TWO),
    "two scans that overlap": Case(partial(overlapping, alike=True), ["analysed 127"]),
    "two scans that overlap, another breath": Case(
        partial(overlapping, alike=False), ["analysed 75"], TWO
    ),
}

NUMBERS = {name: 700 + index for index, name in enumerate(CASES)}


@dataclass
class Run:
    """One run of the program over all cases; `owners`: Patient ID of each instance."""

    entries: list[Entry]
    owners: dict[str, str]

    def of(self, case: str) -> list[Entry]:
        series = f"{ROOT}.{NUMBERS[case]}.1"
        return [e for e in self.entries if str(e["series_instance_uid"]).split("~")[0] == series]


def report_of(entry: Entry) -> Dataset:
    return pydicom.dcmread(entry["objects"][0]["path"])


def end_of(entry: Entry) -> str:
    """The state, and the slices that the report speaks of or the rules that failed."""
    if entry["state"] != "analysed":
        failed = [r["rule"] for r in entry["reasons"] if r["verdict"] == "fail"]
        return " ".join([entry["state"], *failed])
    (count,) = re.findall(r"Analysed: .* of (\d+) slices", report_as_text(report_of(entry)))
    return f"analysed {count}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Run:
    """`dicomnode process` with the default policy and a network of small images."""
    home = tmp_path_factory.mktemp("field")
    owners: dict[str, str] = {}
    for name, case in CASES.items():
        slices = case.slices(NUMBERS[name])
        owners |= {str(each.SOPInstanceUID): each.PatientID for each in slices}
        for path in save(slices, home / "in" / str(NUMBERS[name])):
            path.write_bytes(case.rewritten(path.read_bytes()))
    config, story = home / "node.toml", home / "story.json"
    config.write_text(
        f'[node]\ndata_directory = "data"\n[[inference.methods]]\nbundle = "{small_models}"\n'
        '[results]\nkey_slices = 1\nsegmentation = "off"\nnote = "off"\n'
    )
    command = ["process", home / "in", "--out", home / "out", "--json", story, "--config", config]
    done = CliRunner().invoke(app, [str(each) for each in command], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return Run(json.loads(story.read_text("utf-8")), owners)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_it_ends_as_the_table_says(run: Run, case: str) -> None:
    assert sorted(end_of(entry) for entry in run.of(case)) == CASES[case].right
    values = [str(reason["value"]) for entry in run.of(case) for reason in entry["reasons"]]
    assert any(value.startswith(CASES[case].says) for value in values)


@pytest.mark.long
def test_no_report_names_a_slice_of_another_patient(run: Run) -> None:
    reports = [report_of(entry) for entry in run.entries if entry["state"] == "analysed"]
    assert reports
    for report in reports:
        named = {e.value for e in report.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
        assert {run.owners[uid] for uid in named if uid in run.owners} == {report.PatientID}


@pytest.mark.long
def test_excess_padding_and_an_absent_length_change_no_number(run: Run) -> None:
    (plain,) = run.of("a plain chest")
    for case in ("512 bytes of excess padding", "no file meta group length"):
        (entry,) = run.of(case)
        assert entry["findings"] == plain["findings"]


@pytest.mark.parametrize(
    "given",
    [
        *({"ContrastBolusVolume": value} for value in ("0", "0.0", "0.000", "0.0E+00", "+0")),
        *({"ContrastFlowRate": value} for value in ("0", "0.000000")),
        *({"ContrastBolusAgent": value} for value in ("NO CONTRAST GIVEN", "NONE", "None", "NO")),
        {"ContrastBolusVolume": "0.000000", "ContrastFlowRate": "0.000000"},
        {"ContrastBolusAgent": "NONE", "ContrastBolusRoute": ""},
    ],
    ids=str,
)
def test_nothing_given_is_no_contrast(tmp_path: Path, given: dict[str, str]) -> None:
    files = save(every(chest(1, slices=10), **given), tmp_path)
    seen = assess_files(files, EligibilityPolicy())
    assert seen.eligible, seen.eligibility.failures


@pytest.mark.parametrize(
    "given",
    [
        *({"ContrastBolusVolume": value} for value in ("0.5", "80.000000", "1E+02")),
        {"ContrastBolusVolume": "0.000000", "ContrastBolusAgent": "Iomeprol 350"},
        {"ContrastFlowRate": "3.5"},
    ],
    ids=str,
)
def test_something_given_is_contrast(tmp_path: Path, given: dict[str, str]) -> None:
    files = save(every(chest(1, slices=10), **given), tmp_path)
    seen = assess_files(files, EligibilityPolicy())
    assert "contrast" in {reason.rule for reason in seen.eligibility.failures}
