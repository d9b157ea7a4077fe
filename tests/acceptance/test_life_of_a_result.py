"""What the PACS holds after the same series again, a late slice, and another model.

The real process and a real Orthanc, which keeps what it has under a UID and answers 0x0000.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from dicomnode.results.documents.text import report_as_text
from storage.records import SeriesDetail, SeriesState
from support.node import Node
from support.orthanc import Orthanc, running_orthanc
from support.phantom import series_uid, write_series
from support.untrained import make_untrained_bundle
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

POLICY = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 1\n"
OBJECTS = 4  # report, montage, key slice, segmentation


@dataclass
class Site:
    """A node that runs and its PACS; `files`: of a series of 13 slices, the last comes late."""

    node: Node
    orthanc: Orthanc
    files: list[Path]

    @property
    def uid(self) -> str:
        return series_uid(self.files)

    def held(self) -> dict[str, bytes]:
        """Each file that the PACS holds, by SOP Instance UID."""
        files = [self.orthanc.file(each) for each in self.orthanc.get("/instances")]
        return {str(read(file).SOPInstanceUID): file for file in files}

    def wait_for_objects(self, count: int) -> SeriesDetail:
        """Until so many have been made of the series, and all have arrived."""

        def arrived() -> SeriesDetail | None:
            detail = self.node.detail(self.uid)
            if detail is None or len(detail.results) != count:
                return None
            done = [each.arrived for each in detail.deliveries]
            return detail if all(done) and len(done) == count else None

        return wait_for(arrived, f"{count} objects; log:\n{self.node.log[-3000:]}", 120)

    def results(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dicomnode", "results", *arguments]
        command += ["--config", str(self.node.config)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )


def read(file: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)


def reports(held: dict[str, bytes]) -> list[Dataset]:
    found = [read(file) for file in held.values()]
    return [each for each in found if each.SOPClassUID == Comprehensive3DSRStorage]


def predecessor(report: Dataset) -> str:
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    return str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("life")
    files = write_series(folder / "series", 13)
    nobody = Node(folder / "nobody").peer
    with running_orthanc(folder / "orthanc", nobody) as orthanc:
        node = Node(folder / "node", [orthanc.peer], POLICY, models=shared_models)
        try:
            node.start()
            yield Site(node, orthanc, files)
        finally:
            node.close()


def test_one_set_of_results_in_series_of_their_own(site: Site) -> None:
    site.node.send(site.files[:12])
    site.wait_for_objects(OBJECTS)
    held = [read(file) for file in site.held().values()]
    assert sorted(each.SeriesNumber for each in held) == [9001, 9002, 9002, 9003]
    assert len({each.SeriesInstanceUID for each in held}) == 3
    assert len(site.orthanc.get("/studies")) == len(site.orthanc.get("/patients")) == 1
    (report,) = reports(site.held())
    assert "PredecessorDocumentsSequence" not in report


def test_the_same_series_again_changes_nothing(site: Site) -> None:
    before, detail, ended = site.held(), site.node.detail(site.uid), site.node.ended_associations()
    site.node.send(site.files[:12])
    wait_for(lambda: site.node.ended_associations() > ended, "it is indexed")
    assert site.node.detail(site.uid) == detail
    assert site.held() == before
    assert "deliveries to be sent again" in site.results("resend", site.uid).stdout
    site.wait_for_objects(OBJECTS)
    assert site.held() == before


def test_a_late_slice_brings_a_second_set_that_names_the_first(site: Site) -> None:
    before = site.held()
    (first,) = reports(before)
    site.node.send(site.files[12:])
    site.wait_for_objects(2 * OBJECTS)
    after = site.held()
    assert len(after) == 2 * OBJECTS
    assert {uid: after[uid] for uid in before} == before  # what it had it has unchanged
    (second,) = [each for each in reports(after) if each.SOPInstanceUID not in before]
    assert predecessor(second) == first.SOPInstanceUID
    assert second.SeriesInstanceUID != first.SeriesInstanceUID
    assert "of 13 slices" in report_as_text(second)


def test_another_model_brings_a_set_that_names_the_one_before(site: Site) -> None:
    before = site.held()
    newest = max(reports(before), key=lambda each: "PredecessorDocumentsSequence" in each)
    assert "are of this model and these settings" in site.results("renew", site.uid).stderr
    change_the_model(site)
    done = site.results("renew", site.uid)
    assert (done.returncode, done.stderr) == (0, "")
    detail = site.wait_for_objects(3 * OBJECTS)
    assert detail.series.state is SeriesState.ANALYSED
    after = site.held()
    assert len(after) == 3 * OBJECTS
    assert {uid: after[uid] for uid in before} == before
    (third,) = [each for each in reports(after) if each.SOPInstanceUID not in before]
    assert predecessor(third) == newest.SOPInstanceUID
    told = report_as_text(third)
    assert "COVNet untrained 0.1" in told
    assert "another model or other settings" in told
    assert "are of this model and these settings" in site.results("renew", site.uid).stderr


def change_the_model(site: Site) -> None:
    """As an operator does it: the new configuration counts once the node was started anew."""
    bundle = make_untrained_bundle(site.node.folder / "other-model", seed=1)
    text = site.node.config.read_text()
    changed = re.sub('bundle = ".*"', f'bundle = "{bundle}"', text)
    assert changed != text
    site.node.config.write_text(changed)
    assert "start it anew first" in site.results("renew", site.uid).stderr
    site.node.stop()
    site.node.start()
