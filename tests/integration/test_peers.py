"""Real peers on both sides of the node: what each does and is told, as a table.

Senders bring a series, once smoothly and once with one instance refused. Receivers get the
results; one that refuses, rejects, aborts or is away leaves its cause with each delivery.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as StudyRootMove,
)

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import DeliverySettings
from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.deliver.dicom_sender import UNCOMPRESSED, proposed_contexts, send_instance
from dicomnode.dicom_files.identity import Identity, identify
from dicomnode.errors import DataError
from dicomnode.network.associations import associated, requestor
from dicomnode.receive import receiver as receiver_module
from storage.records import DeliveryState
from support.dcmjs import dcmjs_send, running_dcmjs
from support.find_scp import running_dcmqrscp
from support.node import free_port, sop_instance_uids
from support.orthanc import running_orthanc
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.receiver import Receiver
from support.storescp import running_storescp
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

SLICES, REFUSED = 5, 2

Peer = Callable[[Path], AbstractContextManager[Destination]]


def by_dcmtk(*command: str) -> Callable[[Receiver, list[Path], Path], str]:
    def send(receiver: Receiver, files: list[Path], _folder: Path) -> str:
        program = needed(command[0], "dcmtk")
        port = str(receiver.peer.port)
        arguments = [program, *command[1:], "127.0.0.1", port, *map(str, files)]
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        return f"exit {done.returncode}"

    return send


def by_dcmjs(receiver: Receiver, files: list[Path], _folder: Path) -> str:
    return " ".join(f"0x{int(each):04X}" for each in dcmjs_send(receiver.peer.port, files))


def by_orthanc(permissive: bool) -> Callable[[Receiver, list[Path], Path], str]:
    def send(receiver: Receiver, files: list[Path], folder: Path) -> str:
        with running_orthanc(folder / "orthanc", receiver.peer) as orthanc:
            for file in files:
                orthanc.upload(file)
            (series,) = orthanc.get("/series")
            request = {"Resources": [series], "Synchronous": False, "Permissive": permissive}
            job = orthanc.post("/modalities/node/store", request)["ID"]
            done = wait_for(lambda: ended_job(orthanc.get(f"/jobs/{job}")), "the job ended")
        return f"{done['State']}, failed {done['Content']['FailedInstancesCount']}"

    return send


def ended_job(job: dict[str, Any]) -> dict[str, Any] | None:
    return job if job["State"] in {"Success", "Failure"} else None


def by_dcmqrscp(receiver: Receiver, files: list[Path], folder: Path) -> str:
    """C-MOVE to the node (PS3.4 section C.4.2): Move Originator is told in each C-STORE."""
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = pydicom.dcmread(files[0]).StudyInstanceUID
    with running_dcmqrscp(folder / "archive", files, receiver.peer) as archive:
        ae = requestor("TESTER", [build_context(StudyRootMove)], 30.0)
        with associated(ae, archive) as association:
            answers = association.send_c_move(query, receiver.peer.ae_title, StudyRootMove)
            last, _ = list(answers)[-1]
    counts = last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations
    return f"0x{last.Status:04X}, completed {counts[0]}, failed {counts[1]}"


@dataclass(frozen=True)
class Sender:
    """`smooth`: what it says when all is taken; `refused`: when the third of five instances is.

    `kept`: the least that have arrived then.
    """

    send: Callable[[Receiver, list[Path], Path], str]
    smooth: str
    refused: str
    kept: int


SENDERS = {
    "storescu": Sender(by_dcmtk("storescu"), "exit 0", "exit 192", 2),  # it stops there
    "dcmsend": Sender(by_dcmtk("dcmsend"), "exit 0", "exit 0", 4),
    "dcmjs-dimse": Sender(
        by_dcmjs,
        "0x0000 0x0000 0x0000 0x0000 0x0000",
        "0x0000 0x0000 0xC000 0x0000 0x0000",
        4,
    ),
    "Orthanc": Sender(by_orthanc(False), "Success, failed 0", "Failure, failed 0", 0),
    "Orthanc, permissive": Sender(by_orthanc(True), "Success, failed 0", "Success, failed 0", 4),
    "dcmqrscp by C-MOVE": Sender(
        by_dcmqrscp, "0x0000, completed 5, failed 0", "0xB000, completed 4, failed 1", 4
    ),
}
"""Orthanc tells nobody how many failed: the gap in the slices does, or the count of the PACS."""


@pytest.mark.parametrize("name", [name for name in SENDERS if name != "Orthanc, permissive"])
def test_a_series_of_a_real_sender_is_kept_whole(
    receiver: Receiver, tmp_path: Path, name: str
) -> None:
    files = write_series(tmp_path / "series", SLICES)
    assert SENDERS[name].send(receiver, files, tmp_path) == SENDERS[name].smooth
    kept = [pydicom.dcmread(receiver.files.open_path(path)) for path in receiver.files.iter_paths()]
    assert {each.SOPInstanceUID for each in kept} == sop_instance_uids(files)
    wait_for(lambda: receiver.indexed(series_uid(files)) == SLICES, "all are indexed")


@pytest.mark.parametrize("name", SENDERS)
def test_what_a_real_sender_makes_of_a_refusal(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files = write_series(tmp_path / "series", SLICES)
    refused = str(pydicom.dcmread(files[REFUSED]).SOPInstanceUID)

    def picky(data_set: bytes | memoryview, transfer_syntax: UID) -> Identity:
        found = identify(data_set, transfer_syntax)
        if found.sop_instance_uid == refused:
            raise DataError("test", "refused")
        return found

    monkeypatch.setattr(receiver_module, "identify", picky)
    assert SENDERS[name].send(receiver, files, tmp_path) == SENDERS[name].refused
    kept = len(list(receiver.files.iter_paths()))
    assert SENDERS[name].kept <= kept < SLICES
    wait_for(lambda: receiver.indexed(series_uid(files)) == kept, "what was kept is indexed")


# The other way: our results, and what becomes of each delivery.


def accepting(syntaxes: Sequence[str] = UNCOMPRESSED, *, without: str = "") -> Peer:
    """A Storage SCP of pynetdicom that does not accept the class `without`."""

    @contextmanager
    def peer(_folder: Path) -> Iterator[Destination]:
        with running_pacs(syntaxes=syntaxes, refused=without) as pacs:
            yield pacs.destination

    return peer


def storescp(*options: str) -> Peer:
    @contextmanager
    def peer(folder: Path) -> Iterator[Destination]:
        with running_storescp(folder / "received", *options) as destination:
            yield destination

    return peer


@contextmanager
def orthanc(folder: Path) -> Iterator[Destination]:
    node = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=free_port())
    with running_orthanc(folder / "orthanc", node) as running:
        yield running.peer


@contextmanager
def archive(folder: Path, called: str = "QRSCP") -> Iterator[Destination]:
    with running_dcmqrscp(folder / "archive") as destination:
        yield destination.model_copy(update={"ae_title": called})


def dcmjs(refused: str = "") -> Peer:
    @contextmanager
    def peer(folder: Path) -> Iterator[Destination]:
        with running_dcmjs(folder / "received", refused) as destination:
            yield destination

    return peer


@contextmanager
def nobody(_folder: Path) -> Iterator[Destination]:
    yield Destination(name="x", ae_title="X", address="127.0.0.1", port=free_port())


@contextmanager
def silent(_folder: Path) -> Iterator[Destination]:
    """It takes the connection, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        yield Destination(name="x", ae_title="X", address="127.0.0.1", port=port)


SR, SC = Comprehensive3DSRStorage, SecondaryCaptureImageStorage
KINDS = ("sr", "montage", "key_slice", "seg")
OF_CLASS = {SR: ["sr"], SC: ["montage", "key_slice"], SegmentationStorage: ["seg"]}


def all_but(refused: str) -> dict[str, str]:
    """Everything arrives but the objects of one class, and the cause names it."""
    kinds = OF_CLASS[UID(refused)]
    return dict.fromkeys(KINDS, "") | dict.fromkeys(kinds, UID(refused).name)


ARRIVED = dict.fromkeys(KINDS, "")

RECEIVERS: dict[str, tuple[Peer, dict[str, str]]] = {
    "storescp": (storescp(), ARRIVED),
    "storescp, Implicit VR alone": (storescp("+xi"), ARRIVED),
    "Orthanc": (orthanc, ARRIVED),
    "dcmqrscp": (archive, ARRIVED),
    "dcmjs-dimse": (dcmjs(), ARRIVED),
    "no Structured Reports": (accepting(without=SR), all_but(SR)),
    "no Secondary Captures": (accepting(without=SC), all_but(SC)),
    "no Segmentations": (accepting(without=SegmentationStorage), all_but(SegmentationStorage)),
    "dcmjs-dimse, no reports": (dcmjs(SR), all_but(SR)),
    "dcmqrscp under another title": (
        partial(archive, called="OTHER"),
        dict.fromkeys(KINDS, "rejected the association: called AE title not recognized"),
    ),
    "storescp that refuses": (
        storescp("--refuse"),
        dict.fromkeys(KINDS, "rejected the association: no reason given"),
    ),
    "storescp that aborts": (
        storescp("--abort-after"),
        dict.fromkeys(KINDS, "aborted the association: by its application"),
    ),
    "storescp that aborts amid an object": (
        storescp("--abort-during"),  # its A-ABORT may be lost with the connection
        dict.fromkeys(KINDS, "aborted the association: by its application|broke off"),
    ),
    "nobody": (nobody, dict.fromkeys(KINDS, "cannot be reached: Connection refused")),
    "silent": (silent, dict.fromkeys(KINDS, "association request was not answered within 1 s")),
}
"""By kind of result: nothing where it arrives, else a part of the cause that its delivery bears."""


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> tuple[Pipeline, str]:
    """A node with the results of one series, waiting for every receiver of the table."""
    home = tmp_path_factory.mktemp("peers")
    files = write_series(home / "series", 12)
    destinations = [
        Destination(name=name, ae_title="X", address="127.0.0.1", port=1) for name in RECEIVERS
    ]
    node = Pipeline(home / "data", small_models, destinations)
    node.bring_to_results(files)
    return node, series_uid(files)


@pytest.mark.parametrize("name", RECEIVERS)
def test_what_becomes_of_our_results_at_a_real_receiver(
    analysed: tuple[Pipeline, str], tmp_path: Path, name: str
) -> None:
    (node, series), (peer, expected) = analysed, RECEIVERS[name]
    patience = DeliverySettings(timeout_seconds=1.0 if peer is silent else 60.0)
    node.settings = node.settings.model_copy(update={"delivery": patience})
    with peer(tmp_path) as place:
        assert node.deliver(place.model_copy(update={"name": name})) == len(KINDS)
    deliveries = [each for each in node.detail(series).deliveries if each.destination == name]
    assert {each.result.kind for each in deliveries} == set(expected)
    for each in deliveries:
        cause = expected[each.result.kind]
        final = cause in {UID(refused).name for refused in OF_CLASS}  # a class, not the peer
        state = DeliveryState.REFUSED if final else DeliveryState.WAITING
        state = state if cause else DeliveryState.STORED
        told = any(part in (each.error or "") for part in cause.split("|"))
        assert (each.state, told) == (state, True), each


@pytest.mark.parametrize("peer", [storescp(), dcmjs()], ids=["storescp", "dcmjs-dimse"])
def test_what_a_receiver_writes_is_whole(
    analysed: tuple[Pipeline, str], tmp_path: Path, peer: Peer
) -> None:
    """dcmjs-dimse answered 0x0000 to deflated segmentations and kept two elements of them."""
    node, _ = analysed
    files = sorted(node.settings.result_files.rglob("*.dcm"))
    classes = sorted({str(pydicom.dcmread(file).SOPClassUID) for file in files})
    with peer(tmp_path) as place:
        ae = requestor("DICOMNODE", proposed_contexts(classes), 30.0)
        with associated(ae, place) as association:
            for file in files:
                assert send_instance(association, file).ending is Ending.STORED
    sent = {str(each.SOPInstanceUID): each for each in map(pydicom.dcmread, files)}
    received = [pydicom.dcmread(path, force=True) for path in (tmp_path / "received").iterdir()]
    assert {str(each.SOPInstanceUID) for each in received} == sent.keys()
    for each in received:
        ours = sent[str(each.SOPInstanceUID)]
        assert each.keys() == ours.keys()
        if "PixelData" in ours:
            assert np.array_equal(each.pixel_array, ours.pixel_array)
