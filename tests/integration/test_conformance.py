"""The conformance statement against what is negotiated in fact, with DCMTK, dcmjs-dimse and
Orthanc as peers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import pydicom
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.conformance.statement import conformance_statement
from dicomnode.deliver.dicom_sender import dicom_sender
from dicomnode.network.associations import (
    application_entity,
    associated,
    listen,
    requestor,
)
from dicomnode.network.listeners import bind_listener
from inference.evaluation.report.document import Document, Paragraph
from support.data import PHILIPS
from support.dcmjs import dcmjs_send
from support.documents import tables_below
from support.orthanc import running_orthanc
from support.phantom import write_series
from support.raw_peer import RawPeer, associate_rq_of, window_of
from support.receiver import Receiver, running_receiver
from support.result_kinds import every_kind
from support.tools import needed

MOST_CONTEXTS = 128
"""Of one association: odd numbers up to 255 (PS3.8 section 9.3.2.2)."""
NOT_STATED = (
    "1.2.840.10008.5.1.4.1.2.1.1",  # Patient Root FIND
    "1.2.840.10008.5.1.4.1.2.2.2",  # Study Root MOVE
    "1.2.840.10008.5.1.4.31",  # Modality Worklist
    "1.2.840.10008.3.1.2.3.3",  # Modality Performed Procedure Step
    "1.2.840.10008.5.1.1.9",  # Basic Grayscale Print
    "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
    "1.2.840.10008.1.3.10",  # Media Storage Directory
)
"""Abstract syntaxes of other services, which nothing states."""


@pytest.fixture(scope="module")
def stated() -> Document:
    return conformance_statement(Settings())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running_receiver(tmp_path_factory.mktemp("node"), ReceiveSettings()) as receiver:
        yield receiver


def _accepted(node: Receiver, proposed: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these pairs of abstract and transfer syntax."""
    found: set[tuple[str, str]] = set()
    left = iter(proposed)
    while some := list(islice(left, MOST_CONTEXTS - 1)):
        contexts = [build_context(*pair) for pair in some]
        ae = requestor("TESTER", [*contexts, build_context(Verification)], 20)
        with associated(ae, node.peer) as association:
            for each in association.accepted_contexts:
                found.add((str(each.abstract_syntax), str(each.transfer_syntax[0])))
    return found


def test_all_that_is_stated_is_accepted(stated: Document, node: Receiver) -> None:
    classes = [row[1] for row in tables_below(stated, "4.2.1.4.1.1 ")[0].rows]
    syntaxes = [row[1] for row in tables_below(stated, "4.2.1.4.1.2 ")[0].rows]
    assert len(classes) > 100
    assert len(syntaxes) > 20
    pairs = [(uid, syntaxes[0]) for uid in classes]
    pairs += [(classes[0], syntax) for syntax in syntaxes]
    assert set(pairs) <= _accepted(node, pairs)
    others = tables_below(stated, "4.2.1.4.2.1 ")[0].rows
    pairs = [(row[1], syntax) for row in others for syntax in row[3].split("; ")]
    assert set(pairs) <= _accepted(node, pairs)


def test_nothing_else_is_accepted(stated: Document, node: Receiver) -> None:
    syntaxes = {row[1] for row in tables_below(stated, "4.2.1.4.1.2 ")[0].rows}
    classes = {row[1] for row in tables_below(stated, "4.2.1.4.1.1 ")[0].rows}
    named = {row[1] for row in tables_below(stated, "4.2.1.4.2.1 ")[0].rows}
    known = {uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"}
    foreign = sorted({*NOT_STATED, *(known - classes - named)})
    explicit = "1.2.840.10008.1.2.1"
    pairs = [(uid, explicit) for uid in foreign]
    others = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    pairs += [(next(iter(classes)), syntax) for syntax in sorted(others - syntaxes)]
    assert not set(pairs) & _accepted(node, pairs)


def test_storage_of_dcmtk_is_taken_and_its_query_is_not(node: Receiver, tmp_path: Path) -> None:
    place = ["127.0.0.1", str(node.peer.port)]
    echo = [needed("echoscu", "dcmtk"), "-aec", "DICOMNODE", *place]
    assert subprocess.run(echo, check=False, capture_output=True).returncode == 0
    store = [needed("storescu", "dcmtk"), "-aec", "DICOMNODE"]
    plain = write_series(tmp_path, slices=1)
    for options, file in (([], plain[0]), (["-xt"], PHILIPS[0])):  # JPEG-LS
        sent = subprocess.run([*store, *options, *place, str(file)], check=False)
        assert sent.returncode == 0
    find = [needed("findscu", "dcmtk"), "-S", "-aec", "DICOMNODE", *place]
    find += ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID="]
    asked = subprocess.run(find, check=False, capture_output=True, text=True)
    assert "No Acceptable Presentation Contexts" in asked.stderr + asked.stdout


def test_what_dcmjs_proposes_is_stated_and_taken(
    stated: Document, node: Receiver, tmp_path: Path
) -> None:
    classes = {row[1] for row in tables_below(stated, "4.2.1.4.1.1 ")[0].rows}
    syntaxes = {row[1] for row in tables_below(stated, "4.2.1.4.1.2 ")[0].rows}
    files = write_series(tmp_path, slices=2)
    for file in files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        assert header.SOPClassUID in classes
        assert header.file_meta.TransferSyntaxUID in syntaxes
    assert dcmjs_send(node.peer.port, files) == ["0", "0"]
    assert dcmjs_send(node.peer.port, files, window=2) == ["0", "0"]


def test_the_window_of_operations_that_is_stated_is_the_one_answered(
    stated: Document, node: Receiver
) -> None:
    with RawPeer(node.peer.port) as peer:
        peer.say(associate_rq_of((CTImageStorage, [ImplicitVRLittleEndian]), window=(99, 99)))
        window = window_of(peer.hear())
    assert window is not None
    texts = [block.text for block in stated.blocks if isinstance(block, Paragraph)]
    told = next(text for text in texts if "asynchronous operations window" in text)
    assert f"up to {window[0]} operations" in told


@pytest.mark.long
def test_what_orthanc_proposes_is_stated_and_taken(
    stated: Document, node: Receiver, tmp_path: Path
) -> None:
    """It sends CT as it has it, and asks by C-ECHO before."""
    classes = {row[1] for row in tables_below(stated, "4.2.1.4.1.1 ")[0].rows}
    with running_orthanc(tmp_path / "orthanc", node.peer) as orthanc:
        orthanc.upload(PHILIPS[0])
        (instance,) = orthanc.get("/instances")
        assert orthanc.get(f"/instances/{instance}/metadata/SopClassUid") in classes
        orthanc.post("/modalities/node/echo", {})
        told = orthanc.post("/modalities/node/store", instance)
    assert told["FailedInstancesCount"] == 0


def test_what_is_stated_for_a_destination_is_what_its_peer_is_offered(stated: Document) -> None:
    """The classes are those of objects of every kind that these settings make."""
    kinds = set(every_kind()) - {"label map", "comprehensive report", "enhanced report"}
    kinds -= {"all slices in one", "slice", "rejection note"}  # asked for by other settings
    classes = sorted({str(every_kind()[kind].sop_class_uid) for kind in kinds})
    offered: list[tuple[str, str]] = []

    def on_request(event: evt.Event) -> None:
        request = cast("A_ASSOCIATE", event.assoc.requestor.primitive)
        offered.extend(
            (str(context.abstract_syntax), str(syntax))
            for context in request.presentation_context_definition_list
            for syntax in context.transfer_syntax
        )

    ae = application_entity("PACS")
    ae.supported_contexts = [build_context(uid) for uid in classes]
    listener = bind_listener(("127.0.0.1", 0))
    listen(ae, listener, {evt.EVT_REQUESTED: on_request})
    port = listener.getsockname()[1]
    pacs = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=port)
    try:
        with dicom_sender(pacs, "DICOMNODE", classes, 20):
            pass
    finally:
        ae.shutdown()
    rows = tables_below(stated, "4.2.1.3.1.1 ")[0].rows
    assert offered == [(row[1], row[3]) for row in rows]
