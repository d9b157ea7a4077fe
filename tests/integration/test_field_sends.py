"""Cases from the field that need associations: whose result it becomes, and what is accepted.

Each case is sent to one real node by C-STORE; a PACS keeps what comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage, ImplicitVRLittleEndian
from pynetdicom import build_context

from dicomnode.network.associations import associated, c_store, requestor
from support.node import Node, sop_instance_uids
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.wait import wait_for

pytestmark = pytest.mark.long

QUICK = '[completeness]\nquiet_seconds = 2.0\n[results]\nkey_slices = 1\nsegmentation = "off"\n'
WRONG = {"PatientID": "WRONG-1", "PatientName": "Wrong^Patient", "AccessionNumber": "ACCWRONG"}
RIGHT = {"PatientID": "RIGHT-1", "PatientName": "Right^Patient", "AccessionNumber": "ACCRIGHT"}


@dataclass
class Place:
    """A node, and the PACS that gets its results."""

    node: Node
    pacs: Pacs
    folder: Path

    def series(self, **identity: str) -> list[Path]:
        """A phantom of this identity, not yet sent."""

        def change(each: Dataset, _number: int) -> None:
            for keyword, value in identity.items():
                setattr(each, keyword, value)

        folder = self.folder / str(len(list(self.folder.iterdir())))
        return write_series(folder, change=change)

    def reports(self, files: list[Path]) -> list[Dataset]:
        """Those that name instances of the series, in the order in which they came."""
        uids = sop_instance_uids(files)
        return [
            each
            for each in self.pacs.received
            if each.SOPClassUID == Comprehensive3DSRStorage and uids & referenced(each)
        ]

    def last_report_is_of(self, files: list[Path], identity: dict[str, str]) -> Dataset:
        def right() -> Dataset | None:
            last = self.reports(files)[-1:]
            return last[0] if last and last[0].PatientID == identity["PatientID"] else None

        return wait_for(right, f"a report of the right patient; log:\n{self.node.log[-2000:]}", 120)


def referenced(report: Dataset) -> set[str]:
    return {e.value for e in report.iterall() if e.keyword == "ReferencedSOPInstanceUID"}


def rewritten(files: list[Path], **identity: str) -> list[Path]:
    """The same instances, corrected as a PACS does it: the same UIDs, the same pixels."""
    for file in files:
        each = pydicom.dcmread(file)
        for keyword, value in identity.items():
            setattr(each, keyword, value)
        each.save_as(file, enforce_file_format=True)
    return files


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("sends")
    (home / "series").mkdir()
    with running_pacs() as pacs:
        node = Node(home / "node", [pacs.destination], QUICK, models=small_models)
        try:
            node.start()
            yield Place(node, pacs, home / "series")
        finally:
            node.close()


def test_a_patient_corrected_before_the_analysis(place: Place) -> None:
    files = place.series(**WRONG)
    assert place.node.send(files) == files
    assert place.node.send(rewritten(files, **RIGHT)) == files
    report = place.last_report_is_of(files, RIGHT)
    assert {k: str(report[k].value) for k in RIGHT} == RIGHT


def test_a_patient_corrected_after_the_analysis(place: Place) -> None:
    files = place.series(**WRONG)
    assert place.node.send(files) == files
    place.last_report_is_of(files, WRONG)
    assert place.node.send(rewritten(files, **RIGHT)) == files
    report = place.last_report_is_of(files, RIGHT)
    assert {k: str(report[k].value) for k in RIGHT} == RIGHT
    first, *others = place.reports(files)
    assert first.SOPInstanceUID not in {each.SOPInstanceUID for each in others}


def test_two_patients_under_one_series_uid_get_a_report_each(place: Place) -> None:
    mine, theirs = place.series(**WRONG), place.series(**RIGHT)
    rewritten(theirs, SeriesInstanceUID=series_uid(mine))
    in_turn = [file for pair in zip(mine, theirs, strict=True) for file in pair]
    assert place.node.send(in_turn) == in_turn
    for files, others, identity in ((mine, theirs, WRONG), (theirs, mine, RIGHT)):
        report = place.last_report_is_of(files, identity)
        assert not sop_instance_uids(others) & referenced(report)


PRIVATE_GE = "1.2.840.113619.5.2"  # implicit little endian, its pixels big endian
UNDECODABLE = {
    "private of GE": PRIVATE_GE,
    "private of nobody": "1.3.6.1.4.1.99999.1.2",
    "MPEG-4": "1.2.840.10008.1.2.4.102",
    "HEVC": "1.2.840.10008.1.2.4.107",
    "JPEG arithmetic, retired": "1.2.840.10008.1.2.4.56",
}


@pytest.mark.parametrize("odd", UNDECODABLE)
def test_beside_an_odd_transfer_syntax_the_one_that_can_be_read_is_accepted(
    place: Place, odd: str
) -> None:
    (file, *_) = place.series(PatientID="ODD-1")
    implicit = pydicom.dcmread(file)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit.save_as(file, enforce_file_format=True)
    context = build_context(CTImageStorage, [UNDECODABLE[odd], ImplicitVRLittleEndian])
    with associated(requestor("TESTER", [context], 20), place.node.peer) as association:
        (accepted,) = association.accepted_contexts
        assert accepted.transfer_syntax == [ImplicitVRLittleEndian]
        assert c_store(association, file) == 0x0000
