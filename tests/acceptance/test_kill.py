"""`kill -9` of each process of the node in each stage of a series.

After every kill: the series ends analysed, the PACS holds exactly one set of results, and no
instance that was answered 0x0000 is missing or changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pynetdicom import build_context

from dicomnode.errors import PeerError
from dicomnode.network.associations import associated, requestor
from storage.instances import InstanceFiles
from storage.records import JobKind, JobState, SeriesDetail, SeriesState
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.wait import wait_for

pytestmark = pytest.mark.long

POLICY = """
[completeness]
quiet_seconds = 1.5
aborted_quiet_seconds = 1.5
lost_quiet_seconds = 1.5
[inference]
lease_seconds = 4.0
[delivery]
lease_seconds = 4.0
timeout_seconds = 5.0
[delivery.retry]
first_delay_seconds = 0.2
longest_delay_seconds = 0.5
[results]
key_slices = 3
"""

SLICES = 14
RESULTS = 1 + 1 + 3 + 1  # report, montage, key slices, segmentation
STAGES = ("receiving", "waiting", "analysing", "delivering")
ROLES = ("receiver", "assessor", "worker", "deliverer", "supervisor")
KILLS = [
    pytest.param(
        *(stage, role),
        # a supervisor takes all with it, wherever they are: two stages will do every day
        marks=[pytest.mark.slow] if role == "supervisor" and stage in STAGES[1::2] else [],
        id=f"{stage}-{role}",
    )
    for stage in STAGES
    for role in ROLES
]


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    with running_pacs() as pacs:
        yield pacs


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, pacs: Pacs, shared_models: Path
) -> Iterator[Node]:
    """One node for all the kills: what one leaves behind is there at the next."""
    folder = tmp_path_factory.mktemp("node")
    node = Node(folder, [pacs.destination], POLICY, models=shared_models)
    node.start()
    yield node
    node.close()


@pytest.mark.parametrize(("stage", "role"), KILLS)
def test_a_killed_process_costs_nothing(
    role: str, stage: str, node: Node, pacs: Pacs, tmp_path: Path
) -> None:
    pacs.begin()
    node.wait_until_it_answers()
    files = write_series(tmp_path / "series", SLICES)
    uid = series_uid(files)
    if stage == "receiving":
        send_with_a_kill_half_way(node, role, files)
    else:
        if stage == "delivering":
            pacs.hold_after = 2  # results of this series
        node.send(files)
        reach(stage, node, pacs, uid)
        kill_and_restart(node, role)
        pacs.go_on.set()
    wait_for(lambda: _count(node.detail(uid)) == SLICES, "every instance is in the index")
    detail = node.wait_until_ended(uid)
    assert detail.series.state is SeriesState.ANALYSED
    assert detail.series.instance_count == SLICES
    check_one_set_of_results(pacs, detail)
    check_that_nothing_answered_is_missing(node, files)


def kill_and_restart(node: Node, role: str) -> None:
    """The supervisor restarts what dies; who is killed with the supervisor is started by hand."""
    killed = node.kill(role)
    if role == "supervisor":
        node.start()
    else:
        wait_for(lambda: node.pid(role) != killed, f"{role} is restarted")
        node.wait_until_it_answers()


def send_with_a_kill_half_way(node: Node, role: str, files: list[Path]) -> None:
    """As a PACS does: what was not answered 0x0000 is sent again over a new association."""
    answered = send_until_refused(node, files, kill_after=SLICES // 2, role=role)
    assert len(answered) >= SLICES // 2
    missing = [file for file in files if file not in answered]
    if missing:
        node.wait_until_it_answers()
        assert node.send(missing) == missing


def send_until_refused(node: Node, files: list[Path], kill_after: int, role: str) -> list[Path]:
    first = pydicom.dcmread(files[0])
    context = build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    answered: list[Path] = []
    try:
        with associated(requestor("TESTER", [context], 10), node.peer) as association:
            for number, file in enumerate(files):
                if number == kill_after:
                    kill_and_restart(node, role)
                if association.send_c_store(file).get("Status") != 0x0000:
                    break
                answered.append(file)
    except (PeerError, RuntimeError):  # pynetdicom: "no association" after the connection broke
        pass
    return answered


def reach(stage: str, node: Node, pacs: Pacs, uid: str) -> None:
    """Wait until the series is in the stage in which a process is to be killed."""
    if stage == "waiting":
        wait_for(lambda: node.detail(uid), "the series is indexed")
    elif stage == "analysing":
        wait_for(lambda: _analysing(node.detail(uid)), "the series is being analysed")
    else:
        assert pacs.holding.wait(60), node.log


def _count(detail: SeriesDetail | None) -> int:
    return 0 if detail is None else detail.series.instance_count


def _analysing(detail: SeriesDetail | None) -> bool:
    return detail is not None and any(
        job.kind is JobKind.ANALYSE and job.state is JobState.RUNNING for job in detail.jobs
    )


def check_one_set_of_results(pacs: Pacs, detail: SeriesDetail) -> None:
    """An object may have come twice, when the response was lost, but then it is the same one."""
    assert len(detail.results) == len(detail.deliveries) == RESULTS
    assert set(pacs.by_uid()) == {each.sop_instance_uid for each in detail.results}
    for received in pacs.received:
        again = pacs.by_uid()[str(received.SOPInstanceUID)]
        assert received == again


def check_that_nothing_answered_is_missing(node: Node, files: list[Path]) -> None:
    """By digest of the data set, as it was sent and as it lies in the node's folder."""
    stored = InstanceFiles(node.settings.instances)
    digests = {data_set_digest(stored.open_path(path)) for path in stored.iter_paths()}
    assert digests >= {data_set_digest(file) for file in files}


def data_set_digest(file: Path) -> str:
    content = file.read_bytes()
    meta_length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + meta_length :]).hexdigest()
