"""Orthanc as the PACS: it pushes a real CT to the node and gets the results."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from dicomnode.config.destinations import Destination
from dicomnode.dicom_files.identity import identify_file
from dicomnode.results.documents.text import report_as_text
from storage.records import SeriesState
from support.data import PHILIPS, SIEMENS
from support.node import Node, free_port
from support.orthanc import Orthanc, running_orthanc
from support.validators import dciodvfy_errors
from support.wait import wait_for

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
POLICY = "[completeness]\nquiet_seconds = 1.0\n[eligibility]\nmax_slice_thickness_mm = 5.0\n"
# no note: when the skipped series gets its own is a matter of time
POLICY += '[results]\nnote = "off"\n'


def push_everything(orthanc: Orthanc) -> None:
    """C-STORE every series from Orthanc to the node."""
    for series in orthanc.get("/series"):
        orthanc.post("/modalities/node/store", series)


@pytest.mark.long
def test_a_real_ct_goes_from_orthanc_to_the_node_and_results_come_back(
    tmp_path: Path, small_models: Path
) -> None:
    port = free_port()
    as_peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(tmp_path / "orthanc", as_peer) as orthanc:
        node = Node(tmp_path / "node", [orthanc.peer], POLICY, port=port, models=small_models)
        try:
            node.start()
            for file in PHILIPS + SIEMENS:
                orthanc.upload(file)
            push_everything(orthanc)
            analysed = node.wait_until_ended(identify_file(PHILIPS[0])[0].series_instance_uid, 240)
            skipped = node.wait_until_ended(identify_file(SIEMENS[0])[0].series_instance_uid)
            assert analysed.series.state is SeriesState.ANALYSED
            assert skipped.series.state is SeriesState.SKIPPED
            check_what_orthanc_holds(orthanc, tmp_path)
            check_that_a_second_push_brings_nothing_new(orthanc, node)
        finally:
            node.close()


def check_what_orthanc_holds(orthanc: Orthanc, folder: Path) -> None:
    reports = orthanc.instances_of_class(COMPREHENSIVE_3D_SR)
    captures = orthanc.instances_of_class(SECONDARY_CAPTURE)
    assert (len(reports), len(captures)) == (1, 11)
    source = pydicom.dcmread(PHILIPS[0], stop_before_pixels=True)
    for instance in reports + captures:
        file = folder / f"{instance}.dcm"
        file.write_bytes(orthanc.file(instance))
        assert dciodvfy_errors(file) == []
        result = pydicom.dcmread(file)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyID"):
            assert result[keyword].value == source[keyword].value, keyword
    report = pydicom.dcmread(io.BytesIO(orthanc.file(reports[0])))
    told = report_as_text(report)
    assert "DEMONSTRATION – trained on simulated lesions, no clinical meaning" in told


def check_that_a_second_push_brings_nothing_new(orthanc: Orthanc, node: Node) -> None:
    before = set(orthanc.get("/instances"))
    uid = identify_file(PHILIPS[0])[0].series_instance_uid
    before_in_node, ended = node.detail(uid), node.ended_associations()
    assert before_in_node is not None
    push_everything(orthanc)
    # every series of the second push came in one association each, but those of the results are
    # series too: the CT is indexed again when two more associations than before have ended
    wait_for(lambda: node.ended_associations() >= ended + 2, "the second push is indexed")
    after = node.wait_until_ended(uid)
    assert [job.job_id for job in after.jobs] == [job.job_id for job in before_in_node.jobs]
    assert after.series.instance_count == before_in_node.series.instance_count
    assert set(orthanc.get("/instances")) == before
