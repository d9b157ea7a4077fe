"""Every kind of object to a real Orthanc by C-STORE and back by C-MOVE: the same data sets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as StudyRootMove,
)

from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.deliver.dicom_sender import UNCOMPRESSED, proposed_contexts, send_instance
from dicomnode.errors import PeerError
from dicomnode.network.associations import associated, requestor
from dicomnode.results.build import encode
from support.orthanc import Orthanc, running_orthanc
from support.pacs import Pacs, running_pacs
from support.result_kinds import DOCUMENTS, PICTURES, every_kind
from support.result_samples import STUDY_UID

SYNTAXES = (DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, *UNCOMPRESSED)
KINDS = [kind for kind in (*DOCUMENTS, *PICTURES) if kind != "label map"]


def write_all(folder: Path, kinds: list[str]) -> list[Path]:
    files = []
    for kind in kinds:
        files.append(folder / f"{kind}.dcm")
        files[-1].write_bytes(encode(every_kind()[kind]))
    return files


def send_all(files: list[Path], kinds: list[str], place: Pacs | Orthanc) -> None:
    peer = place.destination if isinstance(place, Pacs) else place.peer
    classes = sorted({str(every_kind()[kind].sop_class_uid) for kind in kinds})
    ae = requestor("DICOMNODE", proposed_contexts(classes, compressed=True), 30.0)
    with associated(ae, peer) as association:
        for file in files:
            assert send_instance(association, file).ending is Ending.STORED


def move_study(orthanc: Orthanc, destination: str) -> None:
    """C-MOVE (PS3.4 section C.4.2) of the whole study; the last response says that all came."""
    ae = AE(destination)
    ae.add_requested_context(StudyRootMove)
    association = ae.associate(
        orthanc.peer.address, orthanc.peer.port, ae_title=orthanc.peer.ae_title
    )
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", STUDY_UID
    *_, (status, _) = association.send_c_move(wanted, destination, StudyRootMove)
    association.release()
    assert status.Status == 0x0000
    assert status.get("NumberOfFailedSuboperations", 0) == 0


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Pacs]]:
    """All that was sent to Orthanc, at a third place."""
    folder = tmp_path_factory.mktemp("round")
    with (
        running_pacs(syntaxes=SYNTAXES) as pacs,
        running_orthanc(folder / "orthanc", pacs.destination) as orthanc,
    ):
        send_all(write_all(folder, KINDS), KINDS, orthanc)
        move_study(orthanc, pacs.destination.ae_title)
        yield orthanc, pacs


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_what_was_sent(kind: str, moved: tuple[Orthanc, Pacs]) -> None:
    sent = every_kind()[kind]
    back = moved[1].by_uid()[str(sent.sop_instance_uid)]
    assert back == pydicom.dcmread(io.BytesIO(encode(sent)))
    assert len(moved[1].received) == len(KINDS)


def test_orthanc_files_them_as_one_study_of_one_patient(moved: tuple[Orthanc, Pacs]) -> None:
    orthanc, _ = moved
    assert len(orthanc.get("/instances")) == len(KINDS)
    assert len(orthanc.get("/studies")) == len(orthanc.get("/patients")) == 1
    series = {
        each.data_set.SeriesInstanceUID for kind, each in every_kind().items() if kind in KINDS
    }
    assert len(orthanc.get("/series")) == len(series)


def test_a_label_map_is_refused_by_this_orthanc(
    moved: tuple[Orthanc, Pacs], tmp_path: Path
) -> None:
    """Orthanc 1.10.1 is older than its SOP class; `binary` is the default for such."""
    files = write_all(tmp_path, ["label map"])
    with pytest.raises(PeerError):
        send_all(files, ["label map"], moved[0])


def test_a_peer_that_takes_no_jpeg_gets_the_same_pictures_decoded(tmp_path: Path) -> None:
    kinds = ["slice", "all slices in one"]
    with running_pacs() as pacs:
        send_all(write_all(tmp_path, kinds), kinds, pacs)
        received = pacs.received
    for kind, back in zip(kinds, received, strict=True):
        sent = every_kind()[kind]
        assert back.SOPInstanceUID == sent.sop_instance_uid
        assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert (back.PhotometricInterpretation, back.LossyImageCompression) == ("RGB", "01")
        decoded = pydicom.dcmread(io.BytesIO(encode(sent))).pixel_array
        assert np.abs(decoded.astype(np.int16) - back.pixel_array).max() <= 1
    assert received[0].SOPClassUID == SecondaryCaptureImageStorage


def test_a_deflated_file_of_an_older_version_is_sent_inflated_to_who_would_take_it_deflated(
    tmp_path: Path,
) -> None:
    """Peers that accept deflated, answer 0x0000 and lose the pixels have been seen."""
    sent = pydicom.dcmread(io.BytesIO(encode(every_kind()["lungs"])))
    (old,) = write_all(tmp_path, ["lungs"])
    sent.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    sent.save_as(old)
    assert old.stat().st_size < len(encode(every_kind()["lungs"])) / 2
    with running_pacs(syntaxes=SYNTAXES) as pacs:
        send_all([old], ["lungs"], pacs)
        (back,) = pacs.received
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert back == sent
