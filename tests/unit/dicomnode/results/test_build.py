from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.results.build import ResultContext, build_results, encode, warm_up
from inference.findings import FoundLungs, Training
from support.result_samples import (
    MODEL,
    context,
    findings,
    lungs,
)

SCRIPT = """
import hashlib
from support.result_samples import context
from dicomnode.results.build import build_results, encode
for result in build_results(context()):
    print(hashlib.sha256(encode(result)).hexdigest())
"""


def uids(whole: ResultContext) -> list[str]:
    return [str(result.sop_instance_uid) for result in build_results(whole)]


def test_the_report_comes_first() -> None:
    results = build_results(context())
    assert [r.kind for r in results] == ["sr", "montage", *["key_slice"] * 10, "seg"]
    assert [results[i].data_set.SeriesNumber for i in (0, 1, -1)] == [9001, 9002, 9003]


def test_another_process_makes_the_same_bytes() -> None:
    here = [hashlib.sha256(encode(r)).hexdigest() for r in build_results(context())]
    path = os.pathsep.join(filter(None, sys.path))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "12345"},
    )
    assert run.stdout.split() == here


def test_the_file_reads_back() -> None:
    for result in build_results(context())[:2]:
        written = pydicom.dcmread(BytesIO(encode(result)))
        assert written == result.data_set
        assert written.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert written.file_meta.MediaStorageSOPInstanceUID == result.sop_instance_uid
        assert written.file_meta.SourceApplicationEntityTitle == "DICOMNODE"


def test_order_of_arrival_and_time_do_not_change_uids() -> None:
    first = uids(context())
    assert (
        uids(replace(context(), analysed_at=datetime.fromisoformat("2027-01-01T00:00Z"))) == first
    )


def test_the_sources_are_left_as_they_were() -> None:
    whole = context()
    before = [str(header) for header in whole.sources]
    build_results(whole)
    assert [str(header) for header in whole.sources] == before


@pytest.mark.parametrize("training", list(Training))
def test_series_descriptions_fit_and_warn(training: Training) -> None:
    model = replace(MODEL, training=training, name="A model with a rather long name")
    for result in build_results(context(findings=findings(model)))[:2]:
        description = result.data_set.SeriesDescription
        assert len(description) <= 64
        assert description.startswith("AI" if training is Training.PATIENTS else training.upper())


def test_what_does_not_belong_together_is_a_fault() -> None:
    whole = context()
    with pytest.raises(ValueError, match="11 sources for 12 slices"):
        replace(whole, sources=whole.sources[1:])
    with pytest.raises(ValueError, match="aware"):
        replace(whole, analysed_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault
    with pytest.raises(ValueError, match="without a slice"):
        context(findings=replace(findings(), heat=()))
    with pytest.raises(ValueError, match="lungs"):
        context(lungs=FoundLungs(lungs()[1:]))


def test_warm_up_needs_nothing() -> None:
    warm_up()
    assert len(build_results(context())) == 13
