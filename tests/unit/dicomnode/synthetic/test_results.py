"""The results of the synthetic patient: of every kind, valid, and saying what they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.config.settings import Settings
from dicomnode.deliver.result_settings import result_settings
from dicomnode.results.common.context import ResultObject
from dicomnode.synthetic.patient import SyntheticPatient
from dicomnode.synthetic.results import synthetic_results
from support.result_samples import dciodvfy


@pytest.fixture(scope="module")
def results() -> tuple[ResultObject, ...]:
    patient = SyntheticPatient.new("COMMISSIONING", datetime(2026, 3, 1, tzinfo=UTC))
    return synthetic_results(patient, result_settings(Settings()))


def test_they_are_of_the_kinds_that_an_analysis_leaves(results: tuple[ResultObject, ...]) -> None:
    kinds = {each.kind for each in results}
    assert kinds == {"sr", "montage", "key_slice", "seg", "region_seg"}


def test_each_says_that_it_is_of_no_patient(results: tuple[ResultObject, ...]) -> None:
    for each in results:
        assert str(each.data_set.PatientName) == "COMMISSIONING^NOT A PATIENT"
        assert "NOT A PATIENT" in each.data_set.StudyDescription
        assert each.data_set.SeriesDescription.startswith("UNTRAINED")


def test_the_validator_has_no_errors(results: tuple[ResultObject, ...], tmp_path: Path) -> None:
    one_of_each = {each.kind: each for each in results}
    assert [dciodvfy(each, tmp_path)[0] for each in one_of_each.values()] == [[]] * 5
