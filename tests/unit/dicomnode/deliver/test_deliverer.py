"""The deliverer: what is wrong with one object or one destination holds up no other."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.errors import InvalidDicomError
from sqlalchemy import select, update

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver import deliverer
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.deliver.no_destination import abandon_unknown
from dicomnode.deliver.sender import NoneTakenError
from dicomnode.errors import PeerCause, PeerError
from storage import nodes
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.models import DeliveryRow
from storage.records import DeliveryState
from storage.results import ResultFiles
from support.clock import StandingClock
from support.storage_samples import NOW, SERIES, SR, analyse, queue, receive, result
from support.wait import wait_for

PEER = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=104)


DAMAGED = f"its file is damaged ({{}}): dicomnode results renew {SERIES} makes it anew"


class Outbox:
    """Three results for one destination, and what happens when each is sent."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(node=NodeSettings(data_directory=folder))
        self.database = Database.open(self.settings.database_url)
        files = ResultFiles(self.settings.result_files)
        receive(self.database)
        queue(self.database)
        names = {"1": SR, "2": SR, "3": SR}
        made = [result(name, sop_class_uid=uid) for name, uid in names.items()]
        paths = [files.store(SERIES, each.sop_instance_uid, b"ten bytes.") for each in made]
        given = [replace(each, path=path) for each, path in zip(made, paths, strict=True)]
        analyse(self.database, given)
        self.paths = {each.sop_instance_uid: each.path for each in given}
        self.faults: dict[str, Exception] = {}
        self.sent: list[str] = []
        self.takes: Callable[[], object] = lambda: None
        self.deliverer = Deliverer(self.settings, PEER, "node/deliverer/1/")

    def send(self, _association: object, path: Path) -> Outcome:
        (uid,) = [uid for uid, known in self.paths.items() if path.match(known)]
        self.takes()
        if uid in self.faults:
            raise self.faults[uid]
        self.sent.append(uid)
        return Outcome(Ending.STORED, "0x0000")

    def look(self) -> int:
        return self.deliverer.deliver_some(threading.Event())

    def rows(self) -> dict[str, DeliveryRow]:
        with self.database.read() as session:
            found = {row.sop_instance_uid: row for row in session.scalars(select(DeliveryRow))}
            session.expunge_all()
        return found

    def states(self) -> list[str]:
        rows = self.rows()
        return [rows[uid].state.value for uid in sorted(rows)]

    def make_due(self) -> None:
        with self.database.write() as session:
            session.execute(update(DeliveryRow).values(not_before=datetime.now(UTC)))


@contextmanager
def associated(_ae: object, _peer: object) -> Iterator[object]:
    yield object()


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "data")
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.send_instance", made.send)
    yield made
    made.database.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOENT])
def test_a_file_that_cannot_be_read_just_now_is_sent_later(outbox: Outbox, number: int) -> None:
    outbox.faults["2.25.2"] = OSError(number, os.strerror(number))
    assert outbox.look() == 3
    assert outbox.sent == ["2.25.1", "2.25.3"]
    waiting = outbox.rows()["2.25.2"]
    assert waiting.state is DeliveryState.WAITING
    assert waiting.error == f"its file cannot be read: {os.strerror(number)}"
    outbox.faults.clear()
    outbox.make_due()
    assert outbox.look() == 1
    assert outbox.states() == ["stored"] * 3


def test_attempts_at_a_file_end_in_the_end(outbox: Outbox) -> None:
    outbox.faults["2.25.2"] = OSError(errno.EIO, "Input/output error")
    outbox.look()
    with outbox.database.write() as session:
        long_ago = datetime.now(UTC) - timedelta(days=4)
        session.execute(update(DeliveryRow).values(first_tried_at=long_ago))
    outbox.make_due()
    assert outbox.look() == 1
    assert outbox.rows()["2.25.2"].state is DeliveryState.FAILED


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (InvalidDicomError(), DAMAGED.format("InvalidDicomError")),
        (OSError("pydicom's own"), DAMAGED.format("OSError")),
        (PeerError("cannot be encoded", PeerCause.OURS), "cannot be encoded"),
        (RuntimeError("a library's"), "a fault on our side: RuntimeError"),
        (KeyError("TransferSyntaxUID"), "a fault on our side: KeyError"),
    ],
)
def test_an_object_at_fault_is_given_up_alone_and_says_why(
    outbox: Outbox, fault: Exception, told: str
) -> None:
    outbox.faults["2.25.1"] = fault
    while outbox.look():
        pass
    assert outbox.states() == ["failed", "stored", "stored"]
    assert outbox.rows()["2.25.1"].error == told


def test_a_damaged_file_is_given_up_with_words(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real reading of a file that is no DICOM any more."""
    from dicomnode.deliver import dicom_sender

    monkeypatch.undo()
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)
    assert dicom_sender.send_instance.__module__ == "dicomnode.deliver.dicom_sender"
    while outbox.look():
        pass
    assert outbox.states() == ["failed"] * 3
    assert outbox.rows()["2.25.1"].error == DAMAGED.format("InvalidDicomError")


def test_a_refusal_of_one_is_tried_later(outbox: Outbox) -> None:
    outbox.faults["2.25.1"] = PeerError("C-STORE answered 0xA700", PeerCause.STATUS)
    assert outbox.look() == 3
    assert outbox.states() == ["waiting", "stored", "stored"]


def test_a_fault_of_the_destination_is_tried_later(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_ae: object, _peer: object) -> Any:
        raise ValueError("more than 128 presentation contexts")

    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", broken)
    assert outbox.look() == 3
    assert outbox.states() == ["waiting"] * 3
    assert outbox.rows()["2.25.1"].error == "a fault on our side: ValueError"


def test_a_destination_that_was_renamed_is_told_of_at_start(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    renamed = outbox.settings.model_copy(
        update={"destinations": (PEER.model_copy(update={"name": "NEW PACS"}),)}
    )
    stop = threading.Event()
    stop.set()
    deliverer.run(renamed, "node/deliverer/1/", stop)
    assert outbox.states() == ["waiting"] * 3  # it was asked to stop before it looked
    abandon_unknown(renamed, NOW)
    assert outbox.states() == ["abandoned"] * 3
    (line,) = caplog.messages
    assert line.startswith("PACS is no destination any more: 3 deliveries to it are abandoned")
    abandon_unknown(renamed, NOW)
    assert len(caplog.messages) == 1


def test_what_another_node_still_sends_to_is_not_abandoned(outbox: Outbox) -> None:
    """Its configuration is newer, or older, and it is on its way."""
    renamed = outbox.settings.model_copy(
        update={"destinations": (PEER.model_copy(update={"name": "NEW PACS"}),)}
    )

    def after(told: str | None) -> list[str]:
        parts = {} if told is None else {"destinations": told}
        with outbox.database.write() as session:
            nodes.join(session, "other", "ct-2", True, NOW)
            nodes.tell_equipment(session, "other", parts, "digest", receives=True)
        abandon_unknown(renamed, NOW)
        return outbox.states()

    assert after(None) == ["waiting"] * 3, "it has not told"
    assert after('["ARCHIVE", "PACS"]') == ["waiting"] * 3
    assert after('["ARCHIVE"]') == ["abandoned"] * 3


def away(_ae: object, _peer: object) -> Any:
    raise PeerError("PACS cannot be reached: Connection refused", PeerCause.UNREACHABLE)


def test_a_destination_that_is_away_is_tried_now_and_then_for_all_that_waits(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two weeks: nothing is given up, and what was held goes out with the first that arrives."""
    caplog.set_level("INFO")
    clock = by_the_clock(outbox)
    longest = outbox.settings.delivery.retry.longest_probe_seconds * 1.2
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", away)
    for _ in range(50):
        assert outbox.look() == 3
        rows = outbox.rows().values()
        assert {each.attempt for each in rows} == {1}
        assert outbox.look() == 0  # not before the next time
        clock.move(longest)
    clock.move(14 * 24 * 3600)
    assert outbox.look() == 3
    assert {(e.status, e.error) for e in outbox.rows().values()} == {
        ("no connection", "PACS cannot be reached: Connection refused")
    }
    clock.move(longest)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)
    assert outbox.look() == 3
    assert outbox.states() == ["stored"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "delivery to PACS waits: PACS cannot be reached: Connection refused",
        "delivery to PACS goes on; 0 objects were held",
        "study 1.2.826.1.1 to PACS: 3 objects stored (0x0000) in 0.0 s; without its promise",
    ]


def test_what_one_node_cannot_reach_another_sends_at_once(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = outbox.settings.node.model_copy(update={"shares_database": True})
    settings = outbox.settings.model_copy(update={"node": shared})
    clock = StandingClock(NOW)
    cut, other = (Deliverer(settings, PEER, f"{e}/deliverer/1/", clock) for e in ("cut", "other"))
    stop = threading.Event()
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", away)
    assert cut.deliver_some(stop) == 3
    assert {(each.state.value, each.status) for each in outbox.rows().values()} == {
        ("waiting", "no connection")
    }
    assert cut.deliver_some(stop) == 0, "it tries no more for a while"
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)
    assert cut.deliver_some(stop) == 0
    assert other.deliver_some(stop) == 3
    assert outbox.states() == ["stored"] * 3
    assert {each.attempt for each in outbox.rows().values()} == {2}


def test_a_destination_is_sent_no_more_objects_in_a_minute_than_it_may_be(outbox: Outbox) -> None:
    clock = StandingClock(NOW)
    slow = PEER.model_copy(update={"objects_per_minute": 2})
    outbox.deliverer = Deliverer(outbox.settings, slow, "node/deliverer/1/", clock)
    assert (outbox.look(), outbox.look()) == (2, 0)
    clock.move(59)
    assert outbox.look() == 0
    clock.move(1)
    assert outbox.look() == 1
    assert outbox.states() == ["stored"] * 3


def test_an_object_that_breaks_the_association_stops_no_other(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.faults["2.25.1"] = PeerError("PACS aborted the association", PeerCause.ABORTED)
    assert outbox.look() == 3
    assert outbox.states() == ["waiting", "stored", "stored"]
    waiting = outbox.rows()["2.25.1"]
    assert (waiting.status, waiting.attempt) == ("aborted", 1)
    assert waiting.first_tried_at is not None
    assert "waits" not in caplog.text


def test_a_peer_that_breaks_one_association_after_the_other_is_away(outbox: Outbox) -> None:
    fault = PeerError("PACS aborted the association", PeerCause.ABORTED)
    outbox.faults |= {"2.25.1": fault, "2.25.2": fault}
    assert outbox.look() == 3
    assert outbox.states() == ["waiting"] * 3
    assert outbox.sent == []
    rows = outbox.rows()
    assert [rows[f"2.25.{n}"].first_tried_at is None for n in (1, 2, 3)] == [False, False, True]


def by_the_clock(outbox: Outbox, seconds_each: float = 0.0) -> StandingClock:
    """Sending takes so long by a clock that stands else."""
    clock = StandingClock(NOW)
    outbox.deliverer = Deliverer(outbox.settings, PEER, "node/deliverer/1/", clock)
    outbox.takes = lambda: clock.move(seconds_each)
    return clock


def refuses_all(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, *names: str
) -> list[tuple[str, int, datetime | None]]:
    """What became of each after an hour in which a server said at these that it takes none."""
    fault = NoneTakenError(Outcome(Ending.AGAIN, "HTTP 403", "not allowed"), PeerCause.STATUS)
    outbox.faults |= dict.fromkeys(names, fault)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender._OF_THE_OBJECT", ())
    clock = by_the_clock(outbox)
    for _ in range(60):
        outbox.look()
        clock.move(60)
    rows = sorted(outbox.rows().items())
    return [(row.state.value, row.attempt, row.first_tried_at) for _, row in rows]


def test_an_object_at_which_a_server_refuses_all_stops_no_other(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = refuses_all(outbox, monkeypatch, "2.25.1")
    assert [state for state, _, _ in others] == ["stored", "stored"]
    assert (first[0], first[2]) == ("waiting", NOW)
    assert first[1] > 5


def test_a_server_that_refuses_all_at_every_object_is_away(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is ever given up for it: the time to do so begins anew."""
    found = refuses_all(outbox, monkeypatch, "2.25.1", "2.25.2", "2.25.3")
    assert [state for state, _, _ in found] == ["waiting"] * 3
    since = [tried for _, _, tried in found if tried is not None]
    assert all(tried > NOW + timedelta(minutes=50) for tried in since)


def test_what_arrived_while_the_database_went_away_is_not_taken_for_failed(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = by_the_clock(outbox)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", away)
    outbox.look()
    clock.move(60)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)

    def locked(*_arguments: object) -> int:
        raise DatabaseUnavailableError("url", "locked")

    with monkeypatch.context() as broken:
        broken.setattr("storage.outbox.wake_deliveries", locked)
        with pytest.raises(DatabaseUnavailableError):
            outbox.look()
    assert outbox.states() == ["sending"] * 3
    clock.move(outbox.settings.delivery.lease_seconds)
    assert outbox.look() == 3
    assert outbox.states() == ["stored"] * 3


def test_what_was_delivered_was_so_when_it_had_been_sent(outbox: Outbox) -> None:
    by_the_clock(outbox, 10)
    assert outbox.look() == 3
    rows = outbox.rows()
    times = [rows[f"2.25.{n}"].stored_at for n in (1, 2, 3)]
    assert times == [NOW + timedelta(seconds=each) for each in (10, 20, 30)]


def test_what_could_not_be_sent_is_due_after_the_first_delay_and_not_before(
    outbox: Outbox,
) -> None:
    clock = by_the_clock(outbox)
    outbox.faults["2.25.2"] = PeerError("C-STORE answered 0xA700", PeerCause.STATUS)
    assert outbox.look() == 3
    wait = (outbox.rows()["2.25.2"].not_before - NOW).total_seconds()
    retry = outbox.settings.delivery.retry
    longest = retry.first_delay_seconds * (1 + retry.jitter_share)
    assert retry.first_delay_seconds <= wait <= longest
    clock.move(wait - 0.1)
    assert outbox.look() == 0
    clock.move(0.1)
    assert outbox.look() == 1


def test_a_slow_peer_costs_no_lease_of_what_waits(outbox: Outbox) -> None:
    """A third of a lease after the claim the rest is held for longer."""
    clock = by_the_clock(outbox, 50)
    leases = list[datetime | None]()
    send = outbox.takes

    def takes() -> None:
        leases.append(outbox.rows()["2.25.3"].lease_until)
        send()

    outbox.takes = takes
    assert outbox.look() == 3
    lease = timedelta(seconds=outbox.settings.delivery.lease_seconds)
    renewed = NOW + timedelta(seconds=50) + lease
    assert leases == [NOW + lease, renewed, renewed + timedelta(seconds=50)]
    assert clock.seconds() == 150


def test_who_was_stopped_until_others_had_its_lease_sends_nothing_more(outbox: Outbox) -> None:
    """It wakes up amid the first object: this one goes out once more, with the same bytes."""
    clock = by_the_clock(outbox)
    others = Deliverer(outbox.settings, PEER, "other/deliverer/1/", clock)
    first = [True]

    def takes() -> None:
        if first:
            first.clear()
            clock.move(outbox.settings.delivery.lease_seconds + 1)
            assert others.deliver_some(threading.Event()) == 3

    outbox.takes = takes
    assert outbox.look() == 3
    assert outbox.sent == ["2.25.1", "2.25.2", "2.25.3", "2.25.1"]
    assert outbox.states() == ["stored"] * 3


def looks(outcomes: list[Exception | None], stop: threading.Event) -> Callable[..., int]:
    def look(_stop: threading.Event) -> int:
        outcome = outcomes.pop(0) if outcomes else None
        if not outcomes:
            stop.set()
        if outcome is not None:
            raise outcome
        return 0

    return look


def test_the_thread_of_a_destination_outlives_its_faults_and_tells_an_outage_once(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("dicomnode.deliver.deliverer._LOOK_SECONDS", 0.0)
    monkeypatch.setattr("dicomnode.deliver.deliverer._FAULT_SECONDS", 0.0)
    away = DatabaseUnavailableError("url", "away")
    stop = threading.Event()
    outcomes: list[Exception | None] = [away, away, away, None, RuntimeError("unforeseen"), None]
    monkeypatch.setattr(outbox.deliverer, "deliver_some", looks(outcomes, stop))
    thread = threading.Thread(target=outbox.deliverer.run, args=(stop,))
    thread.start()
    wait_for(lambda: not thread.is_alive(), "it ends when asked to")
    assert [record.getMessage() for record in caplog.records] == [
        "delivery to PACS waits: url: away",
        "delivery to PACS goes on",
        "delivery to PACS goes on in a while",
    ]
