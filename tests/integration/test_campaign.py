"""Campaigns of real archives: found whole, fallen by their tags unmoved, had, killed, gone on."""

from __future__ import annotations

import csv
import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)
from sqlalchemy import select

from dicomnode.campaign import cohort, making
from dicomnode.campaign.folder import FolderSource
from dicomnode.campaign.runner import Runner
from dicomnode.campaign.table import Outcome, write_csv, write_parquet
from dicomnode.config.destinations import Destination, Peer, WebServer
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.sections import NodeSettings, QuerySettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.own_data import note_first_start, take_database
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.errors import ConfigurationError
from dicomnode.network.associations import application_entity, listen
from dicomnode.network.listeners import bind_listener
from dicomnode.network.send import send_files
from storage import campaign_series, campaigns, index
from storage.bucket import Bucket, Listed
from storage.campaign_records import CampaignState, FoundRecord, FoundState, WindowState
from storage.database import Database
from storage.models import SeriesRow
from storage.records import SeriesArrival
from support.campaigns import unsynced
from support.command import dicomnode
from support.data import CT
from support.node import Node, free_port
from support.orthanc import Orthanc, running_orthanc
from support.phantom import write_series
from support.seaweedfs import SECRET, VARIABLE, seaweedfs
from support.wait import PATIENCE_SECONDS, wait_for

DAY = date(2025, 2, 3)
PATIENT = "DRAWN-1"


class Site:
    """A node's data directory, and a campaign that works into it; no node runs."""

    def __init__(
        self, folder: Path, peer: Destination | None = None, server: WebServer | None = None
    ) -> None:
        named = peer and Peer(
            name="archive", ae_title=peer.ae_title, address=peer.address, port=peer.port
        )
        query = QuerySettings(peer=named, retrieve="c-get", web=server, timeout_seconds=30.0)
        self.settings = Settings(node=NodeSettings(data_directory=folder), query=query)
        with only_one(folder) as node_id:
            note_first_start(self.settings)
            take_database(self.settings, node_id)
        self.database = unsynced(Database.open(self.settings.database_url))

    def begin(self, plan: Plan, refusing: str = "") -> Runner:
        now = datetime.now(UTC)
        making.enter(self.database, self.settings, "c1", plan, now)
        with self.database.read() as session:
            found = campaigns.find(session, "c1")
        assert found is not None
        stop = threading.Event()
        self.source = making.source_of(self.database, self.settings, found, stop)
        return Runner(self.database, found, self.source, stop, lambda: refusing)

    def rows(self) -> dict[str, FoundRecord]:
        with self.database.read() as session:
            found = campaign_series.table_of(session, 1)
            return {each.series_instance_uid: each for each in found}

    def arrival(self, uid: str) -> SeriesArrival | None:
        with self.database.read() as session:
            return index.series_arrival(session, uid)

    def windows(self) -> list[WindowState]:
        with self.database.read() as session:
            return [each.state for each in campaigns.windows_of(session, 1)]

    def close(self) -> None:
        self.source.close()
        self.database.close()


def work(runner: Runner, done: int = 3) -> None:
    """Until nothing is left that it could do, `done` times in a row."""
    idle = 0
    while idle < done:
        _state, waits = runner.step()
        idle = 0 if waits is None else idle + 1


class CappedArchive:
    """Answers at STUDY level by date and time, at SERIES level with one thick series a study."""

    def __init__(self, moments: dict[str, datetime], cap: int, how: str) -> None:
        self.moments, self.cap, self.how = moments, cap, how
        self.most = 0
        self.series: list[str] = []

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        key = event.identifier
        if key.QueryRetrieveLevel == "SERIES":
            self.series.append(str(key.StudyInstanceUID))
            yield 0xFF00, _answer(f"{key.StudyInstanceUID}.1")
            return
        found = [uid for uid, at in self.moments.items() if _matches(key, at)]
        if self.how == "refuses" and len(found) > self.cap:
            yield 0xA700, None
            return
        for uid in found[: self.cap]:
            match = Dataset()
            match.StudyInstanceUID = uid
            yield 0xFF00, match
        self.most = max(self.most, len(found[: self.cap]))
        if self.how == "tells" and len(found) > self.cap:
            yield 0xFE00, None


def _matches(key: Dataset, at: datetime) -> bool:
    first, _, last = str(key.StudyDate).partition("-")
    begin, _, end = str(key.StudyTime or "").partition("-")
    day, time = f"{at:%Y%m%d}", f"{at:%H%M%S}.000000"
    return first <= day <= (last or first) and (not begin or begin <= time <= end)


def _answer(uid: str) -> Dataset:
    match = Dataset()
    match.SeriesInstanceUID, match.Modality = uid, "CT"
    match.SliceThickness, match.NumberOfSeriesRelatedInstances = "5.0", "60"
    return match


@contextmanager
def listening(archive: CappedArchive) -> Iterator[Destination]:
    ae = application_entity("CAPPED")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listen(ae, listener, {evt.EVT_C_FIND: archive.on_find})
    try:
        yield Destination(name="archive", ae_title="CAPPED", address="127.0.0.1", port=port)
    finally:
        ae.shutdown()


@pytest.mark.parametrize("how", ["tells", "refuses", "is silent"])
def test_an_archive_that_caps_its_answers_is_found_whole(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "QUERIES_PER_SECOND", 1e6)
    midnight = datetime.combine(DAY, datetime.min.time())
    moments = {f"1.2.{n}": midnight + timedelta(days=n % 3, seconds=9 * n * n) for n in range(1, 9)}
    archive = CappedArchive(moments, 3, how)
    with listening(archive) as peer, closing(Site(tmp_path / "data", peer)) as site:
        most = 3 if how == "is silent" else 0
        last = DAY + timedelta(days=2)
        work(site.begin(Plan("pacs", "archive", DAY, last, most_answers=most)), done=12)
        assert set(site.rows()) == {f"{uid}.1" for uid in moments}
        assert {each.state for each in site.rows().values()} == {FoundState.FALLEN}
        assert WindowState.CAPPED not in site.windows()
        assert WindowState.OPEN not in site.windows()
    assert archive.most <= 3
    assert sorted(archive.series) == sorted(moments)


def uids_of(folder: Path) -> tuple[str, str]:
    header = pydicom.dcmread(next(iter(sorted(folder.iterdir()))), stop_before_pixels=True)
    return str(header.SeriesInstanceUID), str(header.StudyDate)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """With the real CT of the tests."""
    node = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=free_port())
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), node) as running:
        for file in sorted(CT.rglob("*.dcm")):
            running.upload(file)
        yield running


def real_series() -> dict[str, tuple[str, str]]:
    folders = ("philips_5mm_noncontrast", "philips_localizer", "siemens_8mm_10_slices")
    return {name: uids_of(CT / name) for name in folders}


def test_real_series_fall_by_their_tags_and_stay_where_they_are(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    known = real_series()
    days = sorted(datetime.strptime(day, "%Y%m%d").date() for _uid, day in known.values())  # noqa: DTZ007
    with closing(Site(tmp_path / "data", orthanc.peer)) as site:
        runner = site.begin(Plan("pacs", "archive", days[0], days[0]))
        work(runner)
        rows = site.rows()
        of_day = {uid for uid, day in known.values() if day == f"{days[0]:%Y%m%d}"}
        assert set(rows) == of_day
        assert {each.state for each in rows.values()} == {FoundState.FALLEN}
        assert all(each.reasons for each in rows.values())
        with site.database.read() as session:
            assert all(index.series_arrival(session, uid) is None for uid in rows)


def test_over_dicomweb_thick_series_stay_and_a_thin_one_comes(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    """QIDO-RS for the tags, WADO-RS for what is worth it."""
    server = WebServer(name="a server of a long name", url=orthanc.service)
    phantom = write_series(tmp_path / "phantom", 12)
    for file in phantom:
        orthanc.upload(file)
    thin, thin_day = uids_of(tmp_path / "phantom")
    thick = {uid: FoundState.FALLEN for uid, day in real_series().values() if day != thin_day}
    first_day = min(day for uid, day in real_series().values() if uid in thick)
    for day in (first_day, thin_day):
        when = datetime.strptime(day, "%Y%m%d").date()  # noqa: DTZ007
        with closing(Site(tmp_path / day, server=server)) as site:
            work(site.begin(Plan("dicomweb", server.name, when, when, images_per_second=1e6)))
            found = {uid: each.state for uid, each in site.rows().items()}
            if day == first_day:
                assert found
                assert found.items() <= thick.items()
                continue
            assert found == {thin: FoundState.PULLED}
            arrival = wait_for(partial(site.arrival, thin), "it is known")
            with site.database.read() as session:
                which = select(SeriesRow.only_to).where(SeriesRow.series_instance_uid == thin)
                only_to = session.scalar(which)
            assert arrival.instance_count == len(phantom)
            assert only_to == ""  # what came is the campaign's, and goes nowhere


def test_what_a_folder_holds_is_looked_at_whole_and_its_table_is_true(tmp_path: Path) -> None:
    """Thick series, a localizer, and a thin phantom that goes into the node."""
    folder = tmp_path / "folder"
    phantom = write_series(folder / "phantom", 12)
    (folder / "ct").symlink_to(CT)  # links to folders are not followed
    for name, _known in real_series().items():
        (folder / name).mkdir()
        for file in sorted((CT / name).glob("*.dcm")):
            (folder / name / file.name).symlink_to(file)
    thin = uids_of(folder / "phantom")[0]
    with closing(Site(tmp_path / "data")) as site:
        work(site.begin(Plan("folder", str(folder), key="0a", images_per_second=1e6)))
        rows = site.rows()
        fallen = {uid for uid, _day in real_series().values()}
        assert {uid: each.state for uid, each in rows.items()} == {
            **dict.fromkeys(fallen, FoundState.FALLEN),
            thin: FoundState.PULLED,
        }
        arrival = wait_for(lambda: site.arrival(thin), "the phantom is known")
        with site.database.read() as session:
            campaign = campaigns.find(session, "c1")
        assert arrival.instance_count == len(phantom)
        assert campaign is not None
        check_table(site.database, campaign, rows, tmp_path)


@pytest.mark.long
def test_of_a_bucket_only_what_is_worth_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thick series, a localizer, a text, and a thin phantom, on a real S3 server."""
    monkeypatch.setenv(VARIABLE, SECRET)
    phantom = write_series(tmp_path / "phantom", 12)
    thin = uids_of(tmp_path / "phantom")[0]
    (tmp_path / "notes.txt").write_text("no DICOM")
    files = [*phantom, tmp_path / "notes.txt"]
    files += [file for name in real_series() for file in sorted((CT / name).glob("*.dcm"))]
    (tmp_path / "server").mkdir()
    with seaweedfs(tmp_path / "server") as settings:
        place = settings.url.replace("/node", "/research")
        store = settings.model_copy(update={"url": place}).opened()
        for number, file in enumerate(files):
            store.put(f"some/{number}", file)
        with closing(Site(tmp_path / "data")) as site:
            site.settings = site.settings.model_copy(update={"object_store": settings})
            runner = site.begin(Plan("bucket", place, images_per_second=1e6))
            read: list[str] = []
            whole = Bucket.whole

            def noted(bucket: Bucket, name: str) -> bytes:
                read.append(name)
                return whole(bucket, name)

            listed = Bucket.listed

            def with_one_gone(bucket: Bucket) -> Iterator[Listed]:
                yield Listed("some/gone-since", 9000)
                yield from listed(bucket)

            monkeypatch.setattr(Bucket, "whole", noted)
            monkeypatch.setattr(Bucket, "listed", with_one_gone)
            work(runner)
            fallen = {uid for uid, _day in real_series().values()}
            assert {uid: each.state for uid, each in site.rows().items()} == {
                **dict.fromkeys(fallen, FoundState.FALLEN),
                thin: FoundState.PULLED,
            }
            assert sorted(read) == sorted(f"some/{number}" for number in range(len(phantom)))
            arrival = wait_for(lambda: site.arrival(thin), "it is known")
            assert arrival.instance_count == len(phantom)


def check_table(database: Database, campaign: object, rows: object, folder: Path) -> None:
    """As CSV and as Parquet, with UIDs and with pseudonyms: the same, and nobody's name."""
    pq = pytest.importorskip("pyarrow.parquet")
    seen = []
    for pseudonymous in (False, True):
        outcome = Outcome(database, campaign, pseudonymous=pseudonymous)  # type: ignore[arg-type]
        table, parquet = folder / "t.csv", folder / "t.parquet"
        count = write_csv(outcome, table), write_parquet(outcome, parquet)
        assert count == (4, 4)
        text = table.read_text("utf-8")
        with table.open(encoding="utf-8", newline="") as file:
            found = {each["series_instance_uid"]: each for each in csv.DictReader(file)}
        columns = pq.read_table(parquet).to_pydict()
        assert list(columns["series_instance_uid"]) == list(found)
        assert [str(each) for each in columns["state"]] == [x["state"] for x in found.values()]
        for name in ("Chest", "Drawn", PATIENT, "LIDC"):
            assert name not in text
        seen.append(found)
    plain, hidden = seen
    assert {uid: each["state"] for uid, each in plain.items()} == {
        uid: each.state.value
        for uid, each in rows.items()  # type: ignore[attr-defined]
    }
    assert not set(plain) & set(hidden)
    assert all(len(uid) == 64 for uid in hidden)
    assert "reasons" not in next(iter(hidden.values()))
    assert not any(uid in str(hidden) for uid in plain)


def test_the_command_line_makes_pauses_shows_exports_and_removes(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    with closing(Site(node.settings.node.data_directory)) as site:
        site.source = FolderSource(
            site.settings, site.database, tmp_path, 1.0, threading.Event(), "r"
        )
        write_series(tmp_path / "folder", 3)

        def run(*words: str) -> str:
            done = dicomnode("campaign", *words, "--config", str(node.config))
            assert done.returncode == 0, done.stderr
            return done.stdout

        run("create", "c1", "--folder", str(tmp_path / "folder"))
        again = dicomnode("campaign", "create", "c1", "--folder", ".", "--config", str(node.config))
        assert (again.returncode, "already" in again.stderr) == (2, True)
        run("pause", "c1")
        assert "paused" in run("status", "c1")
        assert '"state": "paused"' in run("list", "--json")
        run("resume", "c1")
        assert "nobody works on it" in run("status", "c1")
        run("export", "c1", "--csv", str(tmp_path / "out.csv"))
        assert (tmp_path / "out.csv").read_text().startswith("study_instance_uid,")
        run("remove", "c1", "--yes")
        assert "there is no campaign" in run("list")
        for wrong in (("--pacs", "nobody", "--from", "2025-01-01", "--to", "2025-01-02"), ()):
            done = dicomnode("campaign", "create", "c2", *wrong, "--config", str(node.config))
            assert done.returncode == 2


STATES = ("none", "ready", "paused", "done")
COMMANDS: dict[str, dict[str, tuple[int, str, str]]] = {
    "create": {
        "none": (0, "ready", "made"),
        "ready": (2, "ready", "already"),
        "paused": (2, "paused", "already"),
        "done": (2, "done", "already"),
    },
    "run --until-empty": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "done", ""),
        "paused": (1, "paused", "campaign resume c"),
        "done": (0, "done", ""),
    },
    "pause": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "paused", "is paused"),
        "paused": (0, "paused", "is paused"),
        "done": (2, "done", "is done: nothing of it is left to pause"),
    },
    "resume": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "ready", "is resumed"),
        "paused": (0, "ready", "is resumed\n"),
        "done": (0, "ready", "asks once more"),
    },
    "status": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "ready", "nobody works on it"),
        "paused": (0, "paused", "paused"),
        "done": (0, "done", "done"),
    },
    "export --csv": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "ready", "0 rows"),
        "paused": (0, "paused", "0 rows"),
        "done": (0, "done", "0 rows"),
    },
    "remove --yes": {
        "none": (2, "none", "no campaign"),
        "ready": (0, "none", "removed"),
        "paused": (0, "none", "removed"),
        "done": (0, "none", "removed"),
    },
}
"""What each command does in each state: its exit status, the state afterwards, what it says."""


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`campaign run`, which leaves the signals and the log of the tests alone."""
    for name in ("block_stop_signals", "set_up_logging"):
        monkeypatch.setattr(f"dicomnode.cli.campaign.{name}", lambda *_: None)
    monkeypatch.setattr("dicomnode.cli.campaign.stop_on_request", threading.Event)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_in_each_state(command: str, tmp_path: Path) -> None:
    node, empty = Node(tmp_path / "node"), tmp_path / "empty"
    empty.mkdir()
    with closing(Site(node.settings.node.data_directory)) as site:
        site.source = FolderSource(site.settings, site.database, empty, 1.0, threading.Event(), "r")

        def run(words: str) -> tuple[int, str]:
            what, *options = words.split()
            more = ["--folder", str(empty)] if what == "create" else []
            more += [str(tmp_path / "t.csv")] if what == "export" else []
            done = dicomnode("campaign", what, "c", *options, *more, "--config", str(node.config))
            return done.returncode, done.stdout + done.stderr

        def state() -> str:
            with site.database.read() as session:
                found = campaigns.find(session, "c")
            return found.state.value if found else "none"

        turns = {"paused": campaigns.pause, "done": campaigns.end}
        for before in STATES:
            if state() != "none":
                assert run("remove --yes")[0] == 0
            if before != "none":
                assert run("create") == (0, "campaign c is made\n")
            if before in turns:
                with site.database.write() as session:
                    found = campaigns.find(session, "c")
                    assert found is not None
                    turns[before](session, found.campaign_id)
            assert state() == before
            status, after, said = COMMANDS[command][before]
            told = run(command)
            assert (told[0], state()) == (status, after), (command, before, told)
            assert said in told[1], (command, before)


def test_names_and_folders_that_cannot_be_a_campaigns_are_refused(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    data = node.settings.node.data_directory
    with closing(Site(data)) as site:
        site.source = FolderSource(site.settings, site.database, data, 1.0, threading.Event(), "r")

        def create(name: str, folder: Path) -> tuple[int, str]:
            words = ("campaign", "create", name, "--folder", str(folder))
            done = dicomnode(*words, "--config", str(node.config))
            return done.returncode, done.stderr

        (tmp_path / "ct").mkdir()
        for name in ("a/../b", "..", "", "a b", "-a", "a" * 65, "a\nb", "a/b"):
            status, said = create(name, tmp_path / "ct")
            assert status == 2, name
            assert "no name" in said or name == "-a"
        link, inside = tmp_path / "link", data / "instances"
        inside.mkdir(exist_ok=True)
        link.symlink_to(inside)
        for folder in (data, inside, link, link / "..", tmp_path / "node", tmp_path):
            status, said = create("c", folder)
            assert (status, "the node's own" in said) == (2, True), folder
        assert create("c", tmp_path / "nothing")[0] == 2
        assert create("Süd-2.1_東", tmp_path / "ct") == (0, "")


@pytest.mark.usefixtures("in_this_process")
def test_a_folder_that_has_become_the_nodes_own_is_not_worked_on(tmp_path: Path) -> None:
    node, folder = Node(tmp_path / "node"), tmp_path / "ct"
    folder.mkdir()
    with closing(Site(node.settings.node.data_directory)) as site:
        site.source = FolderSource(
            site.settings, site.database, folder, 1.0, threading.Event(), "r"
        )
        config = ("--config", str(node.config))
        assert dicomnode("campaign", "create", "c", "--folder", str(folder), *config).stderr == ""
        folder.rmdir()
        folder.symlink_to(node.settings.node.data_directory)
        done = dicomnode("campaign", "run", "c", "--until-empty", *config)
        assert (done.returncode, "the node's own" in done.stderr) == (2, True)


def test_a_bucket_that_is_the_nodes_own_is_refused() -> None:
    store = ObjectStoreSettings(url="s3://ct/node")
    settings = Settings(object_store=store)
    for place in ("s3://ct/node", "s3://ct/node/", "s3://ct/node/series", "s3://ct"):
        with pytest.raises(ConfigurationError, match="the node's own"):
            making._bucket(settings, Plan("bucket", place))


def test_a_table_takes_the_place_of_another_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, empty = Node(tmp_path / "node"), tmp_path / "empty"
    empty.mkdir()
    data = node.settings.node.data_directory
    with closing(Site(data)) as site:
        site.source = FolderSource(site.settings, site.database, empty, 1.0, threading.Event(), "r")
        config = ("--config", str(node.config))
        assert dicomnode("campaign", "create", "c", "--folder", str(empty), *config).stderr == ""

        def export(*files: str) -> tuple[int, str]:
            done = dicomnode("campaign", "export", "c", *files, *config)
            return done.returncode, done.stderr

        missing = tmp_path / "not" / "here"
        for option in ("--csv", "--parquet"):
            status, said = export(option, str(missing / "t"))
            assert (status, f"there is no folder {missing}" in said) == (2, True)
            assert not missing.parent.exists()
            assert export(option, str(empty))[0] == 2, "a folder"
            assert export(option, str(data / "dicomnode.sqlite3"))[0] == 2, "the node's own"
        table, link = tmp_path / "t.csv", tmp_path / "link.csv"
        assert export("--csv", str(table), "--parquet", str(table))[0] == 2
        table.write_text("before")
        table.chmod(0o640)
        link.symlink_to(table)
        with monkeypatch.context() as full:
            full.setattr(Outcome, "rows", _full)
            status, said = export("--csv", str(link))
            assert (status, "link.csv: No space left on device" in said) == (2, True)
        assert table.read_text() == "before"
        assert export("--csv", str(link))[0] == 0
        assert link.is_symlink()
        assert table.read_text().startswith("study_instance_uid,")
        assert table.stat().st_mode & 0o777 == 0o640
        assert {each.name for each in tmp_path.iterdir()} >= {"t.csv", "link.csv"}
        assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def _full(_outcome: Outcome) -> Iterator[dict[str, object]]:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.long
def test_a_campaign_is_killed_and_goes_on_beside_a_clinical_series(
    tmp_path: Path, shared_models: Path
) -> None:
    """C-MOVE from Orthanc into a node that runs; Orthanc is its clinical PACS, too."""
    quick = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 1\n"
    port = free_port()
    place = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(tmp_path / "orthanc", place) as orthanc:
        node = Node(tmp_path / "node", [orthanc.peer], toml=quick, port=port, models=shared_models)
        series = {}
        for number in range(4):
            files = write_series(tmp_path / f"s{number}", 12, seed=number)
            series[uids_of(tmp_path / f"s{number}")[0]] = files
            for file in files:
                orthanc.upload(file)
        sent = len(orthanc.get("/instances"))
        try:
            node.start()
            check_killed_campaign(node, orthanc, series, sent)
        finally:
            node.close()


def check_killed_campaign(
    node: Node, orthanc: Orthanc, series: dict[str, list[Path]], sent: int
) -> None:
    config = ["--config", str(node.config)]
    days = ["--from", "2026-01-01", "--to", "2026-01-03"]
    made = dicomnode(
        "campaign", "create", "c1", "--pacs", "orthanc", *days, "--rate", "200", *config
    )
    assert made.returncode == 0, made.stderr
    command = [sys.executable, "-m", "dicomnode", "campaign", "run", "c1", "--until-empty", *config]

    def states() -> list[FoundState]:
        opened = closing(Database.open(node.settings.database_url))
        with opened as database, database.read() as session:
            return [each.state for each in campaign_series.table_of(session, 1)]

    process = subprocess.Popen(command)
    wait_for(lambda: {FoundState.PULLED, FoundState.ANALYSED} & set(states()), "one is here")
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    again = subprocess.run(command, check=False, timeout=2 * PATIENCE_SECONDS)
    assert again.returncode == 0
    assert states() == [FoundState.ANALYSED] * 4
    assert len(orthanc.get("/instances")) == sent  # no result, no note
    opened = closing(Database.open(node.settings.database_url))
    with opened as database, database.read() as session:
        found = campaigns.find(session, "c1")
        rows = list(campaign_series.table_of(session, 1))
    assert found is not None
    assert found.state is CampaignState.DONE
    assert {each.series_instance_uid for each in rows} == set(series)
    assert all(each.analysis and not each.clinical for each in rows)
    clinical = next(iter(series.values()))
    assert list(send_files(clinical, node.peer, "ORTHANC")) == clinical
    wait_for(lambda: len(orthanc.get("/instances")) > sent, "results of what was sent by itself")
