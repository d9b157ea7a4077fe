"""Storage commitment over real sockets: a PACS that promises, late, twice, wrongly or never."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom import _config, evt

from dicomnode.commitment.asking import FOUND, NO_PROOF, NOT_FOUND, Asker
from dicomnode.commitment.reports import Reports
from dicomnode.config.destinations import Destination, Peer
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.fast_scp.association import PlainRequestHandler
from dicomnode.network.associations import (
    Handler,
    accept_storage_commitment,
    application_entity,
    listen,
)
from dicomnode.network.listeners import bind_listener
from storage import commitment_requests as requests
from storage.database import Database
from storage.queries import series_detail
from storage.records import DeliveryRecord
from storage.results import ResultFiles
from support.clock import StandingClock
from support.commitment_pacs import (
    CommitmentPacs,
    Told,
    honest,
    report_to,
    running_commitment_pacs,
    silent,
)
from support.receiver import Receiver, running_receiver
from support.secondary_capture import secondary_capture
from support.storage_samples import SERIES, STUDY, analyse, queue, receive, result
from support.wait import wait_for

OBJECTS = 3
PORT = Destination(name="pacs", ae_title="TESTPACS", address="127.0.0.1", port=1)


class House:
    """A node with three results for one PACS: its deliverer and its asker, at any moment."""

    def __init__(self, receiver: Receiver, pacs: CommitmentPacs) -> None:
        self.receiver, self.pacs = receiver, pacs
        pacs.node = receiver.peer
        self.database: Database = receiver.database
        self.settings = Settings(
            node=NodeSettings(data_directory=receiver.folder), destinations=(pacs.destination,)
        )
        self.clock = StandingClock(datetime.now(UTC))
        files = ResultFiles(self.settings.result_files)
        receive(self.database)
        queue(self.database)
        made = [result(str(number)) for number in range(OBJECTS)]
        paths = [
            files.store(SERIES, each.sop_instance_uid, secondary_capture(each.sop_instance_uid))
            for each in made
        ]
        kept = [
            type(each)(**(vars(each) | {"path": path}))
            for each, path in zip(made, paths, strict=True)
        ]
        analyse(self.database, kept, ["pacs"])
        self.deliverer = Deliverer(self.settings, pacs.destination, "node/d/1/", self.clock)
        self.asker = Asker(self.settings, pacs.destination, self.clock, hold_seconds=0.0)

    def deliver(self) -> int:
        return self.deliverer.deliver_some(threading.Event())

    def ask(self, later: float = 2.0) -> int:
        """A look so many seconds later."""
        self.clock.move(later)
        return self.asker.look(threading.Event())

    def deliveries(self) -> tuple[DeliveryRecord, ...]:
        with self.database.read() as session:
            detail = series_detail(session, SERIES)
        assert detail is not None
        return detail.deliveries

    def states(self) -> set[str]:
        return {each.state.value for each in self.deliveries()}

    def wait_for_states(self, *states: str) -> None:
        wait_for(lambda: self.states() == set(states), f"the deliveries are {states}")

    def errors(self) -> set[str | None]:
        return {each.error for each in self.deliveries()}

    def transactions(self) -> set[str]:
        with self.database.read() as session:
            found = requests.awaited_of_study(session, "pacs", STUDY, self.clock.now())
        return {each.transaction_uid or "" for each in found}


@contextmanager
def running_house(folder: Path, pacs: CommitmentPacs) -> Iterator[House]:
    with running_receiver(folder, ReceiveSettings(), [pacs.destination]) as receiver:
        yield House(receiver, pacs)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    with running_commitment_pacs() as pacs, running_house(tmp_path / "node", pacs) as house:
        yield house


def test_what_a_pacs_promises_to_keep_is_committed(house: House) -> None:
    assert house.deliver() == OBJECTS
    assert house.states() == {"stored"}
    assert not any(each.arrived for each in house.deliveries())
    assert house.ask(later=1.0) == 0  # the study may not be whole yet
    assert house.ask() == 1
    house.wait_for_states("committed")
    assert all(each.arrived for each in house.deliveries())
    assert house.ask(later=10_000) == 0
    wait_for(lambda: house.pacs.answers == [0x0000], "the report is answered")


@contextmanager
def another_node(house: House) -> Iterator[Peer]:
    """The port of one that works on the same database."""
    ae, listener = application_entity("OTHERNODE"), bind_listener(("127.0.0.1", 0))
    accept_storage_commitment(ae)
    with closing(Database.open(house.settings.database_url)) as database:
        reports = Reports(house.settings, database)
        handlers: dict[Any, Handler] = {evt.EVT_N_EVENT_REPORT: reports.on_report}
        listen(ae, listener, handlers, acceptor=PlainRequestHandler)
        port = listener.getsockname()[1]
        try:
            yield Peer(name="other", ae_title="OTHERNODE", address="127.0.0.1", port=port)
        finally:
            ae.shutdown()


def test_a_report_that_comes_to_another_node_than_asked_counts(house: House) -> None:
    with another_node(house) as house.pacs.node:
        house.deliver()
        house.ask()
        house.wait_for_states("committed")
        wait_for(lambda: house.pacs.answers == [0x0000], "the report is answered")


def test_a_report_over_the_association_that_asked(house: House) -> None:
    house.pacs.same = True
    house.asker._hold_seconds = 30.0
    house.deliver()
    house.ask()
    assert house.states() == {"committed"}  # the look ends when it has come
    wait_for(lambda: house.pacs.answers == [0x0000], "the report is answered")


def test_a_lost_report_is_asked_for_again_under_a_new_transaction(house: House) -> None:
    house.pacs.script = silent
    house.deliver()
    house.ask()
    assert house.ask(later=599) == 0
    assert house.ask(later=2) == 1
    assert house.ask(later=1199) == 0  # twice as long
    house.pacs.script = honest
    assert house.ask(later=2) == 1
    house.wait_for_states("committed")
    assert len(set(house.pacs.asked)) == len(house.pacs.asked) == 3


def test_who_never_reports_is_asked_by_c_find(house: House) -> None:
    house.pacs.script = silent
    house.deliver()
    for _ in range(4):
        assert house.ask(later=10_000) == 1
    assert house.states() == {"stored"}
    assert not any(each.arrived for each in house.deliveries())
    house.ask(later=10_000)
    assert (house.states(), house.errors()) == ({"stored"}, {FOUND})
    assert all(each.arrived for each in house.deliveries())
    assert len(house.pacs.asked) == 4


def test_a_late_report_counts_still(house: House) -> None:
    house.pacs.script = silent
    house.deliver()
    house.ask()
    house.ask(later=601)
    objects = [(str(SecondaryCaptureImageStorage), f"2.25.{n}") for n in range(OBJECTS)]
    assert house.pacs.report((house.pacs.asked[0], objects, [])) == 0x0000
    assert house.states() == {"committed"}


def test_what_is_not_there_is_sent_again(house: House) -> None:
    house.pacs.forgets = True
    house.deliver()
    house.pacs.forgets = False
    house.ask()
    house.wait_for_states("waiting")
    (error,) = house.errors()
    assert error == "no promise to keep it, 0x0112, it is not there"
    assert {each.status for each in house.deliveries()} == {"0x0112"}
    house.clock.move(15)
    assert house.deliver() == OBJECTS
    house.ask()
    house.wait_for_states("committed")
    assert house.pacs.stores == 2 * OBJECTS
    assert house.errors() == {None}


def test_a_class_that_it_does_not_keep_is_parked_with_what_to_change(house: House) -> None:
    def refuses(_pacs: CommitmentPacs, uid: str, objects: list[tuple[str, str]]) -> list[Told]:
        return [(uid, objects[1:], [(objects[0], 0x0122)])]

    house.pacs.script = refuses
    house.deliver()
    house.ask()
    house.wait_for_states("refused", "committed")
    (parked,) = [each for each in house.deliveries() if each.state.value == "refused"]
    assert parked.status == "0x0122"
    assert "storage_commitment = false" in (parked.error or "")


def test_reports_that_are_wrong_harm_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.pacs.script = silent
    house.deliver()
    house.ask()
    uid, node = house.pacs.asked[0], house.receiver.peer
    objects = [(str(SecondaryCaptureImageStorage), f"2.25.{n}") for n in range(OBJECTS)]
    assert report_to(node, ("2.25.1234", objects, []), "TESTPACS") == 0x0115  # unknown
    assert report_to(node, (uid, objects, []), "STRANGER") == 0x0115  # not its own
    assert report_to(node, ("", objects, []), "TESTPACS") == 0x0115
    assert house.states() == {"stored"}
    others = [(str(SecondaryCaptureImageStorage), "2.25.77")]
    assert report_to(node, (uid, others, [(("1.2", "2.25.78"), 0x0112)]), "TESTPACS") == 0x0000
    assert house.states() == {"stored"}
    assert "2 objects that are not awaited" in caplog.text
    assert report_to(node, (uid, objects, []), "TESTPACS", role=False) == 0x0000
    assert house.states() == {"committed"}
    lost = [(each, 0x0112) for each in objects]
    assert report_to(node, (uid, [], lost), "TESTPACS") == 0x0000  # twice, and otherwise
    assert house.states() == {"committed"}
    assert "which was reported on before" in caplog.text


@pytest.mark.parametrize("status", [0x0110, None])
def test_a_request_that_is_refused_is_made_again(house: House, status: int | None) -> None:
    house.pacs.action_status = status
    house.deliver()
    house.ask()
    assert house.states() == {"stored"}
    house.pacs.action_status = 0x0000
    assert house.ask(later=601) == 1
    house.wait_for_states("committed")


def test_a_peer_without_the_action_is_asked_by_c_find_at_once(house: House) -> None:
    house.pacs.action_status = 0x0211
    house.deliver()
    house.ask()
    assert (house.states(), house.errors()) == ({"stored"}, {FOUND})


def test_a_peer_that_is_away_is_asked_later(house: House) -> None:
    house.deliver()
    away = house.settings.dicom_destinations[0].model_copy(update={"port": 1})
    asker = Asker(house.settings, away, house.clock, hold_seconds=0.0)
    house.clock.move(2)
    assert asker.look(threading.Event()) == 1
    assert asker.look(threading.Event()) == 0
    assert house.ask(later=15) == 1
    house.wait_for_states("committed")


@pytest.mark.parametrize("find", [True, False])
def test_a_peer_without_storage_commitment(
    tmp_path: Path,
    find: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    with (
        running_commitment_pacs(commitment=False, find=find) as pacs,
        running_house(tmp_path / "node", pacs) as house,
    ):
        house.deliver()
        house.ask()
        assert all(each.arrived for each in house.deliveries())
        (words,) = house.errors()
        assert (words or "").startswith(FOUND if find else NO_PROOF)
        assert caplog.text.count("accepts no storage commitment") == 1


def test_what_c_find_does_not_find_is_sent_again_and_told(house: House) -> None:
    house.pacs.action_status, house.pacs.forgets = 0x0211, True
    house.deliver()
    house.ask()
    assert house.states() == {"stored"}  # it may be on its way into the archive
    house.ask(later=601)
    assert (house.states(), house.errors()) == ({"waiting"}, {NOT_FOUND})


def test_a_peer_that_refuses_c_find_leaves_it_stored(house: House) -> None:
    house.pacs.action_status, house.pacs.find_status = 0x0211, 0xA700
    house.deliver()
    house.ask()
    (words,) = house.errors()
    assert words == f"{NO_PROOF} (C-FIND answered 0xA700)"
    assert all(each.arrived for each in house.deliveries())
