"""What is withdrawn is not sent, though the database does not know it, and becomes known to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.cleaner import Cleaner
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.deliverer import Deliverer
from storage.database import Database
from storage.decided import RETRACTED, Withdrawal
from storage.queries import series_detail
from storage.records import RETRACTION_KIND, ResultRecord, SeriesDetail
from storage.result_history import KeptWithdrawal, SentFiles, Withdrawals
from storage.results import ResultFiles
from support.clock import StandingClock
from support.house import POLICY
from support.storage_samples import NOW, SERIES, SR, analyse, queue, receive, result

PEER = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=104)
SET = ("2.25.1", "2.25.2")


@dataclass
class Site:
    """A set of two results, waiting for one destination that takes everything."""

    settings: Settings
    database: Database
    deliverer: Deliverer
    clock: StandingClock
    sent: list[str]
    names: dict[str, str]
    after_send: Callable[[], object] = bool

    def send(self, _association: object, path: Path) -> Outcome:
        self.sent.append(self.names["/".join(path.parts[-3:])])
        self.after_send()
        return Outcome(Ending.STORED, "0x0000", "")

    def stored(self, name: str, kind: str = "sr") -> ResultRecord:
        record = result(name, sop_class_uid=SR)
        path = ResultFiles(self.settings.result_files).store(
            SERIES, record.sop_instance_uid, b"ten bytes."
        )
        return ResultRecord(**vars(record) | {"path": path, "kind": kind})

    def mark(self) -> KeptWithdrawal:
        """As `results retract` does, which is killed before it comes to the database."""
        withdrawal = Withdrawal(NOW, SET, 2, (), "safety", "Rejected")
        kept = KeptWithdrawal(SERIES, withdrawal, {"PACS": self.stored("9", RETRACTION_KIND)})
        Withdrawals(self.settings.result_files).put(kept)
        return kept

    def deliver(self) -> list[str]:
        """What is sent until nothing is due."""
        before = len(self.sent)
        while self.deliverer.deliver_some(threading.Event()):
            continue
        return self.sent[before:]

    def detail(self) -> SeriesDetail:
        with self.database.read() as session:
            found = series_detail(session, SERIES)
        assert found is not None
        return found

    def clean(self, now: datetime = NOW) -> None:
        Cleaner(self.settings, POLICY, self.database).clean(now)


@contextmanager
def associated(_ae: object, _peer: object) -> Iterator[object]:
    yield object()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    settings = Settings(node=NodeSettings(data_directory=tmp_path / "data"))
    database, clock = Database.open(settings.database_url), StandingClock(NOW)
    sent: list[str] = []
    made = Site(settings, database, Deliverer(settings, PEER, "n/d/1/", clock), clock, sent, {})
    receive(database)
    queue(database)
    analyse(database, [made.stored(uid.removeprefix("2.25.")) for uid in SET])
    made.names = {made.stored(name).path: f"2.25.{name}" for name in ("1", "2", "9")}
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.associated", associated)
    monkeypatch.setattr("dicomnode.deliver.dicom_sender.send_instance", made.send)
    yield made
    database.close()


def test_what_stands_is_sent_and_noted_beside_the_files(site: Site) -> None:
    assert site.deliver() == list(SET)
    noted = SentFiles(site.settings.result_files).of_series(SERIES)
    assert {(each.sop_instance_uid, each.destination) for each in noted} == {
        (uid, "PACS") for uid in SET
    }
    assert {each.at for each in noted} == {NOW}


def test_a_withdrawal_that_only_the_files_know_stops_what_waits(site: Site) -> None:
    """No note goes out: the destination has nothing of the set."""
    site.mark()
    assert site.deliver() == []
    detail = site.detail()
    assert {each.error for each in detail.deliveries} == {RETRACTED}
    (entry,) = detail.series.history
    assert isinstance(entry, Withdrawal)
    assert (entry.retracted, entry.notified, entry.decided_at) == (SET, (), NOW)


def test_a_withdrawal_in_the_middle_of_a_batch_stops_the_rest(site: Site) -> None:
    """And its note goes to who has the first object."""
    site.after_send = site.mark
    assert site.deliver() == ["2.25.1", "2.25.9"]


def test_the_cleaner_enters_what_the_database_does_not_know(site: Site) -> None:
    """All was sent, so that no deliverer comes upon it: the note goes out all the same."""
    site.deliver()
    site.mark()
    site.clean()
    site.clean()
    assert len(site.detail().series.history) == 1
    assert site.deliver() == ["2.25.9"]


def test_a_record_that_is_damaged_lets_nothing_of_the_series_go(site: Site) -> None:
    site.mark()
    (record,) = (site.settings.result_files / "withdrawn").rglob("*.json")
    whole = record.read_bytes()
    record.write_bytes(whole[: len(whole) // 2])
    assert site.deliver() == []
    waiting = site.detail().deliveries
    assert all("what is withdrawn cannot be read" in str(each.error) for each in waiting)
    record.write_bytes(whole)
    site.clock.move(timedelta(minutes=6).total_seconds())
    assert site.deliver() == []
    assert {each.error for each in site.detail().deliveries} == {RETRACTED}


def test_retention_takes_what_was_sent_and_leaves_what_is_withdrawn(site: Site) -> None:
    site.deliver()
    site.mark()
    site.clean()
    site.deliver()
    site.clean(datetime(2999, 1, 1, tzinfo=NOW.tzinfo))
    assert site.detail().results == ()
    assert SentFiles(site.settings.result_files).of_series(SERIES) == ()
    assert len(Withdrawals(site.settings.result_files).of_series(SERIES)) == 1


def test_what_a_former_release_withdrew_is_written_beside_the_results(site: Site) -> None:
    """It was in the database alone; what is there already knows more, and stays."""
    kept = site.mark()
    site.clean()
    files = Withdrawals(site.settings.result_files)
    assert files.of_series(SERIES) == (kept,)
    (record,) = (site.settings.result_files / "withdrawn").rglob("*.json")
    record.unlink()
    site.clean()
    (anew,) = files.of_series(SERIES)
    assert (anew.withdrawal.retracted, anew.withdrawal.why) == (SET, "safety")
    site.clean()
    assert files.of_series(SERIES) == (anew,)
