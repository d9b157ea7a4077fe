"""Pull any plug: of a host or of the database's primary, at random moments, under load.

Three nodes on hosts of their own share a PostgreSQL with a standby, and an object store; sources
send to whichever answers, as a PACS with several entries does. At the end nothing that was answered
0x0000 is missing or changed, and the archive has exactly one set of results of each series.

DICOMNODE_PLUGS and DICOMNODE_PLUGS_SEED say how many are pulled by the long run, and which.
`pytest -s` shows what was done and, as a table, what came of it: among it how long others took to
go on with what a host had in hand, by kind and cause.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
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
from support.takeovers import Site, Takeovers, table
from support.wait import wait_for

MEGABYTES = 384  # of each node's disk
LEASE_SECONDS, LOST_SECONDS = 10.0, 20.0
POLL_SECONDS = 3.25
"""So often, at the least, a worker that has nothing to do looks for something."""
_SLACK_SECONDS = 1.5
IDLE_SECONDS = 30.0
"""After which the server ends a transaction in which nothing happens."""
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
    ledger, templates = Ledger(), world.templates(folder / "series")
    plugs = Plugs(world.machines, world.database, seed, LEASE_SECONDS, LOST_SECONDS)
    whole = lambda: plugs.database_is_whole  # noqa: E731
    takeovers = Takeovers(Site(world.machines, world.database, plugs.struck, whole))
    plugs.striking, plugs.analysing = takeovers.struck, takeovers.analysing
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
    missing, wrong = missing_or_changed(world, ledger), wrong_results(world, details)
    of_woken = takeovers.ended_by_woken()
    print(f"seed {seed}; machine load {os.getloadavg()[1]:.0f}\n")
    for line in told(plugs, takeovers, ledger, details, (len(missing), len(wrong)), of_woken):
        print(line)
    assert missing == []
    assert wrong == []
    assert of_woken[1] == 0
    in_time(takeovers)


def in_time(takeovers: Takeovers) -> None:
    """Others may claim what a struck host held as soon as its lease is over, and whoever has
    nothing to do does; who is merely short of room holds on to what it has. Who was struck amid a
    transaction holds it until the server ends that."""
    struck = [each for each in takeovers.seen if each.strike != "full"]
    assert [e for e in struck if (e.free_after or 0) > LEASE_SECONDS + _SLACK_SECONDS] == []
    slow = [e for e in takeovers.seen if e.at_hand - e.locked > POLL_SECONDS + _SLACK_SECONDS]
    assert slow == []
    assert [e for e in takeovers.seen if e.locked > IDLE_SECONDS] == []


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


def told(
    plugs: Plugs,
    takeovers: Takeovers,
    ledger: Ledger,
    details: dict[str, SeriesDetail],
    bad: tuple[int, int],
    of_woken: tuple[int, int],
) -> Iterator[str]:
    """Two tables of Markdown. `bad`: instances missing or changed, series with other results than
    one set; `of_woken`: as `Takeovers.ended_by_woken`."""
    again = sum(bool(each.series.history) for each in details.values())
    others = Counter(f"0x{each:04X}" for each in ledger.other_answers)
    yield "| what | figure |"
    yield "|---|---|"
    yield f"| plugs | {plugs.counts.total()} in {plugs.seconds:.0f} s |"
    for who in ("host", "database"):
        some = (f"{n} {e.split()[1]}" for e, n in plugs.counts.items() if e.startswith(who))
        yield f"| of the {who} | {', '.join(sorted(some, key=lambda each: each.split()[1]))} |"
    yield f"| nodes that ended by themselves, and began again | {plugs.ended_by_themselves} |"
    yield (
        f"| answered 0x0000 | {len(ledger.answered)} instances of {len(details)} series, over"
        f" {ledger.broken} broken associations; other answers: {dict(others) or 'none'} |"
    )
    yield f"| of these missing or changed | {bad[0]} |"
    right = len(details) - bad[1]
    yield f"| series with one set of results in Orthanc | {right} of {len(details)} |"
    yield f"| opened again | {again} |"
    yield (
        f"| analyses that another took up while a host was stopped or cut off | {of_woken[0]}; the"
        f" one that woke ended {of_woken[1]} of them |"
    )
    yield f"| held by a struck host, and ended by it | {takeovers.kept} |"
    yield f"| not measured, as the database was struck too | {takeovers.unmeasured} |"
    yield ""
    yield from table(takeovers.seen)


def missing_or_changed(world: World, ledger: Ledger) -> list[str]:
    """SOP Instance UIDs that were answered, and have no row, or not the bytes that were sent where
    that says."""
    by_id = {each.node_id: each for each in world.machines}
    files = {node_id: instance_files(each.settings) for node_id, each in by_id.items()}
    anyone = next(iter(files.values()))
    found: dict[str, str] = {}
    with closing(Database.open(world.database.primary.url)) as database, database.read() as session:
        for uid in {ledger.series[each] for each in ledger.answered}:
            for row in index.instances_of_series(session, uid):
                (path,) = files.get(row.node_id, anyone).bring([row])
                if path.is_file():
                    found[row.sop_instance_uid] = data_set_sha256(path)
    return [uid for uid, sha256 in ledger.answered.items() if found.get(uid) != sha256]


def wrong_results(world: World, details: dict[str, SeriesDetail]) -> list[object]:
    """The series that were not analysed, or of which the archive has not just one set of results:
    the objects that the database names, one report among them."""
    with world.at_archive.entered():
        there = objects_by_study(world.archive)
    wrong: list[object] = []
    for detail in details.values():
        series = detail.series
        results = {each.sop_instance_uid for each in detail.results}
        of_study = there.get(series.study_instance_uid, {})
        made = {uid: kind for uid, kind in of_study.items() if kind != "CT"}
        one = set(made) == results and list(made.values()).count("SR") == 1
        if series.state is not SeriesState.ANALYSED or not one:
            wrong.append((series.series_key, series.state, series.reasons, series.history))
    return wrong


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
