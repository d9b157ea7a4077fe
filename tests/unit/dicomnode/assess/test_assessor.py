"""The assessor, one look at a time, on real files and a database of its own."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import update

from dicomnode.assess import assessor as assessor_module
from dicomnode.assess.assessment import assess_files
from dicomnode.assess.assessor import Assessor
from dicomnode.config.sections import InferenceSettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.eligibility.study_choice import StudyPolicy
from storage import jobs, queries
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles
from storage.models import InstanceRow, JobRow
from storage.records import JobKind, JobState, SeriesDetail, SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import NO_WAIT, receive_files
from support.storage_samples import noted
from support.wait import wait_for

ASSESS = (JobKind.ASSESS,)


class Node:
    """What one assessor works on."""

    def __init__(self, folder: Path, inference: InferenceSettings | None = None) -> None:
        self.settings = Settings(
            inference=inference or InferenceSettings(),
            node=NodeSettings(data_directory=folder),
            completeness=NO_WAIT,
            study=StudyPolicy(wait_seconds=60),
        )
        self.database = Database.open(self.settings.database_url)
        self.files = InstanceFiles(self.settings.instances)
        self.assessor = Assessor(self.settings, "node/assessor/1/")
        self.now = datetime.now(UTC)

    def receive(self, paths: list[Path]) -> str:
        receive_files(self.database, self.files, paths)
        return series_uid(paths)

    def look(self, after: float = 0.0) -> bool:
        """One look, so many seconds later; whether there was anything to look at."""
        self.now = max(self.now, datetime.now(UTC)) + timedelta(seconds=after)
        return self.assessor.assess_one(self.now)

    def detail(self, uid: str) -> SeriesDetail:
        with self.database.read() as session:
            found = queries.series_detail(session, uid)
        assert found is not None
        return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "data")
    yield made
    made.database.close()


@contextmanager
def no_descriptor_free() -> Iterator[None]:
    """As after a leak, or beside a thousand associations: every open fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken: list[int] = []
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_series_is_read_again_when_no_descriptor_was_free(node: Node, tmp_path: Path) -> None:
    assert not node.look()
    uid = node.receive(write_series(tmp_path / "series"))
    node.detail(uid)  # a connection lies open in the pool, as in a node that runs
    with no_descriptor_free():
        assert node.look()
    waiting = node.detail(uid)
    assert waiting.series.state is SeriesState.RECEIVING
    assert waiting.series.reasons == ()
    assert [job.state for job in waiting.jobs] == [JobState.QUEUED]
    assert "Too many open files" in (waiting.jobs[0].error or "")
    assert waiting.jobs[0].attempt == 0, "it costs no attempt"
    assert node.look(after=2)
    assert node.detail(uid).series.state is SeriesState.QUEUED


def test_no_descriptor_for_the_database_is_an_outage(node: Node, tmp_path: Path) -> None:
    node.receive(write_series(tmp_path / "series"))
    with no_descriptor_free(), pytest.raises(DatabaseUnavailableError, match="Too many open"):
        node.look()


def test_all_that_one_look_enters_bears_its_moment(node: Node, tmp_path: Path) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    moment = node.now + timedelta(hours=1)
    assert node.assessor.assess_one(moment)
    found = node.detail(uid)
    assess, analyse = found.jobs
    assert (found.series.decided_at, assess.started_at, assess.ended_at) == (moment,) * 3
    assert (analyse.created_at, analyse.not_before) == (moment, moment)
    assert noted(found.series).eligible_since == moment
    assert not node.assessor.assess_one(moment)


def breaking(monkeypatch: pytest.MonkeyPatch, number: int, name: str = "") -> list[str]:
    """Every open of an instance file fails, or that of one alone; which were asked for."""
    opened, asked = Path.open, []

    def open_(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.suffix == ".dcm" and "instances" in path.parts:
            asked.append(path.name)
            if name in path.name:
                raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_)
    return asked


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EACCES])
def test_what_can_never_be_read_is_given_up_in_the_end_and_told(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    asked = breaking(monkeypatch, number)
    looks = 0
    while node.detail(uid).series.state is SeriesState.RECEIVING:
        assert node.look(after=61)
        looks += 1
        assert looks < 30
    assert looks > 10, "for a quarter of an hour"
    failed = node.detail(uid)
    assert failed.series.state is SeriesState.FAILED
    assert {reason.rule for reason in failed.series.reasons} == {"file"}
    assert os.strerror(number) in str(failed.series.reasons[0].value)
    assert len(asked) >= looks


def test_a_file_that_is_gone_is_a_fact(node: Node, tmp_path: Path) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    node.files.open_path(next(node.files.iter_paths())).unlink()
    assert node.look()
    assert node.detail(uid).series.state is SeriesState.SKIPPED
    assert "file" in {reason.rule for reason in node.detail(uid).series.reasons}


def test_a_failing_disk_is_no_gap_in_the_slices(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    names = sorted(Path(path).name for path in node.files.iter_paths())
    breaking(monkeypatch, errno.EIO, names[5])
    assert node.look()
    assert node.detail(uid).series.state is SeriesState.RECEIVING
    monkeypatch.undo()
    assert node.look(after=2)
    assert node.detail(uid).series.state is SeriesState.QUEUED


def of_one_study(data_set: Dataset, _number: int) -> None:
    data_set.StudyInstanceUID = "1.2.826.0.1.3680043.10.511.77"


def test_a_series_that_waits_for_its_study_is_not_looked_at_anew(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its headers are read once, and the time from which it waits stays."""
    first = write_series(tmp_path / "first", seed=1, change=of_one_study)
    other = write_series(tmp_path / "other", seed=2, change=of_one_study)
    uid, late = node.receive(first), node.receive(other[:1])
    put_off(node, late)
    asked = breaking(monkeypatch, errno.EIO, "no such file")
    assert node.look()
    since = noted(node.detail(uid).series).eligible_since
    read = len(asked)
    assert read >= len(first)
    for _ in range(5):
        assert node.look(after=1.5)
        assert node.detail(uid).series.state is SeriesState.RECEIVING
        assert noted(node.detail(uid).series).eligible_since == since
    assert len(asked) == read


class Counts:
    """In place of a PACS that never answers: of which series it was asked to forget."""

    pending = False

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def count(self, _study: str, _series: str, _came: int) -> None:
        return None

    def forget(self, _study: str, series: str) -> None:
        self.forgotten.append(series)


def test_what_the_pacs_said_is_kept_until_the_series_is_decided(node: Node, tmp_path: Path) -> None:
    """Forgotten with each look, it would be asked anew with each look."""
    uid = node.receive(write_series(tmp_path / "first", seed=1, change=of_one_study))
    late = node.receive(write_series(tmp_path / "other", seed=2, change=of_one_study)[:1])
    put_off(node, late)
    counts: Any = Counts()
    node.assessor._counts = counts
    for _ in range(4):
        assert node.look(after=1.5)
    assert counts.forgotten == []
    node.settings = node.settings.model_copy(update={"study": StudyPolicy(wait_seconds=0)})
    node.assessor._settings = node.settings
    assert node.look(after=1.5)
    assert node.detail(uid).series.state is SeriesState.QUEUED
    assert counts.forgotten == [uid]


def test_how_long_it_has_been_eligible_outlives_a_look_that_says_otherwise(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PACS falls silent, or a file cannot be read: the wait is not begun anew."""
    uid = node.receive(write_series(tmp_path / "first", seed=1, change=of_one_study))
    late = node.receive(write_series(tmp_path / "other", seed=2, change=of_one_study)[:1])
    put_off(node, late)
    assert node.look()
    since = noted(node.detail(uid).series).eligible_since
    node.assessor = Assessor(node.settings, "node/assessor/2/")
    breaking(monkeypatch, errno.ESTALE)
    assert node.look(after=2)
    assert noted(node.detail(uid).series).eligible_since == since


def put_off(node: Node, uid: str) -> None:
    """A series of the study that still comes: it is not looked at in the test."""
    with node.database.write() as session:
        far = datetime.now(UTC) + timedelta(days=1)
        session.execute(update(JobRow).where(JobRow.series_key == uid).values(not_before=far))


def test_a_fault_of_one_series_fails_it_and_the_next_has_its_turn(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = node.receive(write_series(tmp_path / "bad", seed=1))
    good = node.receive(write_series(tmp_path / "good", seed=2))
    with node.database.write() as session:
        one = update(InstanceRow).where(InstanceRow.series_key == bad)
        session.execute(one.values(path=InstanceRow.sop_instance_uid))  # no path of ours
    while node.look():
        pass
    failed = node.detail(bad).series
    assert failed.state is SeriesState.FAILED
    assert [(each.rule, each.value) for each in failed.reasons] == [("fault", "UnsafePathError")]
    assert node.detail(good).series.state is SeriesState.QUEUED


def test_an_outage_is_no_fault_of_the_series(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = node.receive(write_series(tmp_path / "series"))

    def away(*_arguments: object) -> None:
        raise DatabaseUnavailableError("url", "away")

    monkeypatch.setattr("storage.index.series_arrival", away)
    with pytest.raises(DatabaseUnavailableError):
        node.look()
    monkeypatch.undo()
    assert node.detail(uid).series.state is SeriesState.RECEIVING
    assert node.look(), "it is begun anew at once"
    found = node.detail(uid)
    assert found.series.state is SeriesState.QUEUED
    assert found.jobs[0].attempt == 1, "and costs no attempt"


def killed(node: Node, times: int) -> None:
    """The process ended in the middle of a look, and another began."""
    owner, now = "node/assessor/0/", datetime.now(UTC)
    for _ in range(times):
        with node.database.write() as session:
            lease = timedelta(seconds=30)
            assert jobs.claim(session, ASSESS, owner, now, lease, max_attempts=99)
            jobs.hand_back_owned(session, owner, now)


def test_that_a_host_was_switched_off_three_times_is_no_fault_of_the_series(
    node: Node, tmp_path: Path
) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    killed(node, 9)
    assert node.look()
    assert node.detail(uid).series.state is SeriesState.QUEUED


def test_a_series_that_ends_whoever_looks_at_it_is_given_up(node: Node, tmp_path: Path) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    killed(node, 10)
    assert not node.look()
    found = node.detail(uid).series
    assert found.state is SeriesState.FAILED
    assert [(each.rule, each.value) for each in found.reasons] == [("worker_lost", 10)]


def test_a_look_that_was_ended_makes_the_broken_ones_before_it_count_no_more(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = node.receive(write_series(tmp_path / "series"))
    killed(node, 9)
    breaking(monkeypatch, errno.ESTALE)
    assert node.look()
    waiting = node.detail(uid)
    assert waiting.series.state is SeriesState.RECEIVING
    assert waiting.jobs[0].attempt == 0


def test_a_look_that_lasts_keeps_its_lease_which_is_that_of_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Node(tmp_path / "data", InferenceSettings(lease_seconds=0.9))
    uid = made.receive(write_series(tmp_path / "series"))
    read = assess_files

    def until() -> datetime:
        lease_until = made.detail(uid).jobs[0].lease_until
        assert lease_until is not None
        return lease_until

    def slow(*arguments: Any) -> Any:
        first = until()
        assert first - made.now == timedelta(seconds=0.9)
        wait_for(lambda: until() > first + timedelta(seconds=0.5), "it is prolonged twice")
        return read(*arguments)

    monkeypatch.setattr(assessor_module, "assess_files", slow)
    assert made.look()
    assert made.detail(uid).series.state is SeriesState.QUEUED
    made.database.close()
