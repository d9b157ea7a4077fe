"""What happens between the steps: damage, late instances, dead peers, a disk that is full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from dicomnode.config.destinations import Destination
from storage.records import DeliveryState, JobKind, JobState, SeriesState
from support.node import free_port
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline

OBJECTS = 4  # report, montage, key slice, segmentation
NOWHERE = Destination(name="nowhere", ae_title="X", address="no-such-host.invalid", port=104)


@pytest.fixture
def pipeline(tmp_path: Path, shared_models: Path) -> Iterator[Callable[..., Pipeline]]:
    made: list[Pipeline] = []

    def make(*destinations: Destination) -> Pipeline:
        made.append(Pipeline(tmp_path / f"data{len(made)}", shared_models, destinations))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


def failed_rules(pipeline: Pipeline, uid: str) -> set[str]:
    reasons = pipeline.detail(uid).series.reasons
    return {reason.rule for reason in reasons if reason.verdict == "fail"}


def test_a_slice_damaged_after_the_decision_fails_the_series_by_name(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    node = pipeline()
    node.receive(files)
    node.assess()
    stored = node.files.open_path(sorted(node.files.iter_paths())[5])
    os.truncate(stored, 700)
    node.analyse()
    detail = node.detail(series_uid(files))
    assert detail.series.state is SeriesState.FAILED
    assert failed_rules(node, series_uid(files))
    assert detail.results == ()


def test_a_file_that_is_gone_fails_the_series_by_name(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    node = pipeline()
    node.receive(files)
    node.assess()
    node.files.open_path(sorted(node.files.iter_paths())[5]).unlink()
    node.analyse()
    assert node.detail(series_uid(files)).series.state is SeriesState.FAILED
    assert "file" in failed_rules(node, series_uid(files))


def test_after_a_late_localizer_there_is_another_report_on_the_same_pictures(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """What the PACS holds is never changed under its UID: it would keep the old one."""
    files = write_series(tmp_path / "series")
    node = pipeline()
    node.bring_to_results(files)
    before = node.result_bytes()
    localizer = pydicom.dcmread(files[0])
    localizer.SOPInstanceUID = localizer.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    localizer.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    localizer.save_as(tmp_path / "late.dcm")
    node.receive([tmp_path / "late.dcm"])
    node.assess()
    node.analyse()
    after = node.result_bytes()
    assert {uid: after[uid] for uid in before} == before
    (report,) = after.keys() - before.keys()  # pictures that did not change keep their UIDs
    new = pydicom.dcmread(BytesIO(after[report]))
    assert new.SOPClassUID.name.endswith("SR Storage")
    (study,) = new.PredecessorDocumentsSequence
    former = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert former.ReferencedSOPInstanceUID in before


def test_the_same_job_gives_the_same_bytes_under_the_same_uids(
    pipeline: Callable[..., Pipeline], tmp_path: Path, shared_models: Path
) -> None:
    """A worker killed after it wrote its files is followed by one that writes them again."""
    files = write_series(tmp_path / "series")
    node = pipeline()
    node.receive(files)
    node.assess()
    node.database.close()
    copy = tmp_path / "copy"
    shutil.copytree(node.settings.node.data_directory, copy, symlinks=True)
    twin = Pipeline(copy, shared_models)
    node.analyse()
    twin.analyse()
    assert twin.result_bytes() == node.result_bytes()
    assert len(twin.result_bytes()) == OBJECTS
    twin.database.close()


def test_a_full_disk_costs_no_attempt(pipeline: Callable[..., Pipeline], tmp_path: Path) -> None:
    files = write_series(tmp_path / "series")
    node = pipeline()
    node.receive(files)
    node.assess()
    incoming = node.settings.result_files / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    incoming.rmdir()
    incoming.write_text("a file where the folder should be: every write fails")
    with pytest.raises(OSError, match="incoming"):
        node.analyse()  # the worker does not even start
    incoming.unlink()
    incoming.mkdir()
    node.load_worker()
    incoming.rmdir()
    incoming.write_text("")
    node.analyse()
    (job,) = (j for j in node.detail(series_uid(files)).jobs if j.kind is JobKind.ANALYSE)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert node.detail(series_uid(files)).series.state is SeriesState.QUEUED


def test_a_host_that_does_not_resolve_is_retried_and_told(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    node = pipeline(NOWHERE)
    node.bring_to_results(files)
    assert node.deliver(NOWHERE) == OBJECTS
    for delivery in node.detail(series_uid(files)).deliveries:
        assert delivery.state is DeliveryState.WAITING
        assert "no-such-host.invalid" in (delivery.error or "")


def test_a_result_file_that_is_damaged_stops_only_itself(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    with running_pacs() as pacs:
        node = pipeline(pacs.destination)
        node.bring_to_results(files)
        results = node.detail(series_uid(files)).results
        path = node.settings.result_files / results[0].path
        path.write_bytes(b"no DICOM any more")
        (node.settings.result_files / results[1].path).unlink()
        node.deliver(pacs.destination)
        states = [each.state for each in node.detail(series_uid(files)).deliveries]
        # what is damaged is given up; what cannot be opened may be there again later
        assert sorted(states) == ["failed", "stored", "stored", "waiting"]
        assert list(pacs.by_uid()) == [each.sop_instance_uid for each in results[2:]]


def test_a_refused_instance_is_tried_again_and_the_others_arrive(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    with running_pacs() as pacs:
        node = pipeline(pacs.destination)
        node.bring_to_results(files)
        pacs.refuse_next = 1
        node.deliver(pacs.destination)
        deliveries = node.detail(series_uid(files)).deliveries
        assert sorted(each.state for each in deliveries) == [
            "stored",
            "stored",
            "stored",
            "waiting",
        ]
        assert [e.error for e in deliveries if e.error] == [
            "C-STORE answered 0xA700, out of resources: see whether its disk is full"
        ]


def test_a_port_where_nobody_listens_is_retried(
    pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    dead = Destination(name="dead", ae_title="X", address="127.0.0.1", port=free_port())
    files = write_series(tmp_path / "series")
    node = pipeline(dead)
    node.bring_to_results(files)
    node.deliver(dead)
    errors = {each.error for each in node.detail(series_uid(files)).deliveries}
    assert errors == {f"dead (127.0.0.1:{dead.port}) cannot be reached: Connection refused"}
