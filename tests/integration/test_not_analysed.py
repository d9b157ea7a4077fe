"""Notes on what was not analysed, from real files to a real peer's store, by policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from dicomnode.config.destinations import Destination
from dicomnode.decisions.eligibility.study_choice import StudyPolicy
from dicomnode.deliver.result_store import store_result
from dicomnode.notes.writer import NoteWriter
from dicomnode.results.documents.text import report_as_text
from storage.decided import Withdrawal
from storage.records import NOTE_KIND, DeliveryState, SeriesState
from support.node import Node
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.validators import dciodvfy_errors
from support.wait import wait_for

Change = Callable[[Dataset, int], None]
STUDY = "1.2.826.0.1.3680043.10.78.1"
RUNNING = '[completeness]\nquiet_seconds = 0.5\n[results]\nnote = "all"\n'
WAIT = timedelta(seconds=61)  # more than study.wait_seconds


def in_study(number: int, thickness: float = 8.0) -> Change:
    def change(data_set: Dataset, _index: int) -> None:
        data_set.StudyInstanceUID = STUDY
        data_set.SeriesNumber = number
        data_set.SeriesDescription = f"Recon {number}"
        data_set.SliceThickness = thickness

    return change


@pytest.fixture
def pipeline(tmp_path: Path, shared_models: Path) -> Iterator[Callable[..., Pipeline]]:
    made: list[Pipeline] = []

    def make(note: str, *destinations: Destination) -> Pipeline:
        node = Pipeline(tmp_path / f"data{len(made)}", shared_models, destinations)
        results = replace(node.settings.results, note=note)  # type: ignore[arg-type]
        node.settings = node.settings.model_copy(update={"results": results})
        made.append(node)
        return node

    yield make
    for each in made:
        each.database.close()


def skipped(node: Pipeline, folder: Path, number: int) -> str:
    files = write_series(folder / str(number), seed=number, change=in_study(number))
    node.receive(files)
    node.assess()
    assert node.detail(series_uid(files)).series.state is SeriesState.SKIPPED
    return series_uid(files)


def write_notes(node: Pipeline, wait: timedelta = WAIT) -> int:
    return NoteWriter(node.settings, node.database).write_due(datetime.now(UTC) + wait)


def test_one_note_for_a_study_of_which_nothing_was_analysed(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    with running_pacs() as pacs:
        node = pipeline("study", pacs.destination)
        first, second = (skipped(node, tmp_path, number) for number in (2, 3))
        assert write_notes(node, timedelta(0)) == 0  # another series may still come
        assert write_notes(node) == 1
        assert write_notes(node) == 0
        assert node.deliver(pacs.destination) == 2
        text, page = pacs.received
    assert node.detail(first).results == ()
    assert [each.kind for each in node.detail(second).results] == ["note", "note"]
    assert text.SOPClassUID == BasicTextSRStorage
    assert text.StudyInstanceUID == page.StudyInstanceUID == STUDY
    assert text.PatientID == page.PatientID == "DRAWN-1"
    told = report_as_text(text)
    assert "No CT series of this study was analysed." in told
    for number in (2, 3):
        assert f"Series {number} “Recon {number}”, 12 instances: skipped" in told
    assert "- Slice thickness: 8" in told
    for path in node.settings.result_files.rglob("*.dcm"):
        assert dciodvfy_errors(path) == []


def test_a_study_with_an_analysed_series_has_no_note(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    node = pipeline("study")
    uid = skipped(node, tmp_path, 2)
    node.receive(write_series(tmp_path / "thin", seed=4, change=in_study(4, thickness=2.5)))
    assert write_notes(node) == 0  # it is still open
    node.assess()
    assert write_notes(node) == 0  # it will be analysed
    assert node.detail(uid).results == ()


def test_a_series_that_failed_is_told_of(pipeline: Callable[..., Pipeline], tmp_path: Path) -> None:
    node = pipeline("study")
    files = write_series(tmp_path / "thin", seed=5, change=in_study(5, thickness=2.5))
    node.receive(files)
    node.assess()
    paths = sorted(node.files.iter_paths())
    node.files.open_path(paths[5]).unlink()
    node.analyse()
    assert node.detail(series_uid(files)).series.state is SeriesState.FAILED
    assert write_notes(node) == 1
    text = next(r for r in note_objects(node) if "ContentSequence" in r)
    assert "12 instances: analysis failed" in report_as_text(text)


def note_objects(node: Pipeline) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in node.settings.result_files.rglob("*.dcm")]


def test_a_later_series_makes_a_note_that_names_the_one_before(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    node = pipeline("study")
    skipped(node, tmp_path, 2)
    assert write_notes(node) == 1
    (former,) = [each for each in note_objects(node) if each.Modality == "SR"]
    skipped(node, tmp_path, 3)
    assert write_notes(node) == 1
    texts = [each for each in note_objects(node) if each.Modality == "SR"]
    (later,) = [each for each in texts if each.SOPInstanceUID != former.SOPInstanceUID]
    (study,) = later.PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == former.SOPInstanceUID


def test_the_same_rows_give_the_same_bytes(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """A node killed after the files and before the rows writes the same files again."""
    node = pipeline("study")
    uid = skipped(node, tmp_path, 2)
    series = [node.detail(uid).series]
    writer = NoteWriter(node.settings, node.database)
    moment = series[0].ended_at
    assert moment is not None
    before = [each.data_set for each in writer._objects(series, (), moment, whole_study=True)]
    assert write_notes(node) == 1
    assert {each.SOPInstanceUID for each in before} == set(node.result_bytes())
    content = node.result_bytes()
    again = [
        store_result(writer._results, uid, each, moment, NOTE_KIND)
        for each in writer._objects(series, (), moment, whole_study=True)
    ]
    assert len(again) == 2
    assert node.result_bytes() == content


def test_all_tells_of_each_series_at_once_and_off_of_none(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    node = pipeline("all")
    uids = [skipped(node, tmp_path, number) for number in (2, 3)]
    assert write_notes(node, timedelta(seconds=1)) == 2
    assert [len(node.detail(uid).results) for uid in uids] == [2, 2]
    silent = pipeline("off")
    skipped(silent, tmp_path / "off", 2)
    assert write_notes(silent) == 0
    assert note_objects(silent) == []


def test_a_note_waits_while_its_destination_is_down(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    nowhere = Destination(name="x", ae_title="X", address="no-such-host.invalid", port=104)
    node = pipeline("study", nowhere)
    uid = skipped(node, tmp_path, 2)
    assert write_notes(node) == 1
    assert node.deliver(nowhere) == 2
    assert {d.state for d in node.detail(uid).deliveries} == {DeliveryState.WAITING}


def analysed(node: Pipeline, folder: Path, number: int) -> str:
    files = write_series(folder / str(number), seed=number, change=in_study(number, thickness=2.5))
    node.bring_to_results(files)
    assert node.detail(series_uid(files)).series.state is SeriesState.ANALYSED
    return series_uid(files)


def test_a_note_that_was_sent_is_withdrawn_when_a_series_is_analysed_after_all(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """It would stand beside the report and say that there is none."""
    with running_pacs() as rejecting, running_pacs() as plain:
        takes = {"name": "rejecting", "rejection_notes": True}
        places = [rejecting.destination.model_copy(update=takes), plain.destination]
        node = pipeline("study", *places)
        noted = skipped(node, tmp_path, 2)
        assert write_notes(node) == 1
        assert [node.deliver(each) for each in places] == [2, 2]
        text, page = plain.received
        analysed(node, tmp_path, 3)
        assert write_notes(node) == 0
        assert write_notes(node) == 0  # once only
        for place in places:
            assert node.deliver(place) + node.deliver(place) == 1 + 4
        rejections = [each for each in rejecting.received if each.Modality == "KO"]
        (instead,) = [each for each in plain.received[2:] if each.SOPClassUID == BasicTextSRStorage]
    (rejection,) = rejections
    assert set(rejected_by(rejection)) == {text.SOPInstanceUID, page.SOPInstanceUID}
    assert rejection.ConceptNameCodeSequence[0].CodeValue == "113037"
    assert instead.SeriesDescription.startswith("WITHDRAWN")
    assert instead.SeriesInstanceUID != text.SeriesInstanceUID
    assert predecessor_of(instead) == text.SOPInstanceUID
    assert "A CT series was analysed since" in report_as_text(instead)
    (withdrawn,) = node.detail(noted).series.history
    assert isinstance(withdrawn, Withdrawal)
    assert (withdrawn.state, withdrawn.why) == ("retracted", "outdated")
    for path in node.settings.result_files.rglob("*.dcm"):
        assert dciodvfy_errors(path) == []


def rejected_by(note: Dataset) -> list[str]:
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    return [
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def predecessor_of(report: Dataset) -> str:
    (study,) = report.PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(reference.ReferencedSOPInstanceUID)


def test_a_note_that_nobody_got_is_not_withdrawn_but_not_sent(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    nowhere = Destination(name="x", ae_title="X", address="no-such-host.invalid", port=104)
    node = pipeline("study", nowhere)
    noted = skipped(node, tmp_path, 2)
    assert write_notes(node) == 1
    analysed(node, tmp_path, 3)
    assert write_notes(node) == 0
    assert {d.state for d in node.detail(noted).deliveries} == {DeliveryState.ABANDONED}
    assert node.detail(noted).series.history == ()


def test_a_note_on_one_series_holds_until_that_series_is_analysed(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """Its first slices were too few; another series of the study changes nothing about it."""
    files = write_series(tmp_path / "late", 12, change=in_study(2, thickness=2.5))
    with running_pacs() as pacs:
        node = pipeline("all", pacs.destination)
        node.settings = node.settings.model_copy(update={"study": StudyPolicy(choose="all")})
        node.receive(files[:5])
        node.assess()
        assert write_notes(node) == 1
        assert node.deliver(pacs.destination) == 2
        analysed(node, tmp_path, 3)
        assert write_notes(node) == 0
        assert node.detail(series_uid(files)).series.history == ()
        node.bring_to_results(files[5:])
        assert write_notes(node) == 0
    states = [each.state for each in node.detail(series_uid(files)).series.history]
    assert states == ["skipped", "retracted"]


@pytest.mark.long  # what writes and what sends them is tested above, without the processes
def test_a_running_node_sends_its_notes(tmp_path: Path, shared_models: Path) -> None:
    files = write_series(tmp_path / "few", 3, change=in_study(2))
    with running_pacs() as pacs:
        node = Node(tmp_path / "node", [pacs.destination], RUNNING, models=shared_models)
        try:
            node.start()
            node.send(files)
            node.wait_until_ended(series_uid(files))
            wait_for(lambda: len(pacs.received) == 2, "the note's two objects")
        finally:
            node.close()
    assert [each.Modality for each in pacs.received] == ["SR", "OT"]
    assert "Number of slices: 3 (asked for: at least 10)" in report_as_text(pacs.received[0])
