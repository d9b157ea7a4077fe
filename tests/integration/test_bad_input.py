"""Bad input over the network: each series ends explained, and the node serves the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import _config, build_context

from dicomnode.network.associations import associated, requestor
from storage.records import SeriesDetail, SeriesState
from support.bad_series import ENDINGS, SLICES, write_damaged_series
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series

pytestmark = pytest.mark.long

QUICK = """
[completeness]
quiet_seconds = 0.5
[results]
key_slices = 2
"""
ROLES = ("receiver", "assessor", "worker", "deliverer", "supervisor")


@dataclass
class Story:
    """A node that got everything bad over one association, and the pids it had before."""

    node: Node
    pacs: Pacs
    series: dict[str, list[Path]]
    refused: dict[str, Path]
    statuses: dict[Path, int | None]
    pids: dict[str, int]

    def ended(self, name: str) -> SeriesDetail:
        return self.node.wait_until_ended(series_uid(self.series[name][:1]))


def store_as_they_are(files: Sequence[Path], node: Node) -> dict[Path, int | None]:
    """C-STORE of the bytes after the file meta information, whatever they are; status by file."""
    metas = [read_file_meta_info(file) for file in files]
    wanted = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    with associated(requestor("TESTER", contexts, 20), node.peer) as association:
        return {file: association.send_c_store(file).get("Status") for file in files}


def write_other_objects(folder: Path) -> dict[str, list[Path]]:
    """A report and captures, as a PACS sends them with the rest of a study."""

    def as_report(data_set: Dataset, _number: int) -> None:
        data_set.SOPClassUID, data_set.Modality = Comprehensive3DSRStorage, "SR"
        del data_set.PixelData

    def as_capture(data_set: Dataset, _number: int) -> None:
        data_set.SOPClassUID, data_set.Modality = SecondaryCaptureImageStorage, "OT"

    return {
        "report": write_series(folder / "sr", 1, change=as_report),
        "captures": write_series(folder / "sc", 2, change=as_capture),
    }


def write_refused(folder: Path) -> dict[str, Path]:
    """Files whose data sets cannot be taken, by what is wrong."""

    def without(keyword: str) -> Callable[[Dataset, int], None]:
        def change(data_set: Dataset, _number: int) -> None:
            del data_set[keyword]

        return change

    (no_series,) = write_series(folder / "series", 1, change=without("SeriesInstanceUID"))
    (no_study,) = write_series(folder / "study", 1, change=without("StudyInstanceUID"))
    (another,) = write_series(folder / "another", 1)
    data_set = pydicom.dcmread(another)
    data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    pydicom.dcmwrite(another, data_set)  # not enforced: the meta keeps the other UID
    (nothing,) = write_series(folder / "nothing", 1)
    content = nothing.read_bytes()
    nothing.write_bytes(content[: 144 + int.from_bytes(content[140:144], "little") + 8])
    return {"series": no_series, "study": no_study, "another": another, "nothing": nothing}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("bad")
    series = write_damaged_series(folder) | write_other_objects(folder)
    series["neighbour"] = write_series(folder / "neighbour", SLICES, seed=3)
    refused = write_refused(folder)
    with running_pacs() as pacs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
        node = Node(folder / "node", [pacs.destination], QUICK, models=shared_models)
        try:
            node.start()
            pids = {role: node.pid(role) for role in ROLES}
            # what is refused stands in the midst of what is taken
            files = [*series["neighbour"][:5], *refused.values(), *series["neighbour"][5:]]
            files += [file for name in series if name != "neighbour" for file in series[name]]
            statuses = store_as_they_are(files, node)
            yield Story(node, pacs, series, refused, statuses, pids)
        finally:
            node.close()


def test_what_names_no_instance_is_refused_and_what_stands_beside_it_is_taken(
    story: Story,
) -> None:
    answers = {name: story.statuses[file] for name, file in story.refused.items()}
    assert answers == {"series": 0xC000, "study": 0xC000, "another": 0xA900, "nothing": 0xC000}
    taken = [file for files in story.series.values() for file in files]
    assert {story.statuses[file] for file in taken} == {0x0000}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_damaged_series_ends_in_a_state_that_says_what_and_why(story: Story, name: str) -> None:
    state, rule, why = ENDINGS[name]
    detail = story.ended(name)
    assert detail.series.state.value == state
    failed = {r.rule: str(r.value) for r in detail.series.reasons if r.verdict == "fail"}
    assert why in failed[rule]
    assert detail.results == ()
    assert detail.series.instance_count == len(story.series[name])
    errors = [job.error for job in detail.jobs if job.error]
    assert len(errors) == (1 if state == "failed" else 0)


@pytest.mark.parametrize(("name", "modality"), [("report", "SR"), ("captures", "OT")])
def test_what_is_no_ct_is_taken_and_skipped(story: Story, name: str, modality: str) -> None:
    detail = story.ended(name)
    assert detail.series.state is SeriesState.SKIPPED
    reasons = {reason.rule: reason for reason in detail.series.reasons}
    assert reasons["modality"].as_json() == {
        "rule": "modality",
        "value": modality,
        "limit": "CT",
        "verdict": "fail",
    }
    assert reasons["sop_class"].verdict == "fail"


def test_a_good_series_among_them_is_analysed_and_delivered(story: Story) -> None:
    detail = story.ended("neighbour")
    assert detail.series.state is SeriesState.ANALYSED
    assert {each.sop_instance_uid for each in detail.results} <= set(story.pacs.by_uid())


def test_after_all_of_it_the_same_processes_serve_a_good_series(
    story: Story, tmp_path: Path
) -> None:
    for name in story.series:
        story.ended(name)
    files = write_series(tmp_path / "good", SLICES, seed=4)
    assert set(store_as_they_are(files, story.node).values()) == {0x0000}
    detail = story.node.wait_until_ended(series_uid(files))
    assert detail.series.state is SeriesState.ANALYSED
    assert len(detail.results) == 1 + 1 + 2 + 1  # report, montage, key slices, segmentation
    assert {each.sop_instance_uid for each in detail.results} <= set(story.pacs.by_uid())
    assert {role: story.node.pid(role) for role in ROLES} == story.pids


def test_the_log_names_each_refusal_once_and_no_patient(story: Story) -> None:
    refusals = [line for line in story.node.log.splitlines() if "C-STORE refused" in line]
    assert len(refusals) == len(story.refused)
    for told in ("SeriesInstanceUID", "StudyInstanceUID", "SOP Instance UID"):
        assert sum(told in line for line in refusals) >= 1, told
    for line in story.node.log.splitlines():
        assert "Traceback" not in line
        assert "DRAWN-1" not in line
        assert "Chest^Drawn" not in line
