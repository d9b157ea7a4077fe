"""Pull any plug: of a host or of the database's primary, at random moments, under load.

Three nodes on hosts of their own share a PostgreSQL with a standby, and an object store; sources
send to whichever answers, as a PACS with several entries does. At the end nothing that was answered
0x0000 is missing or changed, and the archive has exactly one set of results of each series.

DICOMNODE_PLUGS and DICOMNODE_PLUGS_SEED say how many are pulled by the long run, and which.
`pytest -s` shows what was done, and how long others took to go on with what a host had in hand.
"""

from __future__ import annotations

import os
import secrets
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import product
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicomnode.config.destinations import Peer
from dicomnode.data_directory.files import instance_files
from dicomnode.dicom_files.identity import data_set_sha256
from storage import index, queries
from storage.database import Database
from storage.models import DeliveryRow, SeriesRow
from storage.outbox import arrived
from storage.records import OPEN_SERIES, DeliveryState, SeriesDetail, SeriesState
from support.cables import switch
from support.load import Ledger
from support.machines import PORT, Machine, Source
from support.orthanc import Orthanc, running_orthanc
from support.phantom import write_series
from support.plugs import Plugs
from support.small_disk import small_disk
from support.stamped import Template
from support.standby import Pair, replicated
from support.takeovers import Takeovers
from support.wait import wait_for

MEGABYTES = 384  # of each node's disk
LEASE_SECONDS, LOST_SECONDS = 10.0, 20.0
SHARED = f"""
database_url = "{{url}}"
shares_database = true
lost_after_seconds = {LOST_SECONDS}
"""
SETTINGS = f"""
[query]
every_seconds = 1.0
retrieve = "c-get"
peer = {{ name = "archive", ae_title = "ORTHANC", address = "ADDRESS", port = PORT }}
[completeness]
quiet_seconds = 4.0
aborted_quiet_seconds = 10.0
lost_quiet_seconds = 15.0
open_quiet_seconds = 15.0
[study]
choose = "all"
[inference]
lease_seconds = {LEASE_SECONDS}
threads = 1
[results]
key_slices = 1
segmentation = "off"
[delivery]
lease_seconds = {LEASE_SECONDS}
timeout_seconds = 5.0
[delivery.retry]
first_delay_seconds = 0.2
longest_delay_seconds = 2.0
longest_probe_seconds = 2.0
[object_store]
url = "file://STORE"
seal_after_seconds = 1.0
[disk]
refuse_below_bytes = 33554432
resume_above_bytes = 67108864
"""


class World:
    """Three nodes, two database servers, the archive, and a host that the sources are on."""

    def __init__(self, stack: ExitStack, folder: Path, models: Path) -> None:
        network = stack.enter_context(switch())
        self.sources, at_archive = network.host(), network.host()
        self.database: Pair = stack.enter_context(replicated(network.host(), network.host()))
        with at_archive.entered():
            anyone = Peer(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=PORT)
            self.archive = stack.enter_context(running_orthanc(folder / "archive", anyone))
        self.at_archive = at_archive
        self.peer = self.archive.peer.model_copy(update={"address": at_archive.address})
        (folder / "store").mkdir()
        toml = SETTINGS.replace("ADDRESS", self.peer.address)
        toml = toml.replace("PORT", str(self.peer.port)).replace("STORE", f"{folder}/store")
        shared = SHARED.format(url=self.database.url)
        self.machines = []
        for number, host in enumerate(network.host() for _ in range(3)):
            own = folder / f"host-{number + 1}"
            own.mkdir()
            stack.enter_context(small_disk(own / "data", MEGABYTES))
            machine = Machine(host, own, [self.peer], toml, node=shared, models=models)
            stack.callback(machine.close)
            self.machines.append(machine)
        for machine in self.machines:
            machine.launch()
        wait_for(lambda: all(each.answers() for each in self.machines), "all nodes answer")

    def templates(self, folder: Path) -> list[Template]:
        return [Template(pydicom.dcmread(each)) for each in write_series(folder)]


@pytest.fixture
def world(tmp_path: Path, shared_models: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path, shared_models)


@pytest.mark.long
def test_a_few_plugs_cost_nothing(world: World, tmp_path: Path) -> None:
    pull_plugs(world, tmp_path, int(os.environ.get("DICOMNODE_PLUGS", "4")), seed_of(1))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_plugs_cost_nothing(world: World, tmp_path: Path) -> None:
    pull_plugs(world, tmp_path, 100, seed_of(secrets.randbelow(10_000)))


def seed_of(other: int) -> int:
    return int(os.environ.get("DICOMNODE_PLUGS_SEED", other))


def pull_plugs(world: World, folder: Path, count: int, seed: int) -> None:
    print(f"seed {seed}")
    ledger, templates = Ledger(), world.templates(folder / "series")
    plugs = Plugs(world.machines, world.database, seed, LEASE_SECONDS, LOST_SECONDS)
    takeovers = Takeovers(world.database, lambda: plugs.database_is_whole)
    plugs.struck = takeovers.struck
    sources = [
        Source(world.sources, world.machines, world.peer, templates, ledger, seed * 10 + each, 8.0)
        for each in range(2)
    ]
    takeovers.start()
    for each in sources:
        each.start()
    try:
        for _ in range(count):
            plugs.pull()
        plugs.finish()
    finally:
        plugs.rest()
        print("\n".join(plugs.told))
        for each in sources:
            each.stop.set()
    for each in sources:
        each.join(300)
    assert [each.fault for each in sources if each.fault is not None] == []
    assert not any(each.is_alive() for each in sources), "a source still waits for an answer"
    details = wait_until_all_ended(world, ledger, plugs)
    takeovers.stop()
    tell(plugs, takeovers, ledger, details)
    check_that_nothing_answered_is_missing(world, ledger)
    check_one_set_of_results(world, details)


def wait_until_all_ended(world: World, ledger: Ledger, plugs: Plugs) -> dict[str, SeriesDetail]:
    """By Series Instance UID."""
    wanted = {ledger.series[uid] for uid in ledger.answered}
    with closing(Database.open(world.database.primary.url)) as database:

        def ended() -> bool:
            plugs.keep_running()
            with database.read() as session:
                known = set(session.scalars(select(SeriesRow.series_key)))
                return wanted <= known and not unfinished(session)

        try:
            wait_for(ended, "every series ended, and its results arrived")
        except AssertionError as error:
            with database.read() as session:
                left = unfinished(session)
            logs = "\n".join(each.log[-3000:] for each in world.machines)
            raise AssertionError(f"{error}\n{left}\n{logs}") from error
        with database.read() as session:
            found = {uid: queries.series_detail(session, uid) for uid in wanted}
    return {uid: each for uid, each in found.items() if each is not None}


def unfinished(session: Session) -> list[tuple[str, str]]:
    series = select(SeriesRow.series_key, SeriesRow.state).where(SeriesRow.state.in_(OPEN_SERIES))
    late = select(DeliveryRow.series_key, DeliveryRow.state).where(
        ~arrived(), DeliveryRow.state != DeliveryState.ABANDONED
    )
    rows = [*session.execute(series).all(), *session.execute(late).all()]
    return [(key, state.value) for key, state in rows]


def tell(
    plugs: Plugs, takeovers: Takeovers, ledger: Ledger, details: dict[str, SeriesDetail]
) -> None:
    print(f"{sum(plugs.counts.values())} plugs in {plugs.seconds:.0f} s: {dict(plugs.counts)}")
    print(
        f"{len(details)} series, {len(ledger.answered)} instances answered, "
        f"{ledger.broken} associations broken, {len(ledger.other_answers)} other answers, "
        f"{plugs.ended_by_themselves} ends of a node by itself"
    )
    again = [uid for uid, each in details.items() if each.series.history]
    print(f"{len(again)} series were opened again")
    for kind, another in product(("assess", "analyse"), (True, False)):
        took = [e.seconds for e in takeovers.seen if (e.kind, e.by_another) == (kind, another)]
        if took:
            who = "another host" if another else "the same host, started again"
            median, longest = statistics.median(took), max(took)
            print(f"{len(took)} x {kind} by {who}: median {median:.1f} s, longest {longest:.1f} s")


def check_that_nothing_answered_is_missing(world: World, ledger: Ledger) -> None:
    """Each instance has a row, and its bytes are where that says, as they were sent."""
    by_id = {each.node_id: each for each in world.machines}
    files = {node_id: instance_files(each.settings) for node_id, each in by_id.items()}
    anyone = next(iter(files.values()))
    found: dict[str, str] = {}
    with closing(Database.open(world.database.primary.url)) as database, database.read() as session:
        for uid in {ledger.series[each] for each in ledger.answered}:
            for row in index.instances_of_series(session, uid):
                (path,) = files.get(row.node_id, anyone).bring([row])
                assert path.is_file(), f"{row} is nowhere"
                found[row.sop_instance_uid] = data_set_sha256(path)
    assert {uid: found.get(uid) for uid in ledger.answered} == ledger.answered


def check_one_set_of_results(world: World, details: dict[str, SeriesDetail]) -> None:
    with world.at_archive.entered():
        there = objects_by_study(world.archive)
    for detail in details.values():
        series = detail.series
        assert series.state is SeriesState.ANALYSED, (series.series_key, series.reasons)
        of_study = there[series.study_instance_uid]
        results = {each.sop_instance_uid for each in detail.results}
        made = {uid: kind for uid, kind in of_study.items() if kind != "CT"}
        assert set(made) == results, (series.series_key, series.history)
        assert list(made.values()).count("SR") == 1, (series.series_key, series.history)


def objects_by_study(archive: Orthanc) -> dict[str, dict[str, str]]:
    """Modality by SOP Instance UID, by Study Instance UID."""
    found: dict[str, dict[str, str]] = {}
    for series in archive.get("/series?expand"):
        study = archive.get(f"/studies/{series['ParentStudy']}")
        of_study = found.setdefault(study["MainDicomTags"]["StudyInstanceUID"], {})
        for each in archive.get(f"/series/{series['ID']}/instances"):
            uid = each["MainDicomTags"]["SOPInstanceUID"]
            assert uid not in of_study
            of_study[uid] = series["MainDicomTags"]["Modality"]
    return found
