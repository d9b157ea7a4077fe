"""C-MOVE and C-GET with peers that answer as they like."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dicomnode.config.sections import QuerySettings
from dicomnode.decisions.pulling import Answered, Counts, Follow, FoundSeries
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network import retrieve
from dicomnode.pull.archive import DicomArchive
from support.retrieve_scp import RetrieveScp, running_retrieve_scp
from support.wait import PATIENCE_SECONDS

SERIES = FoundSeries("1.2", "1.2.3", "CT")
PENDING = 0xFF00


@pytest.fixture
def scp() -> Iterator[RetrieveScp]:
    with running_retrieve_scp() as running:
        yield running


class Asking:
    """Asks for a series, and notes what it is told on the way."""

    def __init__(self, scp: RetrieveScp, seconds: float = PATIENCE_SECONDS) -> None:
        self.stop, self.told = threading.Event(), list[Counts]()
        settings = QuerySettings(timeout_seconds=PATIENCE_SECONDS, retrieve_timeout_seconds=seconds)
        self.archive = DicomArchive(scp.peer, "CTNODE", settings, self.stop)

    def retrieve(self, *uids: str) -> Answered:
        try:
            return self.archive.retrieve(SERIES, uids, self.told.append)
        finally:
            self.archive.close()


def test_each_response_is_told_with_its_counts(scp: RetrieveScp) -> None:
    def script(scp: RetrieveScp) -> None:
        scp.say(PENDING, Remaining=2, Completed=1, Failed=0, Warning=0)
        scp.say(PENDING)
        scp.say(0xB000, Completed=1, Failed=1, Warning=1)

    scp.script = script
    asking = Asking(scp)
    answer = asking.retrieve()
    assert asking.told == [Counts(2, 1, 0, 0), Counts()]
    assert (answer.follow, answer.counts) == (Follow.PARTLY, Counts(None, 1, 1, 1))
    assert answer.counts.sent == 2
    assert "1 instance failed" in answer.text
    assert scp.destinations == ["CTNODE"]


def test_an_answer_without_any_count_is_one(scp: RetrieveScp) -> None:
    assert Asking(scp).retrieve("1.2.3.1", "1.2.3.2") == Answered(Follow.DONE)


def test_an_unknown_destination_is_told(scp: RetrieveScp) -> None:
    scp.script = lambda scp: scp.say(0xA801)
    answer = Asking(scp).retrieve()
    assert answer.follow is Follow.STOP
    assert "has to enter this node as a destination of C-MOVE: AE title CTNODE" in answer.text


def test_a_peer_that_aborts_is_told(scp: RetrieveScp) -> None:
    def script(scp: RetrieveScp) -> None:
        scp.say(PENDING, Completed=1)
        scp.abort()

    scp.script = script
    asking = Asking(scp)
    with pytest.raises(PeerError) as aborted:
        asking.retrieve()
    assert aborted.value.cause is PeerCause.ABORTED
    assert asking.told == [Counts(completed=1)]


def test_a_peer_that_never_answers_is_left(scp: RetrieveScp) -> None:
    scp.script = RetrieveScp.silent
    with pytest.raises(PeerError) as silent:
        Asking(scp, 0.5).retrieve()
    assert silent.value.cause is PeerCause.NO_ANSWER


def test_a_peer_that_was_left_is_asked_over_another_association(scp: RetrieveScp) -> None:
    scp.script = RetrieveScp.abort
    asking = Asking(scp)
    with pytest.raises(PeerError):
        asking.archive.retrieve(SERIES, (), asking.told.append)
    scp.script = lambda scp: scp.say(0x0000, Completed=3)
    assert asking.retrieve().counts.completed == 3


def test_what_is_stopped_is_cancelled_though_nothing_was_answered_yet(scp: RetrieveScp) -> None:
    asking = Asking(scp)

    def script(scp: RetrieveScp) -> None:
        asking.stop.set()
        scp.wait_for_cancel()
        scp.say(0xFE00, Remaining=5, Completed=2, Failed=0, Warning=0)

    scp.script = script
    answer = asking.retrieve()
    assert (answer.follow, answer.counts.completed) == (Follow.CANCELLED, 2)
    assert scp.cancelled == 1


def test_a_peer_that_does_not_hear_of_the_cancel_is_left(
    scp: RetrieveScp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve, "_CANCEL_SECONDS", 0.2)
    asking = Asking(scp)

    def script(scp: RetrieveScp) -> None:
        asking.stop.set()
        scp.silent()

    scp.script = script
    with pytest.raises(PeerError):
        asking.retrieve()


def test_a_peer_without_the_class_is_told() -> None:
    with running_retrieve_scp("1.2.840.10008.5.1.4.1.2.2.3") as other:
        with pytest.raises(PeerError) as refused:
            Asking(other).retrieve()
        assert refused.value.cause is PeerCause.NOT_ACCEPTED
