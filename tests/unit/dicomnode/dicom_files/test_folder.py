"""Which series lie in a folder, and which instances lie there as those of two."""

from __future__ import annotations

from pathlib import Path

import pydicom

from dicomnode.dicom_files.folder import read_folder
from support.phantom import series_uid, write_series


def changed(files: list[Path], folder: Path, **values: str) -> list[Path]:
    """Under the same SOP Instance UIDs."""
    folder.mkdir()
    for file in files:
        data_set = pydicom.dcmread(file)
        for keyword, value in values.items():
            setattr(data_set, keyword, value)
        data_set.save_as(folder / file.name, enforce_file_format=True)
    return sorted(folder.iterdir())


def test_instances_of_two_patients_are_told_of_both(tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", 3)
    changed(first[:2], tmp_path / "then", PatientID="OTHER-1")
    uid, study = series_uid(first), str(pydicom.dcmread(first[0]).StudyInstanceUID)
    found = read_folder(tmp_path)
    assert {key: len(files) for key, files in found.files.items()} == {uid: 3, f"{uid}~2": 2}
    (mine,), (theirs,) = found.elsewhere[uid], found.elsewhere[f"{uid}~2"]
    assert mine.rule == theirs.rule == "known_elsewhere"
    told = f"under series {uid} of study {study} with another Patient ID"
    assert mine.value == f"2 of its 3 instances are known {told}"
    assert str(theirs.value).startswith("2 of its 2 instances are known")


def test_of_two_studies_neither_is_taken(tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", 2)
    changed(first, tmp_path / "then", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.1")
    found = read_folder(tmp_path)
    assert found.elsewhere.keys() == {series_uid(first), "1.2.3.1"}


def test_of_two_series_of_one_study_the_first_counts(tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", 2)
    changed(first, tmp_path / "then", SeriesInstanceUID="1.2.3.1")
    assert read_folder(tmp_path).elsewhere.keys() == {"1.2.3.1"}


def test_series_with_instances_of_their_own_are_told_of_nowhere(tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", 2)
    changed(first, tmp_path / "same")
    write_series(tmp_path / "other", 2, seed=1)
    found = read_folder(tmp_path)
    assert (len(found.files), found.elsewhere, found.left_out) == (2, {}, ())
