"""`dicomnode process`: a folder with everything in it, each series told as what it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.eligibility.eligibility import RULES
from dicomnode.decisions.reasons import Verdict
from dicomnode.offline.process import SeriesOutcome, process_folder
from dicomnode.results.documents.text import report_as_text
from support.bad_series import ENDINGS, SLICES, cut_identity, write_damaged_series
from support.data import LOCALIZER, PHILIPS, SIEMENS
from support.phantom import LOW_CHEST, series_uid, write_series
from support.validators import dciodvfy_errors
from support.wait import PATIENCE_SECONDS

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UNTRAINED = "UNTRAINED WEIGHTS – no clinical meaning"
WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]

SHARED_UID = ("failed", "sop_instance_uid", "11 slices, but 10 SOP Instance UIDs")
DAMAGED = ENDINGS | {"one UID twice": SHARED_UID}


@dataclass
class Outcome:
    """What one run of the program left."""

    done: subprocess.CompletedProcess[str]
    uids: dict[str, str]  # name of a series to its Series Instance UID
    entries: list[dict[str, Any]]

    def entry(self, name: str) -> dict[str, Any]:
        (entry,) = [e for e in self.entries if e["series_instance_uid"] == self.uids[name]]
        return entry


def process(
    arguments: Sequence[Path | str],
    folder: Path,
    prefix: Sequence[str] = (),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "dicomnode", "process", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def write_config(folder: Path, models: Path, toml: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dicomnode.toml"
    quiet = '[results]\nnote = "off"\n'  # notes have tests of their own
    told = toml.replace("[results]\n", quiet) if "[results]" in toml else toml + quiet
    bundle = f'[inference]\nmethods = [{{ bundle = "{models}" }}]\n'
    config.write_text(f'[node]\ndata_directory = "data"\n{bundle}{told}{LOW_CHEST}')
    return config


def same_uid_twice(folder: Path) -> list[Path]:
    """Two slices that differ bear one SOP Instance UID."""
    uid = pydicom.uid.generate_uid()

    def change(data_set: Dataset, number: int) -> None:
        if number in {3, 7}:
            data_set.SOPInstanceUID = uid

    return write_series(folder, SLICES + 1, change=change)


def write_everything(folder: Path) -> dict[str, str]:
    """Real series mixed in one folder, damaged ones below it, and files that are no instances."""
    damaged = write_damaged_series(folder)
    damaged["one UID twice"] = same_uid_twice(folder / "twice")
    for file in PHILIPS[:-1]:
        shutil.copy(file, folder / f"a{file.name}")
    (folder / "linked.dcm").symlink_to(PHILIPS[-1])
    shutil.copy(PHILIPS[5], folder / "the same instance again.dcm")
    for file in SIEMENS:
        shutil.copy(file, folder / f"b{file.name}")
    shutil.copy(LOCALIZER[0], folder / "c")
    write_what_is_no_instance(folder)
    real = {"philips": PHILIPS, "siemens": SIEMENS, "localizer": LOCALIZER}
    return {name: series_uid(files) for name, files in (real | damaged).items()}


def write_what_is_no_instance(folder: Path) -> None:
    """Files that belong to no series."""
    prefix = bytes(128) + b"DICM"
    (folder / "[notes").mkdir()
    (folder / "[notes" / "b].txt").write_text("no DICOM\n" * 100)
    (folder / "empty.dcm").touch()
    (folder / "DICOMDIR").write_bytes(prefix + b"\xff" * 40)
    (folder / "noise.dcm").write_bytes(prefix + b"\x02\x00\x10\x00UI\xff\xff" * 99)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).write_text("a name that is no UTF-8")
    (folder / "gone.dcm").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    cut_identity(write_series(folder / "identity", 1)[0])


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Outcome:
    home = tmp_path_factory.mktemp("process")
    folder = home / "Röntgen für alle"
    uids = write_everything(folder)
    config = write_config(home, shared_models, "[eligibility]\nmax_slice_thickness_mm = 5.0\n")
    story = home / "new folder" / "outcome.json"
    done = process([folder, "--out", "out", "--json", story, "--config", config], home)
    assert done.returncode == 0, done.stderr
    entries = json.loads(story.read_text(encoding="utf-8"))
    for entry in entries:
        for each in entry["objects"]:
            each["path"] = home / each["path"]
    return Outcome(done, uids, entries)


def test_each_series_has_one_entry_and_the_files_of_no_series_one_more(
    everything: Outcome,
) -> None:
    told = [entry["series_instance_uid"] for entry in everything.entries]
    assert sorted(told, key=str) == sorted([*everything.uids.values(), None], key=str)


def test_the_real_chest_is_analysed_with_every_rule_told(everything: Outcome) -> None:
    entry = everything.entry("philips")
    assert entry["state"] == "analysed"
    told = [reason["rule"] for reason in entry["reasons"]]
    by_header = [rule.__name__ for rule in RULES if not rule.__name__.startswith("contrast")]
    by_pixels = ["volume", "height", "slices", "sides", "top", "base"]
    contrast = ["contrast_attributes", "contrast_text", "contrast_pixels", "contrast"]
    assert told == [*by_header, *(f"lung_{each}" for each in by_pixels), *contrast]
    for reason in entry["reasons"]:
        assert set(reason) == {"rule", "value", "limit", "verdict"}
        assert reason["verdict"] in {"pass", "warning"}
        assert reason["value"] is not None
    by_rule = {reason["rule"]: reason for reason in entry["reasons"]}
    assert by_rule["slice_thickness"]["value"] == by_rule["slice_thickness"]["limit"] == 5.0
    assert by_rule["slice_count"]["value"] == len(PHILIPS)  # a link counts, a copy does not


def test_its_probabilities_sum_to_one_and_bear_the_warning(everything: Outcome) -> None:
    entry = everything.entry("philips")
    names = {"COVID-19", "community-acquired pneumonia", "non-pneumonia"}
    (found,) = entry["findings"]
    assert found["meaning"] == "probability"
    assert set(found["scores"]) == names
    assert sum(found["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert min(found["scores"].values()) > 0
    assert found["model"]["warning"] == UNTRAINED
    assert UNTRAINED in everything.done.stdout


def test_its_seconds_are_told_by_stage(everything: Outcome) -> None:
    seconds = everything.entry("philips")["seconds"]
    stages = {"decide", "decode", "lungs", "preprocess", "network", "heatmap", "results", "write"}
    assert set(seconds) == stages
    assert all(0 <= value < 240 for value in seconds.values())
    assert seconds["network"] > 0


def test_its_objects_exist_and_pass_dciodvfy(everything: Outcome) -> None:
    objects = everything.entry("philips")["objects"]
    classes = [each["sop_class_uid"] for each in objects]
    assert classes == [COMPREHENSIVE_3D_SR] + [SECONDARY_CAPTURE] * 11 + [SEGMENTATION]
    source = pydicom.dcmread(PHILIPS[0], stop_before_pixels=True)
    for each in objects:
        assert dciodvfy_errors(each["path"]) == []
        result = pydicom.dcmread(each["path"], stop_before_pixels=True)
        assert result.SOPClassUID == each["sop_class_uid"]
        assert result.StudyInstanceUID == source.StudyInstanceUID
    assert UNTRAINED in report_as_text(pydicom.dcmread(objects[0]["path"]))


def test_nothing_but_its_objects_is_written(everything: Outcome) -> None:
    objects = [each["path"] for each in everything.entry("philips")["objects"]]
    assert sorted(objects[0].parents[1].rglob("*.*")) == sorted([objects[0].parent, *objects])


@pytest.mark.parametrize("name", ["siemens", "localizer"])
def test_what_is_not_for_analysis_is_skipped_with_its_reasons(
    everything: Outcome, name: str
) -> None:
    entry = everything.entry(name)
    failed = {r["rule"]: r["value"] for r in entry["reasons"] if r["verdict"] == "fail"}
    assert entry["state"] == "skipped"
    assert entry["objects"] == []
    assert "findings" not in entry
    expected = {"siemens": ("slice_thickness", 8.0), "localizer": ("localizer", "all 1 instances")}
    rule, value = expected[name]
    assert failed[rule] == value


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_series_ends_in_a_state_that_says_what_and_why(
    everything: Outcome, name: str
) -> None:
    state, rule, why = DAMAGED[name]
    entry = everything.entry(name)
    assert entry["state"] == state
    assert "findings" not in entry
    assert entry["objects"] == []
    values = [
        str(r["value"]) for r in entry["reasons"] if (r["rule"], r["verdict"]) == (rule, "fail")
    ]
    assert len(values) == 1
    assert why in values[0]


def test_each_file_of_no_series_is_named_with_why(everything: Outcome) -> None:
    (entry,) = [e for e in everything.entries if e["series_instance_uid"] is None]
    assert entry["state"] == "unreadable"
    told = dict(reason["value"].split(": ", 1) for reason in entry["reasons"])
    assert {reason["verdict"] for reason in entry["reasons"]} == {"fail"}
    assert told.keys() == {
        "[notes/b].txt",
        "\\xff.txt",
        "empty.dcm",
        "gone.dcm",
        "identity/000.dcm",
        "noise.dcm",
        "pipe",
    }
    assert told["[notes/b].txt"] == "no DICOM file: its prefix DICM is missing"
    assert told["empty.dcm"] == "an empty file"
    assert told["gone.dcm"] == "No such file or directory"
    assert told["identity/000.dcm"] == "SeriesInstanceUID: absent or no UID"
    assert told["pipe"] == "no regular file"


def test_the_table_names_every_series_and_nothing_is_a_fault(everything: Outcome) -> None:
    for uid in everything.uids.values():
        assert uid in everything.done.stdout
    assert "b].txt: no DICOM" in everything.done.stdout
    assert "Traceback" not in everything.done.stderr
    assert "Warning" not in everything.done.stderr


def test_without_configuration_the_default_policy_skips_five_millimetres(
    tmp_path: Path, shared_models: Path
) -> None:
    story = tmp_path / "story.json"
    done = process(
        [PHILIPS[0].parent, "--out", tmp_path / "out", "--json", story],
        tmp_path,
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(story.read_text())
    assert entry["state"] == "skipped"
    failed = {
        r["rule"]: (r["value"], r["limit"]) for r in entry["reasons"] if r["verdict"] == "fail"
    }
    assert failed == {"slice_thickness": (5.0, 3.0), "slice_spacing": (5.0, 3.0)}
    kinds = [Path(each["path"]).stem.partition("-")[2] for each in entry["objects"]]
    assert kinds == ["note", "note"], "silence could be read as a negative finding"


def test_a_folder_that_does_not_exist_is_told_in_one_line(tmp_path: Path) -> None:
    done = process(["nowhere", "--out", "out"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "dicomnode: nowhere is no folder"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere"
)
def test_an_out_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o555)
    files = write_series(tmp_path / "series")
    prefix = WITHOUT_PRIVILEGE if os.geteuid() == 0 else []
    done = process([files[0].parent, "--out", "out"], tmp_path, prefix)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "dicomnode: out cannot be written"
    assert "Traceback" not in done.stderr


@pytest.fixture
def settings(tmp_path: Path, shared_models: Path) -> Settings:
    home = tmp_path / "home"
    return load_settings(write_config(home, shared_models, "[results]\nkey_slices = 2\n"))


def contents(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.dcm")}


def test_a_second_run_over_the_same_out_changes_nothing_that_is_whole(
    tmp_path: Path, settings: Settings
) -> None:
    series, out = tmp_path / "series", tmp_path / "out"
    write_series(series, SLICES)
    (first,) = process_folder(series, out, settings)
    before = contents(out)
    (broken, lost), whole = [Path(each["path"]) for each in first.objects][1:3], first.objects[0]
    broken.write_bytes(broken.read_bytes()[:1000])
    lost.unlink()
    (second,) = process_folder(series, out, settings)
    assert second.objects == first.objects
    assert second.findings == first.findings
    after = contents(out)
    assert after.keys() == before.keys()
    assert Path(whole["path"]).read_bytes() == before[str(Path(whole["path"]).relative_to(out))]
    for file in (broken, lost):
        again = pydicom.dcmread(file)
        old = pydicom.dcmread(pydicom.filebase.DicomBytesIO(before[str(file.relative_to(out))]))
        assert again.SOPInstanceUID == old.SOPInstanceUID
        assert again.PixelData == old.PixelData


def test_a_corrected_study_beside_the_former_one_is_analysed_under_neither_patient(
    tmp_path: Path, settings: Settings
) -> None:
    series = tmp_path / "series"
    for file in write_series(series / "first", SLICES):
        data_set = pydicom.dcmread(file)
        data_set.PatientID = "CORRECTED-1"
        (series / "then").mkdir(exist_ok=True)
        data_set.save_as(series / "then" / file.name)
    outcomes = process_folder(series, tmp_path / "out", settings)
    assert [each.state for each in outcomes] == ["skipped", "skipped"]
    failed = [r for each in outcomes for r in each.reasons if r.verdict is Verdict.FAIL]
    assert {reason.rule for reason in failed} == {"known_elsewhere"}
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_a_result_that_cannot_be_written_stops_only_its_own_series(
    tmp_path: Path, settings: Settings
) -> None:
    blocked = series_uid(write_series(tmp_path / "in" / "a", SLICES))
    free = series_uid(write_series(tmp_path / "in" / "b", SLICES, seed=1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / blocked).write_text("a file where a folder is to be")
    by_uid = {
        o.series_instance_uid: o
        for o in process_folder(tmp_path / "in", tmp_path / "out", settings)
    }
    assert by_uid[free].state == "analysed"
    stopped: SeriesOutcome = by_uid[blocked]
    assert stopped.state == "error"
    assert (stopped.reasons[-1].rule, stopped.reasons[-1].value) == ("file", "File exists")
    assert stopped.objects == []
    assert stopped.findings is None
