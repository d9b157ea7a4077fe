"""What becomes of results at a peer that follows a script: each status, each way to break off.

Two objects, a report and a picture; the peer does something with the first and takes the second.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt
from sqlalchemy import select, update

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import DeliverySettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.decisions.delivery.store_status import STORE_STATUSES, status_row
from dicomnode.deliver import deliverer
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.tls import DestinationTls
from storage.database import Database
from storage.models import DeliveryRow
from storage.outbox import NOT_TRIED
from storage.records import DeliveryState
from storage.results import ResultFiles
from support.certificates import Authority
from support.clock import StandingClock
from support.node import free_port
from support.scripted_pacs import ScriptedPacs, scripted_pacs
from support.storage_samples import NOW, SERIES, analyse, instance, queue, receive, result
from support.wait import PATIENCE_SECONDS, wait_for

SR, SC = str(Comprehensive3DSRStorage), str(SecondaryCaptureImageStorage)
REPORT, PICTURE = "2.25.1", "2.25.2"
WAITING, STORED = DeliveryState.WAITING, DeliveryState.STORED
REFUSED = DeliveryState.REFUSED
STATES = {
    Ending.STORED: STORED,
    Ending.AGAIN: WAITING,
    Ending.HOPELESS: REFUSED,
    Ending.OURS: DeliveryState.FAILED,
}
COMMENT = "Patient ID 4711 is unknown\r\nhere"


def written(path: Path, sop_class: str, uid: str) -> None:
    """A Part 10 file, of a megabyte where it is a picture: many PDUs."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = sop_class, uid
    data_set.PatientID = "NOBODY"
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    data_set.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if sop_class == SC:
        data_set.Rows = data_set.Columns = 1000
        data_set.BitsAllocated, data_set.SamplesPerPixel = 8, 1
        data_set.PixelData = np.zeros((1000, 1000), np.uint8).tobytes()
    data_set.save_as(path, enforce_file_format=True)


@dataclass
class Site:
    """A database with both results, which begin anew for each peer."""

    settings: Settings
    database: Database

    def deliverer(self, peer: Destination, clock: StandingClock) -> Deliverer:
        return Deliverer(self.settings, peer, "node/deliverer/1/", clock)

    def begin(self) -> None:
        anew = NOT_TRIED | {"state": WAITING, "attempt": 0, "not_before": NOW, "created_at": NOW}
        with self.database.write() as session:
            session.execute(update(DeliveryRow).values(anew))

    def row(self, uid: str) -> DeliveryRow:
        with self.database.read() as session:
            found = session.scalars(
                select(DeliveryRow).where(DeliveryRow.sop_instance_uid == uid)
            ).one()
            session.expunge_all()
        return found


def analysed(folder: Path, *objects: tuple[str, str], series: str = SERIES) -> Site:
    """A series of a study of its own has these results: names and SOP classes."""
    settings = Settings(
        node=NodeSettings(data_directory=folder), delivery=DeliverySettings(timeout_seconds=20.0)
    )
    database = Database.open(settings.database_url)
    files = ResultFiles(settings.result_files)
    receive(database, instance(1, series, study=f"{series}.0"))
    queue(database)
    results = []
    for name, sop_class in objects:
        written(folder / "made.dcm", sop_class, f"2.25.{name}")
        content = (folder / "made.dcm").read_bytes()
        path = files.store(series, f"2.25.{name}", content)
        record = result(name, series, sop_class)
        results.append(replace(record, path=path, size_bytes=len(content)))
    analyse(database, results)
    return Site(settings, database)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = analysed(tmp_path_factory.mktemp("answers"), ("1", SR), ("2", SC))
    yield site
    site.database.close()


@pytest.fixture
def site(made: Site) -> Site:
    made.begin()
    return made


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedPacs]:
    with scripted_pacs(SR, SC) as running:
        yield running


@pytest.fixture
def pacs(peer: ScriptedPacs) -> ScriptedPacs:
    peer.behaves()
    peer.received.clear()
    peer.associations = 0
    return peer


def answer(status: int) -> Callable[[evt.Event], Dataset]:
    said = Dataset()
    said.Status, said.ErrorComment = status, COMMENT
    return lambda _event: said


@pytest.mark.parametrize("status", sorted({s for r in STORE_STATUSES for s in (r.first, r.last)}))
def test_each_status_ends_as_its_row_says_and_is_told_once(
    site: Site, pacs: ScriptedPacs, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    pacs.answer = answer(status)
    clock = StandingClock(NOW)
    deliverer = site.deliverer(pacs.destination, clock)
    assert deliverer.deliver_some(threading.Event()) == 2
    row, expected = site.row(REPORT), status_row(status)
    assert (row.state, row.status) == (STATES[expected.ending], f"0x{status:04X}")
    assert (site.row(PICTURE).state, pacs.associations) == (STORED, 1)
    silent = expected.ending is Ending.STORED and not expected.warning
    assert (row.error is None) == silent
    ours = [each for each in caplog.messages if each.startswith(REPORT)]
    assert len(ours) == (0 if silent else 1)
    assert "4711" not in caplog.text
    if not silent:
        assert expected.meaning in ours[0]
        assert expected.advice in ours[0]
        assert str(row.error).endswith('(it says: "Patient ID 4711 is unknown here")')
    clock.move(3600)  # only what may succeed later is tried again
    assert deliverer.deliver_some(threading.Event()) == (expected.ending is Ending.AGAIN)
    assert (site.row(REPORT).state is STORED) == (expected.ending is not Ending.HOPELESS)


def abort(event: evt.Event) -> None:
    event.assoc.abort()


def close(event: evt.Event) -> None:
    connection = event.assoc.dul.socket
    assert connection is not None
    connection.close()


BREAKS = {
    "aborts": (abort, {"aborted", "broken off"}),
    "closes": (close, {"broken off"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_who_accepts_and_breaks_off_is_away_after_the_second_time(
    site: Site, pacs: ScriptedPacs, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Nothing is given up, and all arrives when it has come to its senses."""
    caplog.set_level("INFO")
    pacs.at_data, words = BREAKS[name]
    clock = StandingClock(NOW)
    deliverer = site.deliverer(pacs.destination, clock)
    assert deliverer.deliver_some(threading.Event()) == 2
    rows = [site.row(REPORT), site.row(PICTURE)]
    assert [each.state for each in rows] == [WAITING] * 2
    assert {each.status for each in rows} <= words
    assert pacs.associations == 2
    assert sum("waits: " in each for each in caplog.messages) == 1
    pacs.behaves()
    clock.move(60)
    assert deliverer.deliver_some(threading.Event()) == 2
    assert [site.row(uid).state for uid in (REPORT, PICTURE)] == [STORED] * 2
    assert sum("goes on" in each for each in caplog.messages) == 1


def test_who_closes_amid_one_object_gets_the_others_over_another_association(
    site: Site, pacs: ScriptedPacs
) -> None:
    with site.database.write() as session:  # the picture first
        later = update(DeliveryRow).where(DeliveryRow.sop_instance_uid == REPORT)
        session.execute(later.values(created_at=NOW.replace(year=2026)))
    pacs.at_data = close_once(pacs)
    assert site.deliverer(pacs.destination, StandingClock(NOW)).deliver_some(threading.Event()) == 2
    assert (site.row(PICTURE).state, site.row(PICTURE).status) == (WAITING, "broken off")
    assert (site.row(REPORT).state, pacs.associations) == (STORED, 2)


def close_once(pacs: ScriptedPacs) -> Callable[[evt.Event], None]:
    """At the third PDU with data, which is amid the picture."""
    count = 0

    def at_data(event: evt.Event) -> None:
        nonlocal count
        count += 1
        if count == 3:
            pacs.at_data = None
            close(event)

    return at_data


def test_who_never_answers_an_object_is_not_waited_for_without_end(
    site: Site, pacs: ScriptedPacs
) -> None:
    go_on = threading.Event()

    def wait(_event: evt.Event) -> int:
        go_on.wait(20)
        return 0

    pacs.answer = wait
    # more than a loaded machine needs to answer the request for the next association
    hasty = site.settings.model_copy(update={"delivery": DeliverySettings(timeout_seconds=6.0)})
    deliverer = Deliverer(hasty, pacs.destination, "node/deliverer/1/", StandingClock(NOW))
    assert deliverer.deliver_some(threading.Event()) == 2
    go_on.set()
    assert (site.row(REPORT).state, site.row(REPORT).status) == (WAITING, "no answer in time")
    assert site.row(PICTURE).state is STORED


@contextmanager
def saying(words: bytes) -> Iterator[Destination]:
    """It takes a connection, says so, and closes it; with no words it is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                connection.sendall(words)
                connection.recv(1 << 16)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        yield Destination(name="PACS", ae_title="X", address="127.0.0.1", port=port)
        thread.join(20)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (b"", "no answer in time", "the association request was not answered within 0.5 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no DICOM", "does that port want TLS?"),
        (b"\x03\0\0\0\0\4\0\1\1\7", "rejected", "called AE title not recognized"),
        (b"\x03\0\0\0\0\4\0\2\3\2", "rejected", "local limit of associations exceeded"),
        (b"\x07\0\0\0\0\4\0\0\0\0", "aborted", "by its application"),
    ],
    ids=["silent", "no DICOM", "not known there", "full", "aborts"],
)
def test_who_gives_no_association_is_away_and_costs_no_attempt(
    site: Site, words: bytes, status: str, told: str
) -> None:
    seconds = 20.0 if words else 0.5
    hasty = site.settings.model_copy(update={"delivery": DeliverySettings(timeout_seconds=seconds)})
    with saying(words) as place:
        deliverer = Deliverer(hasty, place, "node/deliverer/1/", StandingClock(NOW))
        assert deliverer.deliver_some(threading.Event()) == 2
    for uid in (REPORT, PICTURE):
        row = site.row(uid)
        assert (row.state, row.status, row.first_tried_at) == (WAITING, status, None)
        assert told in str(row.error)
    assert deliverer.deliver_some(threading.Event()) == 0


def test_where_nobody_listens_there_is_no_connection(site: Site) -> None:
    nobody = Destination(name="PACS", ae_title="X", address="127.0.0.1", port=free_port())
    assert site.deliverer(nobody, StandingClock(NOW)).deliver_some(threading.Event()) == 2
    assert {site.row(uid).status for uid in (REPORT, PICTURE)} == {"no connection"}


@pytest.mark.parametrize(
    ("classes", "states"),
    [((SC,), [REFUSED, STORED]), ((), [REFUSED, REFUSED])],
    ids=["no reports", "nothing that is offered"],
)
def test_a_class_that_is_not_accepted_is_parked_with_what_to_change(
    site: Site, classes: tuple[str, ...], states: list[DeliveryState]
) -> None:
    with scripted_pacs(*classes) as picky:
        clock = StandingClock(NOW)
        deliverer = site.deliverer(picky.destination, clock)
        assert deliverer.deliver_some(threading.Event()) == 2
        clock.move(24 * 3600)
        assert deliverer.deliver_some(threading.Event()) == 0
    assert [site.row(uid).state for uid in (REPORT, PICTURE)] == states
    told = site.row(REPORT)
    assert told.status == "class not accepted"
    assert 'set sr_class = "comprehensive" or "enhanced"' in str(told.error)


def test_a_file_that_was_cut_short_is_parked_and_not_sent_as_if_it_were_whole(
    site: Site, pacs: ScriptedPacs
) -> None:
    deliverer = site.deliverer(pacs.destination, StandingClock(NOW))
    path = min(site.settings.result_files.rglob("*.dcm"), key=lambda each: each.stat().st_size)
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    assert deliverer.deliver_some(threading.Event()) == 2
    path.write_bytes(whole)
    assert (site.row(REPORT).state, site.row(PICTURE).state) == (DeliveryState.FAILED, STORED)
    assert f"dicomnode results renew {SERIES} makes it anew" in str(site.row(REPORT).error)
    assert pacs.received == [PICTURE]


def test_two_associations_carry_two_studies_at_a_time_where_a_site_allows_it(
    tmp_path: Path, pacs: ScriptedPacs
) -> None:
    """The first study waits within its C-STORE until the second has been sent."""
    both = threading.Event()

    def answer_when_both_are_there(_event: evt.Event) -> int:
        wait_for(lambda: len(pacs.received) == 2, "the other association brings its object")
        both.set()
        return 0

    pacs.answer = answer_when_both_are_there
    analysed(tmp_path, ("1", SR)).database.close()
    site = analysed(tmp_path, ("2", SR), series=f"{SERIES}.5")
    place = pacs.destination.model_copy(update={"associations": 2})
    settings = site.settings.model_copy(update={"destinations": (place,)})
    stop = threading.Event()
    running = threading.Thread(target=deliverer.run, args=(settings, "node/deliverer/1/", stop))
    running.start()
    assert both.wait(PATIENCE_SECONDS)
    wait_for(lambda: {site.row(each).state for each in (REPORT, PICTURE)} == {STORED}, "all")
    stop.set()
    running.join(PATIENCE_SECONDS)
    assert pacs.associations == 2
    site.database.close()


@pytest.mark.parametrize("own_ca", [True, False], ids=["no TLS there", "no CA file here"])
def test_without_tls_all_waits_whoever_is_at_fault(
    site: Site, tmp_path: Path, own_ca: bool
) -> None:
    """A file that is missing here may be put there while the node runs."""
    ca = tmp_path / "ca.pem"
    if own_ca:
        ca = Authority(tmp_path / "authority", "hospital").certificate
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        place = plain.model_copy(update={"tls": DestinationTls(str(ca))})
        assert site.deliverer(place, StandingClock(NOW)).deliver_some(threading.Event()) == 2
        if not own_ca:
            socket.create_connection((place.address, place.port)).close()
    status, told = ("TLS failed", "") if own_ca else ("a fault on our side", "ca.pem")
    for row in (site.row(REPORT), site.row(PICTURE)):
        assert (row.state, row.status, row.first_tried_at) == (WAITING, status, None)
        assert told in str(row.error)
