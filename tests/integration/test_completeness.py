"""When a series is closed, with Orthanc as the PACS that sends it and counts it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicomnode.config.destinations import Destination
from dicomnode.results.documents.text import report_as_text
from storage.records import SeriesDetail, SeriesState
from support.node import Node, free_port
from support.orthanc import Orthanc, running_orthanc
from support.phantom import series_uid, write_series
from support.storage_samples import noted
from support.wait import wait_for

pytestmark = pytest.mark.long

REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
TOML = """
[completeness]
proven_quiet_seconds = 0.5
quiet_seconds = 4.0
incomplete_after_seconds = 15.0
[query]
every_seconds = 0.5
peer = {{ name = "orthanc", ae_title = "ORTHANC", address = "127.0.0.1", port = {port} }}
[results]
key_slices = 1
"""


@dataclass
class Hospital:
    """Orthanc and the node."""

    orthanc: Orthanc
    node: Node

    def upload(self, files: Sequence[Path]) -> None:
        for file in files:
            self.orthanc.upload(file)

    def push(self, files: Sequence[Path]) -> None:
        """C-STORE these from Orthanc to the node, over one association."""
        wanted = {
            str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): file
            for file in files
        }
        known = {
            self.orthanc.get(f"/instances/{each}/simplified-tags?simplify")["SOPInstanceUID"]: each
            for each in self.orthanc.get("/instances")
        }
        before = self.node.ended_associations()
        self.orthanc.post("/modalities/node/store", [known[uid] for uid in wanted])
        wait_for(lambda: self.node.ended_associations() > before, "the association has ended")

    def noted(self, uid: str) -> str:
        """What the series waits for, as `queue why` shows it."""
        detail = self.node.detail(uid)
        assert detail is not None
        return noted(detail.series).evidence if detail.series.completeness else ""

    def reports(self, file: Path) -> list[pydicom.Dataset]:
        """The reports in Orthanc on the study of a file, in the order of their making."""
        study = pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID
        contents = map(self.orthanc.file, self.orthanc.instances_of_class(REPORT))
        reports = [pydicom.dcmread(io.BytesIO(content)) for content in contents]
        ours = [each for each in reports if each.StudyInstanceUID == study]
        return sorted(ours, key=lambda each: str(each.ContentTime))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[Hospital]:
    folder, port = tmp_path_factory.mktemp("hospital"), free_port()
    as_peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(folder / "orthanc", as_peer) as orthanc:
        toml = TOML.format(port=orthanc.peer.port)
        node = Node(folder / "node", [orthanc.peer], toml, port=port, models=shared_models)
        node.start()
        yield Hospital(orthanc, node)
        node.close()


def closed_by(detail: SeriesDetail) -> str:
    return str(noted(detail.series).closed_by)


def test_a_pause_longer_than_the_quiet_period_between_two_halves(
    hospital: Hospital, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "ct", 24)
    uid = series_uid(files)
    hospital.upload(files)
    hospital.push(files[:12])
    paused = wait_for(
        lambda: hospital.noted(uid) if "24 instances" in hospital.noted(uid) else None,
        "the PACS told that it has more",
    )
    assert "orthanc: 24 instances (C-FIND at SERIES level)" in paused
    quiet = wait_for(lambda: found if _seconds(found := hospital.noted(uid)) > 2 else None, "quiet")
    assert quiet.endswith("given up after 15.0 s")
    hospital.push(files[12:])
    detail = hospital.node.wait_until_ended(uid)
    assert (detail.series.state, closed_by(detail)) == (SeriesState.ANALYSED, "pacs_count")
    assert detail.series.instance_count == 24
    assert detail.series.history == ()
    assert len(hospital.reports(files[0])) == 1


def _seconds(evidence: str) -> float:
    """How long a series has been quiet, by the sentence that says so."""
    return float(evidence.partition("then ")[2].partition(" s ")[0] or 0)


def test_slices_after_the_result_bring_a_second_one_that_names_the_first(
    hospital: Hospital, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "ct", 24)
    uid = series_uid(files)
    hospital.upload(files[:12])
    hospital.push(files[:12])
    first = hospital.node.wait_until_ended(uid)
    assert first.series.state is SeriesState.ANALYSED  # by the count, or on a slow machine by quiet
    hospital.upload(files[12:])
    hospital.push(files[12:])
    wait_for(lambda: (d := hospital.node.detail(uid)) and d.series.history, "it is opened again")
    second = hospital.node.wait_until_ended(uid)
    assert (second.series.state, second.series.instance_count) == (SeriesState.ANALYSED, 24)
    assert [former.state for former in second.series.history] == ["analysed"]
    former, latter = hospital.reports(files[0])
    assert "PredecessorDocumentsSequence" not in former
    (study,) = latter.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (named,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == former.StudyInstanceUID
    assert series.SeriesInstanceUID == former.SeriesInstanceUID
    assert named.ReferencedSOPInstanceUID == former.SOPInstanceUID
    assert named.ReferencedSOPClassUID == former.SOPClassUID
    assert f"Replaces an earlier report ({former.SOPInstanceUID})" in report_as_text(latter)


def test_a_series_that_stays_incomplete_is_analysed_with_a_warning(
    hospital: Hospital, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "ct", 14)
    uid = series_uid(files)
    hospital.upload(files)
    hospital.push(files[:12])
    detail = hospital.node.wait_until_ended(uid)
    assert (detail.series.state, closed_by(detail)) == (SeriesState.ANALYSED, "incomplete_after")
    assert noted(detail.series).complete is False
    (reason,) = (each for each in detail.series.reasons if each.rule == "completeness")
    assert reason.value == "orthanc: 14 instances (C-FIND at SERIES level), 12 came"
    assert (reason.limit, reason.verdict) == ("all instances within 15 s", "warning")
    (report,) = hospital.reports(files[0])
    assert "Note: completeness: orthanc: 14 instances" in report_as_text(report)
