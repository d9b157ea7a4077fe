"""C-FIND for the number of instances: real archives, and peers that answer as they like."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.assess.pacs_counts import PacsCounts
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import QuerySettings
from dicomnode.decisions.arrival.arrival_evidence import PacsCount
from dicomnode.dicom_files.identity import identify_file
from dicomnode.errors import PeerError
from dicomnode.network.associations import associated, requestor
from dicomnode.network.count_query import CONTEXTS, CountQuery, SeriesCount
from support.audit_file import event_of, messages, recording, studies_of
from support.find_scp import FindScp, match, running_dcmqrscp, running_find_scp, running_qrscp
from support.node import free_port
from support.orthanc import running_orthanc
from support.phantom import write_series
from support.wait import SLOWER, wait_for

STUDY, SERIES = "1.2.3", "1.2.3.4"
QUICK = QuerySettings(timeout_seconds=1.0, every_seconds=0.5)


@pytest.fixture
def scp() -> Iterator[FindScp]:
    with running_find_scp() as running:
        yield running


def ask(
    peer: Destination, study: str = STUDY, series: str = SERIES, most: int = 5000
) -> SeriesCount:
    with associated(requestor("TESTER", CONTEXTS, 2.0), peer) as association:
        return CountQuery(association, 2.0, most).count(study, series)


def images(count: int) -> list[Dataset]:
    return [match(SERIES, SOPInstanceUID=f"{SERIES}.{number}") for number in range(count)]


def test_orthanc_counts_a_series(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 7)
    identity = identify_file(files[0])[0]
    node = Destination(name="n", ae_title="TESTER", address="127.0.0.1", port=free_port())
    with running_orthanc(tmp_path / "orthanc", node) as orthanc:
        for file in files:
            orthanc.upload(file)
        uids = identity.study_instance_uid, identity.series_instance_uid
        assert ask(orthanc.peer, *uids) == SeriesCount(7, "C-FIND at SERIES level")
        assert ask(orthanc.peer, uids[0], "1.2.3").count == 0


def test_dcmqrscp_does_not_count_and_its_matches_are_counted(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 7)
    identity = identify_file(files[0])[0]
    with running_dcmqrscp(tmp_path / "archive", files) as peer:
        uids = identity.study_instance_uid, identity.series_instance_uid
        assert ask(peer, *uids) == SeriesCount(7, "matches of C-FIND at IMAGE level")
        assert ask(peer, *uids, most=3) == SeriesCount(
            3, "matches of C-FIND at IMAGE level", at_least=True
        )


def test_qrscp_of_pynetdicom_answers_an_image_each_and_its_matches_are_counted(
    tmp_path: Path,
) -> None:
    files = write_series(tmp_path / "ct", 7)
    identity = identify_file(files[0])[0]
    with running_qrscp(tmp_path / "archive", files) as peer:
        uids = identity.study_instance_uid, identity.series_instance_uid
        assert ask(peer, *uids) == SeriesCount(7, "matches of C-FIND at IMAGE level")
        assert ask(peer, uids[0], "1.2.3").count == 0


def test_too_many_matches_are_cancelled(scp: FindScp) -> None:
    """What was sent before the peer heard of it is let pass."""
    scp.series, scp.images, scp.cancel_after = [match(SERIES)], images(50), 1 + 30
    found = ask(scp.destination, most=20)
    assert (found.count, found.at_least) == (20, True)
    assert scp.cancelled


def test_a_peer_that_goes_on_after_the_cancel_is_left_in_the_end(scp: FindScp) -> None:
    scp.series, scp.images = [match(SERIES)], images(50)
    scp.pause_after = 1 + 30
    assert ask(scp.destination, most=20).at_least
    assert scp.given == 31


@pytest.mark.parametrize("value", ["", "many", "-4", "7.5", "1e99"])
def test_a_count_that_is_none_is_counted(scp: FindScp, value: str) -> None:
    answer = match(SERIES)
    answer.add_new(0x00201209, "LO", value)
    scp.series, scp.images = [answer], images(5)
    assert ask(scp.destination).count == 5
    assert scp.asked == ["SERIES", "IMAGE"]


def test_other_series_and_repeated_instances_in_the_answer_do_not_count(scp: FindScp) -> None:
    scp.series = [match("1.9", NumberOfSeriesRelatedInstances=99), match(SERIES)]
    scp.images = images(3) + images(3) + [match("1.9", SOPInstanceUID="1.9.1"), match(SERIES)]
    assert ask(scp.destination).count == 3


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0x0122])
def test_a_failure_is_told_with_its_status(scp: FindScp, status: int) -> None:
    scp.status = status
    with pytest.raises(PeerError, match=f"0x{status:04X}"):
        ask(scp.destination)


def test_a_peer_that_never_answers_ends_the_query(scp: FindScp) -> None:
    scp.go_on.clear()
    began = time.monotonic()
    with pytest.raises(PeerError, match="not answered within 2 s"):
        ask(scp.destination)
    assert time.monotonic() - began < 6 * SLOWER


def test_a_peer_without_the_model_is_told(scp: FindScp, tmp_path: Path) -> None:
    from support.pacs import running_pacs

    with running_pacs() as storage_only, pytest.raises(PeerError):
        ask(storage_only.destination)


def answered(counts: PacsCounts, came: int = 5) -> PacsCount:
    return wait_for(lambda: counts.count(STUDY, SERIES, came), "an answer")


def test_counts_are_asked_beside_and_no_more_often_than_told(scp: FindScp) -> None:
    scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=6)]
    with closing(PacsCounts(QUICK, scp.destination, "NODE")) as counts:
        assert counts.count(STUDY, SERIES, 5) is None
        assert counts.pending
        first = answered(counts)
        assert (first.count, first.peer) == (6, "pacs")
        for _ in range(20):
            assert counts.count(STUDY, SERIES, 5) == first
        assert scp.asked == ["SERIES"]
        scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=7)]
        later = wait_for(
            lambda: found if (found := answered(counts)).count == 7 else None, "asked again", 10
        )
        assert (later.asked_at - first.asked_at).total_seconds() >= QUICK.every_seconds


def test_a_series_that_is_forgotten_is_asked_about_anew(scp: FindScp) -> None:
    scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=5)]
    with closing(PacsCounts(QUICK, scp.destination, "NODE")) as counts:
        answered(counts)
        counts.forget(STUDY, SERIES)
        assert counts.count(STUDY, SERIES, 5) is None
        assert answered(counts).count == 5
    assert scp.asked == ["SERIES", "SERIES"]


def test_a_dead_pacs_costs_its_callers_nothing_and_is_left_alone() -> None:
    dead = Destination(name="dead", ae_title="X", address="127.0.0.1", port=free_port())
    with closing(PacsCounts(QUICK, dead, "NODE")) as counts:
        began = time.monotonic()
        counts.count(STUDY, SERIES, 5)
        assert time.monotonic() - began < 0.1 * SLOWER
        silence = answered(counts)
        assert silence.count is None
        assert (
            silence.explanation
            == f"no connection: dead (127.0.0.1:{dead.port}) cannot be reached: Connection refused"
        )
        assert counts.count(STUDY, "1.2.3.5", 5) is None
        assert not counts.pending  # nobody is asked while the PACS is known to be silent


def test_a_refused_series_does_not_keep_others_from_their_answers(scp: FindScp) -> None:
    scp.status = 0xC001
    with closing(PacsCounts(QUICK, scp.destination, "NODE")) as counts:
        assert answered(counts).explanation == "answered a failure: C-FIND answered 0xC001"
        scp.status = 0x0000
        scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=5)]
        other = wait_for(lambda: counts.count(STUDY, "1.2.3.5", 5), "the other's answer")
        assert other.count == 0
        assert wait_for(lambda: answered(counts).count == 5, "asked again")


def test_a_pacs_that_answers_again_is_asked_again(scp: FindScp) -> None:
    scp.go_on.clear()
    scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=5)]
    with closing(PacsCounts(QUICK, scp.destination, "NODE")) as counts:
        assert answered(counts).count is None
        scp.go_on.set()
        assert wait_for(lambda: answered(counts).count == 5, "it is asked again")


def test_what_was_asked_is_in_the_audit_trail(scp: FindScp, tmp_path: Path) -> None:
    scp.series = [match(SERIES, NumberOfSeriesRelatedInstances=5)]
    with (
        recording(tmp_path) as file,
        closing(PacsCounts(QUICK, scp.destination, "NODE")) as counts,
    ):
        answered(counts)
    first, *_rest = messages(file)
    asked = next(first.iter("ParticipantObjectQuery")).text or ""
    assert event_of(first) == "Query"
    assert b64decode(asked).decode() == f"{STUDY}\\{SERIES}"
    assert studies_of(first) == ["1.2.840.10008.5.1.4.1.2.2.1"]
