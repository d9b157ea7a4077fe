"""Notes of `dicomnode process`: by the policy of the node, and the very same objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomnode.config.settings import Settings
from dicomnode.notes.writer import NoteWriter
from dicomnode.offline.process import SeriesOutcome, process_folder
from dicomnode.results.documents.text import report_as_text
from support.data import LOCALIZER
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.validators import dciodvfy_errors

STUDY = "1.2.826.0.1.3680043.10.79.1"


def in_study(number: int, thickness: float) -> Callable[[Dataset, int], None]:
    def change(data_set: Dataset, _index: int) -> None:
        data_set.StudyInstanceUID = STUDY
        data_set.SeriesNumber = number
        data_set.SliceThickness = thickness

    return change


def write(folder: Path, number: int, thickness: float = 8.0) -> str:
    change = in_study(number, thickness)
    return series_uid(write_series(folder / str(number), seed=number, change=change))


@pytest.fixture
def node(tmp_path: Path, shared_models: Path) -> Pipeline:
    return Pipeline(tmp_path / "data", shared_models)


def with_note(node: Pipeline, policy: str) -> Settings:
    results = replace(node.settings.results, note=policy)  # type: ignore[arg-type]
    node.settings = node.settings.model_copy(update={"results": results})
    return node.settings


def run(folder: Path, settings: Settings, out: Path) -> dict[str | None, SeriesOutcome]:
    return {each.series_instance_uid: each for each in process_folder(folder, out, settings)}


def read(outcome: SeriesOutcome) -> list[Dataset]:
    return [pydicom.dcmread(each["path"]) for each in outcome.objects]


def test_one_note_for_a_study_of_which_nothing_was_analysed(node: Pipeline, tmp_path: Path) -> None:
    uids = [write(tmp_path / "in", number) for number in (2, 3)]
    outcomes = run(tmp_path / "in", with_note(node, "study"), tmp_path / "out")
    assert {uid: len(each.objects) for uid, each in outcomes.items()} == {uids[0]: 0, uids[1]: 2}
    text, page = read(outcomes[uids[1]])
    assert text.StudyInstanceUID == page.StudyInstanceUID == STUDY
    told = report_as_text(text)
    assert "No CT series of this study was analysed." in told
    for number in (2, 3):
        assert f"Series {number}, 12 instances: skipped" in told
    for each in outcomes[uids[1]].objects:
        assert dciodvfy_errors(Path(each["path"])) == []
        assert Path(each["path"]).parent == tmp_path / "out" / uids[1]


def test_the_node_gives_its_note_the_same_uids(node: Pipeline, tmp_path: Path) -> None:
    """So that what was made offline and sent by hand is no second note."""
    uid = write(tmp_path / "in", 2)
    outcomes = run(tmp_path / "in", with_note(node, "study"), tmp_path / "out")
    node.receive(sorted((tmp_path / "in" / "2").iterdir()))
    node.assess()
    later = datetime.now(UTC) + timedelta(seconds=node.settings.study.wait_seconds + 1)
    assert NoteWriter(node.settings, node.database).write_due(later) == 1
    here = {str(each.SOPInstanceUID) for each in read(outcomes[uid])}
    assert set(node.result_bytes()) == here
    node.database.close()


def test_an_analysed_series_speaks_for_its_study(node: Pipeline, tmp_path: Path) -> None:
    thick, thin = write(tmp_path / "in", 2), write(tmp_path / "in", 3, thickness=2.5)
    outcomes = run(tmp_path / "in", with_note(node, "study"), tmp_path / "out")
    assert outcomes[thin].state == "analysed"
    assert outcomes[thick].objects == []
    again = run(tmp_path / "in", with_note(node, "all"), tmp_path / "all")
    assert [each.Modality for each in read(again[thick])] == ["SR", "OT"]
    assert len(again[thin].objects) == len(outcomes[thin].objects)


def test_off_writes_none_and_a_second_run_changes_nothing(node: Pipeline, tmp_path: Path) -> None:
    uid = write(tmp_path / "in", 2)
    (tmp_path / "in" / "scout.dcm").write_bytes(LOCALIZER[0].read_bytes())
    silent = run(tmp_path / "in", with_note(node, "off"), tmp_path / "off")
    assert [each.objects for each in silent.values()] == [[], []]
    first = run(tmp_path / "in", with_note(node, "all"), tmp_path / "out")
    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.dcm")}
    assert len(before) == 4  # the localizer is a CT series of its own
    second = run(tmp_path / "in", node.settings, tmp_path / "out")
    assert {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.dcm")} == before
    assert second[uid].objects == first[uid].objects
