"""A peer that asks whether we hold what it sent gets a true answer, wherever it waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
)
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from dicomnode.commitment import answering
from dicomnode.commitment.data_sets import action_information
from dicomnode.commitment.reporting import Reporter
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.network.associations import (
    application_entity,
    associated,
    listen,
    requestor,
)
from dicomnode.network.listeners import bind_listener
from storage import commitment_answers as answers
from storage.commitment_answers import OwedReport
from support.clock import StandingClock
from support.phantom import write_series
from support.receiver import Receiver
from support.wait import wait_for

CT, OTHER_CLASS = str(CTImageStorage), "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Asked:
    """A modality: what was reported to it, as SOP Instance UIDs and reasons by transaction."""

    reports: dict[str, tuple[int, set[str], dict[str, int]]] = field(default_factory=dict)
    roles: list[bool] = field(default_factory=list)
    answer: int = 0x0000

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        told = event.event_information
        committed = {str(e.ReferencedSOPInstanceUID) for e in told.get("ReferencedSOPSequence", [])}
        failed = {
            str(each.ReferencedSOPInstanceUID): int(each.FailureReason)
            for each in told.get("FailedSOPSequence", [])
        }
        self.reports[str(told.TransactionUID)] = event.event_type or 0, committed, failed
        return self.answer, None


@contextmanager
def asking(receiver: Receiver, modality: Asked, title: str = "SCANNER") -> Iterator[Association]:
    contexts = [build_context(StorageCommitmentPushModel)]
    contexts.append(build_context(CTImageStorage, ExplicitVRLittleEndian))
    handlers = {evt.EVT_N_EVENT_REPORT: modality.on_report}
    with associated(requestor(title, contexts, 20.0), receiver.peer, handlers) as association:
        yield association


def ask(
    association: Association,
    uid: str,
    *objects: tuple[str, str],
    action: int = 1,
    instance: str = StorageCommitmentPushModelInstance,
    data_set: Dataset | None = None,
) -> int | None:
    information = action_information(uid, objects) if data_set is None else data_set
    status, _ = association.send_n_action(information, action, StorageCommitmentPushModel, instance)
    found: int | None = status.get("Status")
    return found


def uids(files: list[Path]) -> list[str]:
    return [str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files]


def owed(receiver: Receiver) -> tuple[OwedReport, ...]:
    with receiver.database.read() as session:
        return answers.list_owed(session)


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 0.6)


@pytest.fixture
def sent(receiver: Receiver, tmp_path: Path) -> list[str]:
    files = write_series(tmp_path / "series", 3)
    assert receiver.send(*files) == [0x0000] * 3
    return uids(files)


def test_it_is_told_over_its_own_association_what_we_hold(
    receiver: Receiver, sent: list[str]
) -> None:
    modality = Asked()
    objects = [(CT, each) for each in sent]
    with asking(receiver, modality) as association:
        assert ask(association, "2.25.1", *objects) == 0x0000
        wait_for(lambda: modality.reports, "the report came")
        assert modality.reports == {"2.25.1": (1, set(sent), {})}
        wrong = [(CT, sent[0]), (OTHER_CLASS, sent[1]), (CT, "2.25.99")]
        assert ask(association, "2.25.2", *wrong) == 0x0000
        wait_for(lambda: len(modality.reports) == 2, "the second report came")
    assert modality.reports["2.25.2"] == (2, {sent[0]}, {sent[1]: 0x0119, "2.25.99": 0x0112})
    wait_for(lambda: [each.failed for each in owed(receiver)] == [2, 0], "both are noted")


def test_who_goes_on_storing_is_not_interrupted_by_its_report(
    receiver: Receiver, sent: list[str], tmp_path: Path
) -> None:
    modality, files = Asked(), write_series(tmp_path / "more", 12)
    with asking(receiver, modality) as association:
        assert ask(association, "2.25.1", (CT, sent[0])) == 0x0000
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert [association.send_c_store(file).get("Status") for file in files] == [0] * 12
        assert modality.reports == {}
        wait_for(lambda: modality.reports, "the report came")
    assert modality.reports == {"2.25.1": (1, {sent[0]}, {})}


@contextmanager
def listening(modality: Asked) -> Iterator[Destination]:
    """Where it takes its reports, if the node asks for the role of an SCP."""
    ae = application_entity("SCANNER")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def on_accepted(event: evt.Event) -> None:
        modality.roles += [each.as_scu is True for each in event.assoc.accepted_contexts]

    listen(
        ae,
        listener,
        {evt.EVT_N_EVENT_REPORT: modality.on_report, evt.EVT_ACCEPTED: on_accepted},
    )
    yield Destination(name="scanner", ae_title="SCANNER", address="127.0.0.1", port=port)
    ae.shutdown()


def reporter(receiver: Receiver, *peers: Destination) -> tuple[Reporter, StandingClock]:
    node = NodeSettings(data_directory=receiver.folder)
    clock = StandingClock(datetime.now(UTC))
    return Reporter(Settings(node=node, destinations=peers), clock), clock


def test_who_has_gone_is_told_over_another_association(receiver: Receiver, sent: list[str]) -> None:
    modality = Asked(answer=0x0110)
    with listening(modality) as place:
        with asking(receiver, modality) as association:
            assert ask(association, "2.25.1", (CT, sent[0]), (CT, "2.25.99")) == 0x0000
        working, clock = reporter(receiver, place)
        wait_for(lambda: owed(receiver)[0].not_before < datetime.now(UTC), "it is handed over")  # type: ignore[operator]
        clock.move(5)
        assert working.look()
        assert owed(receiver)[0].error == "the report was answered with 0x0110"
        modality.answer = 0x0000
        clock.move(15)
        assert working.look()
        assert not working.look()
    assert modality.reports == {"2.25.1": (2, {sent[0]}, {"2.25.99": 0x0112})}
    assert modality.roles == [True, True]
    assert [each.failed for each in owed(receiver)] == [1]


def test_who_has_no_address_is_named(
    receiver: Receiver, sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with receiver.database.write() as session:
        now = datetime.now(UTC)
        answers.enter(session, OwedReport("NOBODY", "2.25.1", ((CT, sent[0]),), now, 0, now))
    working, clock = reporter(receiver)
    clock.move(5)
    assert working.look()
    error = "no destination or peer is configured with the AE title NOBODY"
    assert owed(receiver)[0].error == error
    assert error in caplog.text
    clock.move(4 * 86400)
    assert working.look()
    assert owed(receiver)[0].not_before is None  # given up
    assert not working.look()


def test_what_is_on_the_disk_counts_though_the_index_does_not_know_it(
    receiver: Receiver, sent: list[str]
) -> None:
    wait_for(lambda: len(held(receiver, sent)) == 3, "all are indexed")
    with receiver.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM instance")
    modality = Asked()
    with asking(receiver, modality) as association:
        objects = [(CT, each) for each in sent]
        assert ask(association, "2.25.1", *objects, (CT, "2.25.99")) == 0x0000
        wait_for(lambda: modality.reports, "the report came")
    assert modality.reports["2.25.1"] == (2, set(sent), {"2.25.99": 0x0112})


def test_a_file_that_is_gone_is_not_held(receiver: Receiver, sent: list[str]) -> None:
    wait_for(lambda: len(held(receiver, sent)) == 3, "all are indexed")
    for path in list(receiver.files.iter_paths()):
        receiver.files.remove(path)
    modality = Asked()
    with asking(receiver, modality) as association:
        assert ask(association, "2.25.1", (CT, sent[0])) == 0x0000
        wait_for(lambda: modality.reports, "the report came")
    assert modality.reports["2.25.1"] == (2, set(), {sent[0]: 0x0112})


def held(receiver: Receiver, sent: list[str]) -> dict[str, object]:
    with receiver.database.read() as session:
        return dict(answers.held_instances(session, sent))


def test_requests_that_are_none_are_answered_so(receiver: Receiver) -> None:
    nameless, no_objects, half = Dataset(), Dataset(), Dataset()
    nameless.PatientID = "1"
    no_objects.TransactionUID = half.TransactionUID = "2.25.1"
    half.ReferencedSOPSequence = [Dataset()]
    half.ReferencedSOPSequence[0].ReferencedSOPClassUID = CT
    with asking(receiver, Asked()) as association:
        assert ask(association, "2.25.1", (CT, "1.2"), action=2) == 0x0123
        assert ask(association, "2.25.1", (CT, "1.2"), instance="1.2.3") == 0x0112
        for each in (nameless, no_objects, half):
            assert ask(association, "", data_set=each) == 0x0115
        assert ask(association, "2.25.1", (CT, "1.2")) == 0x0000
    assert len(owed(receiver)) == 1


def test_a_request_without_end_is_not_kept_in_memory(receiver: Receiver) -> None:
    endless = Dataset()
    endless.add_new(0x00420011, "OB", bytes(34_000_000))
    with asking(receiver, Asked()) as association:
        assert ask(association, "", data_set=endless) is None
        wait_for(lambda: association.is_aborted, "it is aborted")


def test_no_deflated_request_is_taken(receiver: Receiver) -> None:
    """What is a megabyte on the network may be gigabytes in memory."""
    context = build_context(StorageCommitmentPushModel, DeflatedExplicitVRLittleEndian)
    echo = build_context(Verification)
    with associated(requestor("SCANNER", [context, echo], 20.0), receiver.peer) as association:
        assert [each.abstract_syntax for each in association.accepted_contexts] == [Verification]


def test_two_threads_of_the_same_request_are_one(receiver: Receiver, sent: list[str]) -> None:
    modality = Asked()

    def once() -> None:
        with asking(receiver, modality) as association:
            assert ask(association, "2.25.1", (CT, sent[0])) == 0x0000
            wait_for(lambda: modality.reports, "the report came")

    threads = [threading.Thread(target=once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owed(receiver)) == 1
