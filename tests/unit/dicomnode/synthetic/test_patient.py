"""The synthetic patient: never taken for one, and CT that the standard's validator takes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pydicom

from dicomnode.synthetic.chest import drawn_chest
from dicomnode.synthetic.patient import SyntheticPatient
from support.validators import dciodvfy_lines

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)


def test_everything_that_a_list_shows_says_that_it_is_no_patient() -> None:
    header = SyntheticPatient.new("CANARY", NOW).headers()[0]
    assert str(header.PatientName) == "CANARY^NOT A PATIENT"
    assert header.PatientID == "CANARY-20260301-031500"
    told = (header.StudyDescription, header.SeriesDescription, header.InstitutionName)
    assert all("NOT A PATIENT" in each for each in told)


def test_each_time_it_is_another_study() -> None:
    first, second = (SyntheticPatient.new("CANARY", NOW) for _ in range(2))
    assert first.study_instance_uid != second.study_instance_uid
    assert first.series_instance_uid != second.series_instance_uid


def test_its_instances_are_valid_ct(tmp_path: Path) -> None:
    patient = SyntheticPatient.new("CANARY", NOW)
    instances = list(patient.instances(drawn_chest()))
    path = tmp_path / "ct.dcm"
    instances[7].save_as(path, enforce_file_format=True)
    assert [line for line in dciodvfy_lines(path) if line.startswith("Error")] == []
    assert len({each.SOPInstanceUID for each in instances}) == len(instances)
    assert (pydicom.dcmread(path).pixel_array == drawn_chest().volume.hu[7]).all()
