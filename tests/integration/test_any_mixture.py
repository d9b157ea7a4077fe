"""Any mixture of patients, studies, series, orders of arrival and resends, up to the decision.

Whatever comes: what is queued for analysis is of one patient and study, and every file that was
received belongs to a series in a named state.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicomnode.assess.assessor import Assessor
from storage import index, queries
from storage.conflicts import conflicts_of
from storage.records import SeriesRecord, SeriesState
from support.phantom import write_series
from support.pipeline import Pipeline

SLICES = 12
ROOT = "1.2.826.0.1.3680043.8.498.92"
PARTS = {
    "all": range(SLICES),
    "even": range(0, SLICES, 2),
    "odd": range(1, SLICES, 2),
    "half": range(SLICES // 2),
}


@dataclass(frozen=True)
class Sending:
    """What one association brings; `uids`: which set of SOP Instance UIDs its slices bear."""

    patient_id: str
    issuer: str
    name: str
    study: int
    series: int
    uids: int
    part: str
    inverted: bool  # other pixels

    @property
    def owner(self) -> tuple[str, int]:
        return self.patient_id, self.study


SENDINGS = st.builds(
    Sending,
    patient_id=st.sampled_from(["A", "B", ""]),
    issuer=st.sampled_from(["", "", "H", "K"]),
    name=st.sampled_from(["Doe^John", "DOE^JOHN", "Roe^Jane"]),
    study=st.integers(1, 2),
    series=st.integers(1, 2),
    uids=st.integers(1, 2),
    part=st.sampled_from(["all", "all", *PARTS]),
    inverted=st.sampled_from([False, False, False, True]),
)


def template(folder: Path) -> list[Dataset]:
    """A chest whose pixels are thinned out: decisions before the analysis need no more."""
    slices: list[Dataset] = [pydicom.dcmread(path) for path in write_series(folder, SLICES)]
    for data_set in slices:
        data_set.PixelData = np.ascontiguousarray(data_set.pixel_array[::8, ::8]).tobytes()
        data_set.Rows = data_set.Columns = 16
        data_set.PixelSpacing = [22.4, 22.4]
    return slices


def written(sending: Sending, slices: Sequence[Dataset], folder: Path) -> Iterator[Path]:
    folder.mkdir()
    for number in PARTS[sending.part]:
        data_set = copy.deepcopy(slices[number])
        data_set.PatientID, data_set.PatientName = sending.patient_id, sending.name
        if sending.issuer:
            data_set.IssuerOfPatientID = sending.issuer
        data_set.StudyInstanceUID = f"{ROOT}.{sending.study}"
        data_set.SeriesInstanceUID = f"{ROOT}.9.{sending.series}"
        uid = UID(f"{ROOT}.8.{sending.uids}.{number + 1}")
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid
        if sending.inverted:
            data_set.PixelData = (-data_set.pixel_array).tobytes()
        path = folder / f"{number}.dcm"
        data_set.save_as(path, enforce_file_format=True)
        yield path


@dataclass(frozen=True)
class Ground:
    """What every example begins with; made once, as a database's first schema takes a second."""

    slices: Sequence[Dataset]
    data: Path
    models: Path

    def node(self, folder: Path) -> Pipeline:
        shutil.copytree(self.data, folder / "data")
        return Pipeline(folder / "data", self.models)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Ground:
    folder = tmp_path_factory.mktemp("ground")
    Pipeline(folder / "data", shared_models).database.close()
    return Ground(template(folder / "template"), folder / "data", shared_models)


def decide_all(node: Pipeline) -> None:
    """Until nothing is due any more: a look that only waits would go on for ever."""
    assessor = Assessor(node.settings, "node/assessor/1/")
    for _ in range(60):
        if not assessor.assess_one(datetime.now(UTC)):
            return
    raise AssertionError("the assessor comes to no end")


def check(node: Pipeline) -> None:
    entered: set[str] = set()
    with node.database.read() as session:
        for record in queries.list_series(session):
            held = index.instances_of_series(session, record.series_key)
            conflicts = conflicts_of(session, record.series_key)
            entered |= {each.path for each in held} | {each.path for each in conflicts}
            assert record.state in {SeriesState.QUEUED, SeriesState.SKIPPED}, record
            assert record.state is SeriesState.QUEUED or record.reasons
            event(record.state.value)
            if record.state is SeriesState.QUEUED:
                check_queued(node, record, [each.path for each in held])
    assert entered == set(node.files.iter_paths())


def check_queued(node: Pipeline, record: SeriesRecord, paths: Sequence[str]) -> None:
    headers = [pydicom.dcmread(node.files.open_path(path)) for path in paths]
    assert len(headers) >= 10
    assert {str(each.StudyInstanceUID) for each in headers} == {record.study_instance_uid}
    assert {str(each.SeriesInstanceUID) for each in headers} == {record.series_instance_uid}
    assert len({str(each.PatientID) for each in headers}) == 1
    assert len({str(each.PatientName).casefold() for each in headers}) == 1
    assert len({each.get("IssuerOfPatientID", "") for each in headers} - {""}) <= 1


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(sent=st.lists(st.tuples(SENDINGS, st.booleans()), min_size=1, max_size=4))
def test_what_is_queued_is_of_one_patient_and_nothing_is_without_a_state(
    ground: Ground,
    sent: list[tuple[Sending, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        node = ground.node(folder)
        for number, (sending, decided_before_the_next) in enumerate(sent):
            node.receive(list(written(sending, ground.slices, folder / f"{number}")))
            if decided_before_the_next:
                decide_all(node)
        decide_all(node)
        check(node)
        node.database.close()


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), first=SENDINGS, second=SENDINGS, third=SENDINGS)
def test_the_order_of_arrival_changes_nothing_of_what_is_analysed_with_what(
    ground: Ground, data: st.DataObject, first: Sending, second: Sending, third: Sending
) -> None:
    """As long as nothing comes again: which copy is the newest is a question of order."""
    sendings = [first, second, third]
    sendings = [
        Sending(**(vars(each) | {"uids": number, "part": "all"}))
        for number, each in enumerate(sendings, start=1)
    ]
    groups = []
    for order in (sendings, data.draw(st.permutations(sendings))):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            node = ground.node(folder)
            for number, sending in enumerate(order):
                node.receive(list(written(sending, ground.slices, folder / f"{number}")))
            decide_all(node)
            groups.append(analysed_together(node))
            node.database.close()
    assert groups[0] == groups[1]


def analysed_together(node: Pipeline) -> set[tuple[str, frozenset[str]]]:
    """State and SOP Instance UIDs of each series."""
    with node.database.read() as session:
        return {
            (
                record.state.value,
                frozenset(
                    each.sop_instance_uid
                    for each in index.instances_of_series(session, record.series_key)
                ),
            )
            for record in queries.list_series(session)
        }
