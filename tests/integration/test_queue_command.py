"""`dicomnode queue`: what is where and why, told while the node runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from support.bad_series import SLICES
from support.command import dicomnode
from support.node import Node
from support.pacs import running_pacs
from support.phantom import write_series

QUICK = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 2\n"
FAMILY_NAME, PATIENT_ID = "Quellwasserbach", "ZQX-471100"
RESULTS = 1 + 1 + 2 + 1  # report, montage, key slices, segmentation

ALONE = "1.2.826.0.1.3680043.10.77.1.424242"
TWINS = ("1.2.826.0.1.3680043.10.77.2.1.999", "1.2.826.0.1.3680043.10.77.2.2.999")
ODD = "1.2.826.0.1.3680043.10.77.3"


def of_a_patient(
    series: str, accession: str, study: str, **more: str
) -> Callable[[Dataset, int], None]:
    """Makes a phantom a patient's, whose identity stands where it may and where it may not."""

    values = {
        "PatientName": f"{FAMILY_NAME}^Xanthippe",
        "PatientID": PATIENT_ID,
        "PatientBirthDate": PATIENT_ID,  # no date
        "PatientAge": PATIENT_ID,
        "StudyTime": FAMILY_NAME,  # no time
        "PatientSex": FAMILY_NAME,
        "ImageComments": FAMILY_NAME,
        "SeriesInstanceUID": series,
        "StudyInstanceUID": study,
        "AccessionNumber": accession,
    }

    def change(data_set: Dataset, _number: int) -> None:
        for keyword, value in (values | more).items():
            vr = dictionary_VR(keyword)
            data_set.add(DataElement(keyword, vr, value, validation_mode=pydicom.config.IGNORE))

    return change


@dataclass
class Hospital:
    """A node that still runs, and all that `queue` has printed of it."""

    node: Node
    printed: list[str]

    def queue(self, *arguments: str, status: int = 0) -> str:
        """What it prints: on standard output, or why on standard error."""
        done = queue(self.node.config, *arguments)
        self.printed += [done.stdout, done.stderr]
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        assert (done.stderr == "") is (status == 0)
        return done.stderr if status else done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.queue(*arguments, "--json"))


def queue(config: Path, *arguments: str) -> CompletedProcess[str]:
    return dicomnode("queue", *arguments, "--config", str(config))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("queue")
    studies = [generate_uid() for _ in range(3)]
    with running_pacs() as pacs:
        node = Node(folder / "node", [pacs.destination], QUICK, models=shared_models)
        try:
            node.start()
            files = [
                *write_series(folder / "a", SLICES, 0, of_a_patient(ALONE, "ACC-1", studies[0])),
                *write_series(folder / "b", 2, 1, of_a_patient(TWINS[0], "ACC-2", studies[1])),
                *write_series(folder / "c", 3, 2, of_a_patient(TWINS[1], "ACC-2", studies[1])),
                *write_series(
                    folder / "d", 1, 3, of_a_patient(ODD, "ACC-3", studies[2], Modality="[/X]")
                ),
            ]
            assert node.send(files) == files
            for uid in (ALONE, *TWINS, ODD):
                node.wait_until_ended(uid)
            yield Hospital(node, [])
        finally:
            node.close()


def test_list_has_a_row_for_each_series(hospital: Hospital) -> None:
    rows = {uid: row for row in hospital.queue("list").splitlines() for uid in [uid_in(row)] if uid}
    assert rows.keys() == {ALONE, *TWINS, ODD}
    assert "delivered" in rows[ALONE]
    assert f"{RESULTS}/{RESULTS}" in rows[ALONE]
    assert "skipped: slice_count" in rows[TWINS[1]]
    assert "modality" in rows[ODD]
    assert "TESTER" in rows[ODD]


def uid_in(row: str) -> str | None:
    cell = row.split(maxsplit=1)[0]
    return cell if cell.startswith("1.2.") else None


def test_list_as_json_says_the_same_newest_first(hospital: Hospital) -> None:
    rows = hospital.json("list")
    assert {row["series_instance_uid"] for row in rows} == {ALONE, *TWINS, ODD}
    times = [row["last_received_at"] for row in rows]
    assert times == sorted(times, reverse=True)
    (alone,) = [row for row in rows if row["series_instance_uid"] == ALONE]
    assert (alone["state"], alone["instance_count"]) == ("analysed", SLICES)
    assert alone["delivered"] == [RESULTS, RESULTS]


def test_list_can_be_narrowed(hospital: Hospital) -> None:
    skipped = hospital.json("list", "--state", "skipped")
    assert {row["series_instance_uid"] for row in skipped} == {*TWINS, ODD}
    assert len(hospital.json("list", "--limit", "1")) == 1
    assert hospital.json("list", "--state", "receiving") == []


@pytest.mark.parametrize("named", [ALONE, ALONE[-6:], "ACC-1"])
def test_show_finds_a_series_by_uid_by_ending_and_by_accession_number(
    hospital: Hospital, named: str
) -> None:
    shown = hospital.json("show", named)
    assert shown["series"]["series_instance_uid"] == ALONE
    assert {job["kind"] for job in shown["jobs"]} == {"assess", "analyse"}
    assert len(shown["results"]) == len(shown["deliveries"]) == RESULTS
    assert {each["state"] for each in shown["deliveries"]} == {"stored"}


def test_show_prints_what_was_found_and_what_was_sent(hospital: Hospital) -> None:
    text = hospital.queue("show", ALONE)
    assert ALONE in text
    assert "UNTRAINED WEIGHTS – no clinical meaning" in text
    assert text.count("stored") == 1, "the objects of which all is alike, in one row"
    for name in ("COVID-19", "community-acquired pneumonia", "non-pneumonia", "montage"):
        assert name in text


def test_why_tells_evidence_rules_and_what_is_next(hospital: Hospital) -> None:
    text = hospital.queue("why", TWINS[0])
    assert f"series   {TWINS[0]}" in text
    assert "2 instances from TESTER (127.0.0.1)" in text
    assert f"same study: {TWINS[1]} skipped" in text
    assert "born" not in text
    assert "released" in text
    assert "complete because: " in text
    answer = "skipped: it has 2 slices, at least 10 are asked for: eligibility.min_slices"
    assert text.startswith(f"{answer}\n")
    assert "next: a note is due at " in text
    why = hospital.json("why", TWINS[0])
    failed = {r["rule"]: (r["value"], r["limit"]) for r in why["reasons"] if r["verdict"] == "fail"}
    assert failed["slice_count"] == (2, "at least 10")
    for reason in why["reasons"]:
        assert reason["rule"] in text
    assert why["associations"][0]["end"] == "released"
    assert why["associations"][0]["instances"] == 2
    assert [other["series_instance_uid"] for other in why["same_study"]] == [TWINS[1]]
    assert why["next"] in text


def test_why_shows_whose_study_it_is_only_when_asked(hospital: Hospital) -> None:
    done = queue(hospital.node.config, "why", ALONE, "--identity")
    assert f"patient    {FAMILY_NAME}^Xanthippe" in done.stdout
    assert f"patient ID {PATIENT_ID}" in done.stdout
    asked = queue(hospital.node.config, "why", ALONE, "--identity", "--json")
    assert json.loads(asked.stdout)["identity"]["patient ID"] == PATIENT_ID
    assert "identity" not in hospital.json("why", ALONE)


def test_what_a_header_says_is_no_markup(hospital: Hospital) -> None:
    assert "  [/X]" in hospital.queue("why", ODD)
    assert ", [/X], last" in hospital.queue("show", ODD)


@pytest.mark.parametrize("command", ["show", "why"])
def test_an_accession_number_may_name_several_series(hospital: Hospital, command: str) -> None:
    found = hospital.json(command, "ACC-2")
    series = [each.get("series", each)["series_instance_uid"] for each in found]
    assert sorted(series) == sorted(TWINS)
    text = hospital.queue(command, "ACC-2")
    assert all(f"series   {uid}" in text for uid in TWINS)


def test_an_ending_that_fits_several_series_is_refused_and_names_them(hospital: Hospital) -> None:
    (line,) = hospital.queue("why", ".999", status=1).splitlines()
    assert all(uid in line for uid in TWINS)
    assert "2 series match '.999'" in line


@pytest.mark.parametrize("named", ["1.2.3.4.5.6", "ACC-9", "%", ""])
def test_what_names_no_series_is_told_in_one_line(hospital: Hospital, named: str) -> None:
    (line,) = hospital.queue("show", named, status=1).splitlines()
    assert line.startswith("dicomnode: series: none has")
    assert repr(named) in line


def test_before_a_node_has_run_queue_says_so_and_makes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "dicomnode.toml"
    config.write_text('[node]\ndata_directory = "data"\n')
    for arguments in (["list"], ["show", "1"], ["why", "1"]):
        done = queue(config, *arguments)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("dicomnode: no node has run yet: there is no database")
        assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [config]


def test_nothing_that_is_printed_logged_or_named_tells_the_patient(hospital: Hospital) -> None:
    for command in (["list"], ["show", "ACC-1"], ["why", "ACC-1"]):
        hospital.queue(*command)
        hospital.json(*command)
    data = hospital.node.settings.node.data_directory
    paths = [str(path.relative_to(data)) for path in data.rglob("*")]
    assert len(paths) > SLICES + RESULTS
    for text in (*hospital.printed, hospital.node.log, *paths):
        assert FAMILY_NAME.lower() not in text.lower()
        assert PATIENT_ID.lower() not in text.lower()
