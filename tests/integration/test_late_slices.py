"""Instances that come late, or in any order: one result about all of them, the older one named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomnode.assess.assessor import Assessor
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import QuerySettings
from dicomnode.decisions.arrival.completeness import CompletenessPolicy
from storage.decided import SeriesEvidence
from storage.jobs import SUPERSEDED
from storage.records import JobKind, JobState, SeriesState
from support.find_scp import match, running_find_scp
from support.node import free_port
from support.phantom import SPACING_MM, series_uid, write_series
from support.pipeline import Pipeline
from support.storage_samples import noted
from support.wait import wait_for

POLICY = CompletenessPolicy(proven_quiet_seconds=1, quiet_seconds=50, incomplete_after_seconds=100)


@pytest.fixture
def node(tmp_path: Path, shared_models: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path / "data", shared_models)
    yield pipeline
    pipeline.database.close()


def analyses(node: Pipeline, uid: str) -> list[tuple[JobState, str | None]]:
    jobs = node.detail(uid).jobs
    return [(job.state, job.error) for job in jobs if job.kind is JobKind.ANALYSE]


def test_a_job_that_waits_is_replaced(node: Pipeline, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 13)
    uid = series_uid(files)
    node.receive(files[:12])
    node.assess()
    node.receive(files[12:])
    assert analyses(node, uid) == [(JobState.DONE, SUPERSEDED)]
    node.assess()
    node.analyse()
    assert analyses(node, uid) == [(JobState.DONE, SUPERSEDED), (JobState.DONE, None)]
    detail = node.detail(uid)
    assert (detail.series.state, detail.series.instance_count) == (SeriesState.ANALYSED, 13)
    assert [each.kind for each in detail.results].count("sr") == 1


def test_a_running_analysis_ends_early_when_slices_come(
    node: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real analysis is held at its first step until the late slice is known to the worker."""
    files = write_series(tmp_path / "ct", 13)
    uid = series_uid(files)
    node.receive(files[:12])
    node.assess()
    worker = node.load_worker()
    stages: list[str] = []
    go_on = worker._stop_if_superseded

    def held(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if len(stages) == 1:
            node.receive(files[12:])
            wait_for(worker._unawaited.is_set, "the worker knows of the late slice")
        go_on(stage, done, total)

    monkeypatch.setattr(worker, "_stop_if_superseded", held)
    monkeypatch.setattr("dicomnode.analyse.held_job._AWAITED_SECONDS", 0.1)
    node.analyse()
    assert len(stages) == 1
    assert analyses(node, uid) == [(JobState.DONE, SUPERSEDED)]
    assert node.detail(uid).series.state is SeriesState.RECEIVING
    assert node.detail(uid).results == ()
    node.assess()
    node.analyse()
    assert len(stages) > 1
    assert node.detail(uid).series.state is SeriesState.ANALYSED


def test_the_second_report_names_the_first_and_the_first_nothing(
    node: Pipeline, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "ct", 13)
    uid = series_uid(files)
    node.bring_to_results(files[:12])
    node.bring_to_results(files[12:])
    reports = [each for each in node.detail(uid).results if each.kind == "sr"]
    first, second = (pydicom.dcmread(node.settings.result_files / each.path) for each in reports)
    assert "PredecessorDocumentsSequence" not in first
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert named.SeriesInstanceUID == first.SeriesInstanceUID


def asking(node: Pipeline, peer: Destination, **policy: Any) -> Assessor:
    """An assessor that asks this peer, every half second at most."""
    query = QuerySettings(peer=peer, every_seconds=0.5, timeout_seconds=2.0)
    update = {"query": query, "completeness": replace(POLICY, **policy)}
    return Assessor(node.settings.model_copy(update=update), "node/assessor/1/")


def test_a_series_waits_while_the_pacs_has_more_and_not_a_second_longer(
    node: Pipeline, tmp_path: Path
) -> None:
    """The files are found as after a crash, so that nobody saw their association end."""
    files = write_series(tmp_path / "ct", 13)
    uid = series_uid(files)
    with running_find_scp() as scp:
        scp.series = [match(uid, NumberOfSeriesRelatedInstances=13)]
        assessor = asking(node, scp.destination)
        node.receive(files[:12])
        seen = wait_for(lambda: _noted(node, assessor, uid, "pacs: 13 instances"), "more")
        assert seen.complete is False
        assert seen.closed_by is None
        node.receive(files[12:])
        wait_for(lambda: _decided(node, assessor, uid), "it is complete")
        assessor.close()
    closed = noted(node.detail(uid).series)
    assert (closed.closed_by, closed.instances) == ("pacs_count", 13)


def _look(assessor: Assessor, ahead: float = 5.0) -> None:
    """As it will look in so many seconds, if nothing comes until then."""
    assessor.assess_one(datetime.now(UTC) + timedelta(seconds=ahead))


def _noted(node: Pipeline, assessor: Assessor, uid: str, told: str) -> SeriesEvidence | None:
    _look(assessor)
    found = node.detail(uid).series.completeness
    return found if found is not None and told in found.evidence else None


def _decided(node: Pipeline, assessor: Assessor, uid: str) -> bool:
    _look(assessor)
    return node.detail(uid).series.state is SeriesState.QUEUED


def test_series_that_come_interleaved_are_closed_each_by_its_own_count(
    node: Pipeline, tmp_path: Path
) -> None:
    """Slices of two series in turns and against their order; the PACS has more of one."""
    one, two = (write_series(tmp_path / name, 12, seed=n) for n, name in enumerate("ab"))
    uids = series_uid(one), series_uid(two)
    with running_find_scp() as scp:
        scp.series = [match(uids[0], NumberOfSeriesRelatedInstances=12)]
        scp.series += [match(uids[1], NumberOfSeriesRelatedInstances=12)]
        assessor = asking(node, scp.destination)
        for pair in zip(reversed(one), two[::2] + two[1::2], strict=True):
            node.receive([each for each in pair if each != two[6]])
        wait_for(lambda: _decided(node, assessor, uids[0]), "the first is complete")
        wait_for(lambda: _noted(node, assessor, uids[1], "pacs: 12 instances"), "the other waits")
        states = [node.detail(uid).series.state for uid in uids]
        assert states == [SeriesState.QUEUED, SeriesState.RECEIVING]
        node.receive([two[6]])
        wait_for(lambda: _decided(node, assessor, uids[1]), "so is the second")
        assessor.close()


def test_with_a_dead_pacs_the_quiet_period_decides_in_time(node: Pipeline, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 12)
    uid = series_uid(files)
    dead = Destination(name="dead", ae_title="X", address="127.0.0.1", port=free_port())
    assessor = asking(node, dead, quiet_seconds=2, lost_quiet_seconds=2)
    node.receive(files)
    _look(assessor, 1.5)
    assert node.detail(uid).series.state is SeriesState.RECEIVING
    assert _decided(node, assessor, uid)
    assessor.close()
    assert noted(node.detail(uid).series).closed_by == "quiet_period"


@pytest.mark.parametrize("incomplete", ["analyse", "skip"])
def test_a_gap_is_waited_for_and_then_always_skipped(
    node: Pipeline, tmp_path: Path, incomplete: str
) -> None:
    """Whatever the policy: the volume would have slices at wrong places."""
    files = write_series(tmp_path / "ct", 14)
    uid = series_uid(files)
    policy = replace(POLICY, lost_quiet_seconds=10, incomplete=incomplete)  # type: ignore[arg-type]
    update = {"completeness": policy}
    assessor = Assessor(node.settings.model_copy(update=update), "node/assessor/1/")
    node.receive(files[:5] + files[6:])
    _look(assessor, 30)
    waiting = node.detail(uid).series
    assert waiting.state is SeriesState.RECEIVING
    assert "1 slice missing between others" in noted(waiting).evidence
    _look(assessor, 200)
    decided = node.detail(uid).series
    assert decided.state is SeriesState.SKIPPED
    reasons = {each.rule: each.verdict for each in decided.reasons}
    assert reasons["completeness"] == ("warning" if incomplete == "analyse" else "fail")
    assert reasons["evenly_spaced"] == "fail"


@pytest.mark.parametrize(
    ("incomplete", "state"), [("analyse", SeriesState.QUEUED), ("skip", SeriesState.SKIPPED)]
)
def test_every_second_slice_lost_is_waited_for_and_then_told(
    node: Pipeline, tmp_path: Path, incomplete: str, state: SeriesState
) -> None:
    def half_as_far(data_set: Dataset, _number: int) -> None:
        data_set.SpacingBetweenSlices = SPACING_MM / 2

    files = write_series(tmp_path / "ct", 14, change=half_as_far)
    uid = series_uid(files)
    policy = replace(POLICY, lost_quiet_seconds=10, incomplete=incomplete)  # type: ignore[arg-type]
    assessor = Assessor(
        node.settings.model_copy(update={"completeness": policy}), "node/assessor/1/"
    )
    node.receive(files)
    _look(assessor, 30)
    waiting = node.detail(uid).series
    assert waiting.state is SeriesState.RECEIVING
    assert "Spacing Between Slices" in noted(waiting).evidence
    _look(assessor, 200)
    decided = node.detail(uid).series
    assert decided.state is state
    told = {each.rule: str(each.value) for each in decided.reasons}
    assert "13 missing" in told["lost_slices"]
    assert "13 missing" in told["completeness"]


def test_policy_may_skip_what_stays_incomplete(node: Pipeline, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 12)
    uid = series_uid(files)
    with running_find_scp() as scp:
        scp.series = [match(uid, NumberOfSeriesRelatedInstances=13)]
        assessor = asking(node, scp.destination, incomplete="skip", lost_quiet_seconds=10)
        node.receive(files)
        wait_for(lambda: _noted(node, assessor, uid, "pacs: 13 instances"), "the PACS has more")
        _look(assessor, 200)
        assessor.close()
    detail = node.detail(uid)
    assert detail.series.state is SeriesState.SKIPPED
    failed = [each.rule for each in detail.series.reasons if each.verdict == "fail"]
    assert failed == ["completeness"]
