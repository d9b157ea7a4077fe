"""Every kind of result at real PACSs: what each promises, and that its files are those we made.

And the other way: Orthanc asks us for our commitment to what it sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import _config

from dicomnode.commitment.asking import FOUND, NO_PROOF, Asker
from dicomnode.commitment.reporting import Reporter
from dicomnode.config.destinations import Destination, Peer
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.results.common.encoding import encode
from storage import commitment_answers as answers
from storage.database import Database
from storage.queries import series_detail
from storage.records import DeliveryRecord
from storage.results import ResultFiles
from support.clock import StandingClock
from support.dcmjs import running_dcmjs
from support.find_scp import running_dcmqrscp
from support.orthanc import running_orthanc
from support.phantom import write_series
from support.receiver import Receiver, running_receiver
from support.result_kinds import every_kind
from support.storage_samples import SERIES, analyse, instance, queue, receive, result
from support.storescp import running_storescp
from support.tiny_pacs import running_tiny_pacs
from support.wait import wait_for

pytestmark = pytest.mark.long

Kept = Callable[[], list[Dataset]]
Place = Callable[[Path, Peer], AbstractContextManager[tuple[Destination, Kept]]]

PIXELS = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration"}
"""What a peer that takes no JPEG gets in another form."""


LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""Too new for most of these."""


@cache
def ours() -> dict[str, bytes]:
    made = (each for each in every_kind().values() if each.sop_class_uid != LABEL_MAP)
    return {str(each.sop_instance_uid): encode(each) for each in made}


def files_in(folder: Path) -> Kept:
    def kept() -> list[Dataset]:
        paths = (each for each in folder.rglob("*") if each.is_file() and each.name != "index.dat")
        return [pydicom.dcmread(path, force=True) for path in paths]

    return kept


@contextmanager
def orthanc(folder: Path, node: Peer) -> Iterator[tuple[Destination, Kept]]:
    with running_orthanc(folder, node) as running:

        def kept() -> list[Dataset]:
            files = map(running.file, running.get("/instances"))
            return [pydicom.dcmread(BytesIO(each)) for each in files]

        yield running.peer, kept


@contextmanager
def tiny_pacs(folder: Path, node: Peer) -> Iterator[tuple[Destination, Kept]]:
    with running_tiny_pacs(folder, node=node) as running:
        place = Destination(
            name="tiny", ae_title="TINY_PACS", address="127.0.0.1", port=running.port
        )
        yield place, files_in(running.files)


@contextmanager
def dcmqrscp(folder: Path, _node: Peer) -> Iterator[tuple[Destination, Kept]]:
    with running_dcmqrscp(folder) as place:
        yield place, files_in(folder / "db")


@contextmanager
def storescp(folder: Path, _node: Peer) -> Iterator[tuple[Destination, Kept]]:
    with running_storescp(folder) as place:
        yield place, files_in(folder)


@contextmanager
def dcmjs(folder: Path, node: Peer) -> Iterator[tuple[Destination, Kept]]:
    with running_dcmjs(folder, node=node.port) as place:
        yield place, files_in(folder)


PLACES: dict[str, tuple[Place, str, str, str | None]] = {
    "Orthanc": (orthanc, "ORTHANC", "committed", None),
    "dcmjs-dimse": (dcmjs, "DCMJS", "committed", None),
    "tiny-pacs": (tiny_pacs, "TINY_PACS", "committed", None),
    "DCMTK dcmqrscp": (dcmqrscp, "QRSCP", "stored", FOUND),
    "DCMTK storescp": (storescp, "STORESCP", "stored", NO_PROOF),
}
"""The AE title, the state in which each object ends, and what is told."""


def fill(receiver: Receiver, destination: str) -> None:
    """Every kind of result waits for the destination."""
    found = {uid: pydicom.dcmread(BytesIO(each)) for uid, each in ours().items()}
    files = ResultFiles(receiver.folder / "results")
    first = next(iter(found.values()))
    study = str(first.StudyInstanceUID)
    receive(receiver.database, replace(instance(1), study_instance_uid=study))
    queue(receiver.database)
    made = [
        replace(
            result("0", sop_class_uid=str(each.SOPClassUID)),
            sop_instance_uid=uid,
            result_series_instance_uid=str(each.SeriesInstanceUID),
            path=files.store(SERIES, uid, ours()[uid]),
        )
        for uid, each in found.items()
    ]
    analyse(receiver.database, made, [destination])


def deliveries(database: Database) -> tuple[DeliveryRecord, ...]:
    with database.read() as session:
        detail = series_detail(session, SERIES)
    assert detail is not None
    return detail.deliveries


@pytest.fixture(autouse=True)
def _restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


@pytest.mark.parametrize("name", PLACES)
def test_what_a_pacs_promises_and_keeps(name: str, tmp_path: Path) -> None:
    place, title, state, told = PLACES[name]
    known = Destination(name="peer", ae_title=title, address="127.0.0.1", port=1)
    with (
        running_receiver(tmp_path / "node", ReceiveSettings(), [known]) as receiver,
        place(tmp_path / "peer", receiver.peer) as (found, kept),
    ):
        at_work = found.model_copy(
            update={"name": "peer", "storage_commitment": True, "compressed": True}
        )
        node = NodeSettings(data_directory=receiver.folder)
        settings = Settings(node=node, destinations=(at_work,))
        fill(receiver, "peer")
        began, clock = time.monotonic(), StandingClock(datetime.now(UTC))
        deliverer = Deliverer(settings, at_work, "node/d/1/", clock)
        assert deliverer.deliver_some(threading.Event()) == len(ours())
        stored_after = time.monotonic() - began
        assert {each.state.value for each in deliveries(receiver.database)} == {"stored"}
        asked = time.monotonic()
        asker = Asker(settings, at_work, clock)  # a look ends when a report has come
        for _ in range(at_work.commitment_attempts + 1):
            clock.move(10_000)
            asker.look(threading.Event())
        assert all(each.arrived for each in deliveries(receiver.database))
        settled_after = time.monotonic() - asked
        assert {each.state.value for each in deliveries(receiver.database)} == {state}
        for each in deliveries(receiver.database):
            assert (each.error or "").startswith(told or ""), each.error
            assert (each.error is None) == (told is None)
        theirs = {str(each.SOPInstanceUID): each for each in kept()}
    assert theirs.keys() == ours().keys()
    if name == "dcmjs-dimse":  # 0.3.3 writes texts (UT, ST, LT) in UTF-8 as if they were Latin-1
        return
    for uid, content in ours().items():
        assert same(pydicom.dcmread(BytesIO(content)), theirs[uid]), uid
    times = f"stored after {stored_after:.2f} s, {state} {settled_after:.2f} s later"
    print(f"{name}: {len(theirs)} objects, {times}")


def same(made: Dataset, kept: Dataset) -> bool:
    """Element for element; JPEG may have been decoded on the way."""
    compressed = made.file_meta.TransferSyntaxUID.is_compressed
    if compressed and not kept.file_meta.TransferSyntaxUID.is_compressed:
        for each in (made, kept):
            for keyword in PIXELS & set(each.dir()):
                delattr(each, keyword)
    return made == kept


def test_orthanc_asks_us_and_is_told_what_we_hold(receiver: Receiver, tmp_path: Path) -> None:
    files = write_series(tmp_path / "series", 4)
    references = [
        {"SOPClassUID": str(each.SOPClassUID), "SOPInstanceUID": str(each.SOPInstanceUID)}
        for each in map(pydicom.dcmread, files)
    ]
    with running_orthanc(tmp_path / "orthanc", receiver.peer) as running:
        node = NodeSettings(data_directory=receiver.folder)
        reporter = Reporter(Settings(node=node, destinations=(running.peer,)))
        for file in files[:3]:
            running.upload(file)
        (series,) = running.get("/series")
        running.post("/modalities/node/store", {"Resources": [series], "Synchronous": True})
        said = commitment(running, references[:3], reporter)
        assert (said["Status"], len(said["Success"]), said["Failures"]) == ("Success", 3, [])
        wrong = references[0] | {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
        said = commitment(running, [wrong, *references[1:]], reporter)
    assert said["Status"] == "Failure"
    assert {each["SOPInstanceUID"] for each in said["Success"]} == {
        each["SOPInstanceUID"] for each in references[1:3]
    }
    failures = {each["SOPInstanceUID"]: each["FailureReason"] for each in said["Failures"]}
    assert failures == {
        references[0]["SOPInstanceUID"]: 0x0119,
        references[3]["SOPInstanceUID"]: 0x0112,
    }
    with receiver.database.read() as session:
        assert all(each.reported_at for each in answers.list_owed(session))


def commitment(running: Any, references: list[dict[str, str]], reporter: Reporter) -> Any:
    """What Orthanc has been told in the end."""
    asked = running.post("/modalities/node/storage-commitment", {"DicomInstances": references})

    def said() -> Any:
        reporter.look()
        found = running.get(asked["Path"])
        return None if found["Status"] == "Pending" else found

    return wait_for(said, "Orthanc has the report")
