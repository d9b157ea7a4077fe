"""Manifests: what is read, and that all that is wrong is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.errors import ManifestError
from dicomnode.weights.manifest import Manifest, read_boxes, read_manifest
from inference.training.scan import LesionBox, Split

BOXES = "number,class,kind,low_x,low_y,low_z,high_x,high_y,high_z\n"
COVID, CAP, NONE = "COVID-19", "community-acquired pneumonia", "non-pneumonia"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two series folders, two NIfTI files and a file of boxes; their content is not looked at."""
    for name in ("series1", "series2"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for name in ("scan.nii.gz", "mask.nii.gz", "notes.txt"):
        (tmp_path / "data" / name).touch()
    (tmp_path / "boxes.csv").write_text(BOXES + "1,COVID-19,ground glass,-10,0,5,20,30,25.5\n")
    return tmp_path


def read(folder: Path, *lines: str, task: str = "covnet") -> Manifest:
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return read_manifest(path, task)


def problems(folder: Path, *lines: str, task: str = "covnet") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(folder, *lines, task=task)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return list(caught.value.problems)


def test_a_manifest_is_read_with_all_that_it_says(folder: Path) -> None:
    manifest = read(
        folder,
        "scan, patient, path, label, split, lungs, lesions, boxes, scanner, age",
        "a.1,p1,data/series1,COVID-19,test,data/mask.nii.gz,,boxes.csv,Siemens,45",
        "b,p2,data/scan.nii.gz,non-pneumonia,,,data/mask.nii.gz,,,",
    )
    one, two = manifest.rows
    assert (one.scan, one.patient, one.label, one.split) == ("a.1", "p1", COVID, Split.TEST)
    assert one.path == folder / "data" / "series1"
    assert (one.lungs, one.lesions) == (folder / "data" / "mask.nii.gz", None)
    assert one.boxes == folder / "boxes.csv"
    assert one.strata == {"scanner": "Siemens", "age": "45"}
    assert (two.split, two.label, two.strata) == (None, NONE, {})
    assert manifest.task == "covnet"
    assert len(manifest.sha256) == 64


def test_a_byte_order_mark_quotes_and_empty_lines_do_no_harm(folder: Path) -> None:
    path = folder / "manifest.csv"
    text = '\ufeffscan,patient,path,label\r\n\r\na,"p,1",data/series1,"COVID-19"\r\n'
    path.write_text(text, "utf-8", newline="")
    (row,) = read_manifest(path, "covnet").rows
    assert row.patient == "p,1"


def test_everything_that_is_wrong_is_told_in_one_report(folder: Path) -> None:
    found = problems(
        folder,
        "scan,patient,path,label,split,lungs,boxes,age",
        "a,p1,data/series1,COVID-19,training,,,",
        "a,p1,data/series2,Covid,test,data/none.nii.gz,,",
        "b b,,data/nowhere,,,,,old",
        "c,p3,data/notes.txt,non-pneumonia,tset,data/notes.txt,missing.csv,",
        "d,p4,data/series1,non-pneumonia,,,,",
    )
    known = f"(known: '{COVID}', '{CAP}', '{NONE}')"
    assert found == [
        f"line 3, scan a: label 'Covid' is unknown {known}",
        "line 3, scan a: lungs 'data/none.nii.gz' is not there",
        "line 4, scan b b: scan: 'b b' is given, "
        "but it must be made of letters, digits, '_', '-' and '.'",
        "line 4, scan b b: patient: is missing and must be text",
        "line 4, scan b b: age: 'old' is given, but it must be a number from 0 to 130 years",
        "line 4, scan b b: no label",
        "line 4, scan b b: path 'data/nowhere' is not there",
        "line 5, scan c: split: 'tset' is given, "
        "but it must be one of 'training', 'validation', 'test'",
        "line 5, scan c: path 'data/notes.txt' is neither a folder nor a NIfTI file",
        "line 5, scan c: lungs 'data/notes.txt' is no NIfTI file",
        "line 5, scan c: boxes 'missing.csv': No such file or directory",
        "scans a and d have the same path",
        "scan a comes 2 times",
        "patient p1 is in several splits: test, training",
    ]


def test_a_scan_must_not_lead_out_of_the_names_that_files_may_have(folder: Path) -> None:
    (found,) = problems(folder, "scan,patient,path,label", "../x,p1,data/series1,COVID-19")
    assert found.startswith("line 2, scan ../x: scan: '../x' is given, but it must be made of")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["scan,patient,path,label"], ["no scan"]),
        ([""], ["line 1: is empty"]),
        (
            ["scan,path,lable", "a,b,c"],
            ["column 'patient' is missing", "column 'lable' is unknown"],
        ),
        (["scan,patient,path,scan", "a,b,c,d"], ["column 'scan' comes twice"]),
        (
            ["scan,patient,path", "a,b", "a,b,c,d"],
            ["line 2: 2 values for 3 columns", "line 3: 4 values for 3 columns"],
        ),
        (["scan,patient,path", 'a,"b'], ["line 2: unexpected end of data"]),
    ],
)
def test_what_is_no_table_is_told(folder: Path, lines: list[str], told: list[str]) -> None:
    assert problems(folder, *lines) == told


def test_a_file_that_is_no_text_or_not_there_is_told(folder: Path) -> None:
    (folder / "bad.csv").write_bytes(b"scan,patient,path\n\xff\xfe\n")
    with pytest.raises(ManifestError, match=r"bad.csv: 1 problem\(s\)\n  no UTF-8 text"):
        read_manifest(folder / "bad.csv", "covnet")
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(folder / "none.csv", "covnet")


def test_each_task_has_its_labels(folder: Path) -> None:
    line = "a,p1,data/series1,no infection found"
    assert read(folder, "scan,patient,path,label", line, task="regions").rows[0].label
    (found,) = problems(folder, "scan,patient,path,label", line)
    assert "label 'no infection found' is unknown" in found
    assert read(folder, "scan,patient,path", "a,p1,data/series1", task="lungs").rows[0].label == ""


def test_other_classes_may_be_given(folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_text("scan,patient,path,label\na,p1,data/series1,tuberculosis\n")
    assert read_manifest(path, "covnet", ("tuberculosis", "none")).rows[0].label == "tuberculosis"
    with pytest.raises(ManifestError, match="known: 'x', 'y'"):
        read_manifest(path, "covnet", ("x", "y"))


def test_boxes_are_read_in_lps_mm(folder: Path) -> None:
    assert read_boxes(folder / "boxes.csv") == (
        LesionBox(1, COVID, "ground glass", (-10.0, 0.0, 5.0), (20.0, 30.0, 25.5)),
    )


def test_boxes_that_cannot_be_are_all_told(folder: Path) -> None:
    rows = ["1,a,,0,0,0,1,1,1", "1,a,,0,0,0,1,0,1", "2,,,0,0,0,1,1,1", "70000,a,,0,0,0,1,1,1"]
    rows += ["1,a,,0,0,0,1,1,1", "x,a,,0,0,0,1,1,1", "3,a,,0,0,0,1,1,up", "4,a,,0,0"]
    (folder / "bad.csv").write_text(BOXES + "\n".join(rows))
    with pytest.raises(ManifestError) as caught:
        read_boxes(folder / "bad.csv")
    told = caught.value.problems
    assert told[0] == "line 3: box from (0.0, 0.0, 0.0) to (1.0, 0.0, 1.0) is empty"
    assert told[1:3] == (
        "line 4: class: '' is given, but it must be text that is not empty",
        "line 5: number: '70000' is given, but it must be a whole number from 1 to 65535",
    )
    assert [text.partition(":")[0] for text in told[3:]] == [
        "line 7",
        "line 8",
        *["line 9"] * 4,
        "lesion 1 comes twice",
    ]


def test_boxes_of_other_columns_are_told(folder: Path) -> None:
    (folder / "bad.csv").write_text("number,class\n1,a\n")
    with pytest.raises(ManifestError, match="the columns are not number,class,kind,low_x"):
        read_boxes(folder / "bad.csv")
