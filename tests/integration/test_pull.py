"""Pulled from real archives, into the files and the index of a node; killed, and taken up again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import Destination, Peer, WebServer
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.sections import NodeSettings, QuerySettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.own_data import note_first_start, take_database
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.decisions.hours import Hours
from dicomnode.errors import AlreadyRunningError, ConfigurationError, DataError, PeerError
from dicomnode.pull import run
from dicomnode.pull.fetcher import Fetcher
from dicomnode.pull.open_hours import OpenHours
from dicomnode.pull.steps import SeriesPulled
from storage import index
from storage.database import Database
from storage.instances import InstanceFiles
from storage.lost_nodes import lose_silent, lost_instances, send_for, series_to_send_for
from storage.models import AssociationRow, InstanceRow
from storage.nodes import join
from storage.records import AssociationEnd
from support.clock import StandingClock
from support.command import dicomnode
from support.find_scp import running_dcmqrscp
from support.node import free_port, sop_instance_uids
from support.orthanc import USER, Orthanc, running_orthanc
from support.phantom import series_uid, write_series
from support.receiver import running_receiver
from support.wait import wait_for

SLICES = 12
SECRET = "pull-1"  # noqa: S105 - of this test
PATIENT = "DRAWN-SECRET"


class Site:
    """A node's data directory, whose node may run or not."""

    def __init__(self, folder: Path, query: QuerySettings) -> None:
        node = NodeSettings(data_directory=folder)
        self.settings = Settings(node=node, query=query)
        self.stop = threading.Event()

    def begin(self) -> None:
        """The node has run once."""
        with only_one(self.settings.node.data_directory) as node_id:
            note_first_start(self.settings)
            take_database(self.settings, node_id)

    def pull(self, asked: run.Asked, hours: OpenHours | None = None) -> list[SeriesPulled]:
        with closing(Database.open(self.settings.database_url)) as database:
            done: list[SeriesPulled] = []
            told = lambda *_told: None  # noqa: E731
            run.pull(self.settings, database, asked, self.stop, told, done.append, hours)
            return done

    def here(self, uids: set[str]) -> set[str]:
        """Those that the index has, and whose files are there."""
        files = InstanceFiles(self.settings.instances)
        with self.session() as session:
            known = index.known_instances(session, uids)
        return known & files.find(uids).keys()

    def ends(self) -> list[AssociationEnd | None]:
        with self.session() as session:
            return list(session.scalars(select(AssociationRow.ending)))

    @contextmanager
    def session(self) -> Iterator[Session]:
        url = self.settings.database_url
        with closing(Database.open(url)) as database, database.read() as session:
            yield session


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("ct"), SLICES)


@pytest.fixture(scope="module")
def study(files: list[Path]) -> str:
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Iterator[Orthanc]:
    """With the series; and with three more studies of one number, of which two are a patient's."""
    node = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=free_port())
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder / "pacs", node, SECRET) as running:
        for number, (date, born) in enumerate(PRIORS):

            def change(data_set: Dataset, _number: int, date: str = date, born: str = born) -> None:
                data_set.PatientID, data_set.StudyDate = PATIENT, date
                data_set.PatientBirthDate, data_set.AccessionNumber = born, OF_THREE
                data_set.StudyInstanceUID = f"1.2.3.{date}.{born}"

            files = [*files, *write_series(folder / f"prior{number}", 3, change=change)]
        for file in files:
            running.upload(file)
        yield running


OF_THREE = "ACC-3"
PRIORS = (("20260102", "19500101"), ("20240101", "19500101"), ("20250101", "19600101"))


def peer_of(place: Destination) -> Peer:
    return Peer(name="pacs", ae_title=place.ae_title, address=place.address, port=place.port)


def get_from(place: Destination) -> QuerySettings:
    return QuerySettings(peer=peer_of(place), retrieve="c-get", images_per_second=0.0)


def web_of(orthanc: Orthanc, folder: Path) -> QuerySettings:
    (folder / "secret").write_text(SECRET)
    who = Credentials(str(folder / "secret"), user=USER)
    web = WebServer(name="archive", url=orthanc.service, credentials=who)
    return QuerySettings(retrieve="wado-rs", web=web, images_per_second=0.0)


def check_whole(site: Site, asked: run.Asked, files: list[Path]) -> None:
    """All comes, its associations end, and a second time nothing is asked for."""
    uids = sop_instance_uids(files)
    (pulled,) = site.pull(asked)
    assert (pulled.came, pulled.lacking, pulled.problem) == (SLICES, 0, "")
    assert site.here(uids) == uids
    assert site.ends() == [AssociationEnd.RELEASED]
    (again,) = site.pull(asked)
    assert (again.here_before, again.came, again.lacking) == (SLICES, 0, 0)


def test_by_c_get_from_orthanc(
    orthanc: Orthanc, files: list[Path], study: str, tmp_path: Path
) -> None:
    site = Site(tmp_path / "data", get_from(orthanc.peer))
    site.begin()
    check_whole(site, run.Asked(study=study), files)


def test_by_wado_rs_from_orthanc(orthanc: Orthanc, files: list[Path], tmp_path: Path) -> None:
    site = Site(tmp_path / "data", web_of(orthanc, tmp_path))
    site.begin()
    accession = str(pydicom.dcmread(files[0], stop_before_pixels=True).AccessionNumber)
    check_whole(site, run.Asked(accession=accession), files)


def test_by_wado_rs_with_another_password(orthanc: Orthanc, study: str, tmp_path: Path) -> None:
    site = Site(tmp_path / "data", web_of(orthanc, tmp_path))
    site.begin()
    (tmp_path / "secret").write_text("another")
    with pytest.raises(PeerError, match="archive answered a query with HTTP 401"):
        site.pull(run.Asked(study=study))


@pytest.mark.parametrize("how", ["c-get", "wado-rs"])
def test_earlier_ct_of_the_same_patient_alone(
    orthanc: Orthanc, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    query = get_from(orthanc.peer) if how == "c-get" else web_of(orthanc, tmp_path)
    site = Site(tmp_path / "data", query)
    site.begin()
    with caplog.at_level("DEBUG", "dicomnode"):
        pulled = site.pull(run.Asked(prior_to="1.2.3.20260102.19500101"))
    assert [(each.study_instance_uid, each.came) for each in pulled] == [
        ("1.2.3.20240101.19500101", 3)
    ]
    assert PATIENT not in caplog.text


def test_what_the_archive_does_not_have_is_told(orthanc: Orthanc, tmp_path: Path) -> None:
    site = Site(tmp_path / "data", get_from(orthanc.peer))
    site.begin()
    for asked in (run.Asked(study="1.9"), run.Asked(accession="NONE"), run.Asked(prior_to="1.9")):
        with pytest.raises(DataError, match="pacs has no"):
            site.pull(asked)
    with pytest.raises(DataError, match="must be neither"):
        site.pull(run.Asked(accession="*"))


def test_by_c_get_from_dcmqrscp_in_portions(files: list[Path], study: str, tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "archive", files) as archive:
        query = get_from(archive).model_copy(update={"images_per_second": 50.0})
        site = Site(tmp_path / "data", query)
        site.begin()
        check_whole(site, run.Asked(study=study, series=series_uid(files)), files)


@contextmanager
def receiving(folder: Path) -> Iterator[tuple[Site, Destination]]:
    """A node that runs, as far as its port."""
    with ExitStack() as held:
        receiver = held.enter_context(running_receiver(folder, ReceiveSettings()))
        site = Site(folder, QuerySettings())
        node_id = held.enter_context(only_one(folder))
        take_database(site.settings, node_id)
        yield site, receiver.peer


def moved_from(site: Site, place: Destination) -> Site:
    query = QuerySettings(peer=peer_of(place), images_per_second=0.0)
    return Site(site.settings.node.data_directory, query)


def test_by_c_move_from_dcmqrscp(files: list[Path], study: str, tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "data") as (site, node),
        running_dcmqrscp(tmp_path / "archive", files, node) as archive,
    ):
        check_moved(moved_from(site, archive), run.Asked(study=study), files)


def test_by_c_move_from_orthanc_what_is_not_here(orthanc: Orthanc, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 7)
    asked = run.Asked(study=str(pydicom.dcmread(files[0]).StudyInstanceUID))
    with receiving(tmp_path / "data") as (begun, node):
        orthanc.move_to(node)
        for file in files[:3]:
            orthanc.upload(file)
        site = moved_from(begun, orthanc.peer)
        site.pull(asked)
        for file in files[3:]:
            orthanc.upload(file)
        (pulled,) = site.pull(asked)
        assert (pulled.here_before, pulled.came, pulled.lacking) == (3, 4, 0)
        assert site.here(sop_instance_uids(files)) == sop_instance_uids(files)


def check_moved(site: Site, asked: run.Asked, files: list[Path]) -> None:
    (pulled,) = site.pull(asked)
    assert (pulled.came, pulled.lacking, pulled.problem) == (SLICES, 0, "")
    assert site.here(sop_instance_uids(files)) == sop_instance_uids(files)
    (again,) = site.pull(asked)
    assert (again.here_before, again.came) == (SLICES, 0)


def test_a_pacs_that_does_not_know_the_node_is_told_what_to_enter(
    files: list[Path], study: str, tmp_path: Path
) -> None:
    with (
        receiving(tmp_path / "data") as (site, _node),
        running_dcmqrscp(tmp_path / "archive", files) as archive,
        pytest.raises(PeerError, match=r"0xA801.* AE title DICOMNODE, with the address of this"),
    ):
        moved_from(site, archive).pull(run.Asked(study=study))


def test_without_a_node_that_runs_or_an_archive_nothing_is_asked(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    site = Site(tmp_path / "data", QuerySettings(peer=peer_of(orthanc.peer)))
    site.begin()
    with pytest.raises(ConfigurationError, match="the node does not run"):
        site.pull(run.Asked(study="1.2"))
    site = Site(tmp_path / "data", QuerySettings(retrieve="c-get"))
    with pytest.raises(ConfigurationError, match=r"\[query\] peer"):
        site.pull(run.Asked(study="1.2"))


def test_killed_in_the_middle_it_is_taken_up(files: list[Path], study: str, tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "archive", files) as archive:
        site = Site(tmp_path / "data", get_from(archive))
        site.begin()
        config = tmp_path / "dicomnode.toml"
        config.write_text(
            '[node]\ndata_directory = "data"\n[query]\nretrieve = "c-get"\n'
            f'peer = {{ name = "pacs", ae_title = "{archive.ae_title}", address = "127.0.0.1",'
            f" port = {archive.port} }}\n"
        )
        command = ["pull", "--study", study, "--config", str(config)]
        slow = [sys.executable, "-m", "dicomnode", *command, "--rate", "0.05"]
        process = subprocess.Popen(slow)
        uids = sop_instance_uids(files)
        wait_for(lambda: site.here(uids), "the first has come")
        with pytest.raises(AlreadyRunningError, match="another pull"):
            site.pull(run.Asked(study=study))
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = len(site.here(uids))
        assert 0 < before < SLICES
        again = [sys.executable, "-m", "dicomnode", *command, "--json", "--rate", "0"]
        done = subprocess.run(again, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (told,) = json.loads(done.stdout)["series"]
        assert (told["here_before"], told["came"]) == (before, SLICES - before)
        assert site.here(uids) == uids


def test_what_a_lost_node_had_comes_again(files: list[Path], study: str, tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "archive", files) as archive:
        site = Site(tmp_path / "data", get_from(archive))
        site.begin()
        site.pull(run.Asked(study=study))
        uids = sop_instance_uids(files)
        lost = set(sorted(uids)[:5])
        stored = InstanceFiles(site.settings.instances)
        for path in stored.find(lost).values():
            stored.remove(path)
        with closing(Database.open(site.settings.database_url)) as database:
            with database.write() as session:
                _lose(session, lost)
                (key,) = series_to_send_for(session)
                send_for(session, key, datetime.now(UTC))
            fetcher = Fetcher(database, "living/assessor/1/", lambda: site.settings, site.stop)
            assert fetcher.fetch_one()
            assert not fetcher.fetch_one()
            with database.read() as session:
                assert lost_instances(session, key) == ()
        assert site.here(uids) == uids


def _lose(session: Session, uids: set[str]) -> None:
    """These lie on the disk of a node that is gone."""
    join(session, "lost", "host", True, datetime.now(UTC) - timedelta(hours=1))
    lose_silent(session, datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC))
    theirs = update(InstanceRow).where(InstanceRow.sop_instance_uid.in_(uids))
    session.execute(theirs.values(node_id="lost"))


def test_outside_of_its_hours_the_archive_is_not_even_asked(tmp_path: Path) -> None:
    """Nobody listens there: a question would end by an error."""
    nobody = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=free_port())
    site = Site(tmp_path / "data", get_from(nobody))
    site.begin()
    noon = StandingClock(datetime(2026, 3, 1, 12).astimezone())
    told: list[datetime] = []

    def closed(until: datetime) -> None:
        told.append(until)
        site.stop.set()

    hours = OpenHours(Hours.parsed("22-6"), site.stop, closed, noon)
    assert site.pull(run.Asked(study="1.2.3"), hours) == []
    assert [each.hour for each in told] == [22]
    site.stop.clear()
    noon.move(11 * 3600)
    with pytest.raises(PeerError):
        site.pull(run.Asked(study="1.2.3"), hours)


def test_a_series_that_is_asked_for_in_the_morning_comes_the_next_night(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    """Three studies of one accession number, two hours each: the first begins just before six, the
    second at ten in the evening, by another association, the third after midnight."""
    site = Site(tmp_path / "data", get_from(orthanc.peer))
    site.begin()
    morning = StandingClock(datetime(2026, 3, 2, 5, 59).astimezone())
    came: list[tuple[int, int]] = []

    def wait(seconds: float) -> None:
        morning.move(seconds)

    def ended(_pulled: SeriesPulled) -> None:
        at = morning.now().astimezone()
        came.append((at.day, at.hour))
        morning.move(2 * 3600)

    stop = threading.Event()
    stop.wait = wait  # type: ignore[method-assign,assignment]
    hours = OpenHours(Hours.parsed("22-6"), stop, clock=morning)
    with closing(Database.open(site.settings.database_url)) as database:
        asked, told = run.Asked(accession=OF_THREE), lambda *_told: None
        run.pull(site.settings, database, asked, site.stop, told, ended, hours)
    assert came == [(2, 5), (2, 22), (3, 0)]


def test_hours_that_are_none_are_refused() -> None:
    done = dicomnode("pull", "--study", "1.2.3", "--hours", "22-25")
    assert (done.returncode, "as 22-6" in done.stderr) == (2, True)


def test_of_what_to_pull_one_thing_is_named() -> None:
    assert "give one of" in dicomnode("pull").stderr
    assert "give one of" in dicomnode("pull", "--study", "1.2", "--accession", "A").stderr


@pytest.mark.parametrize("how", ["c-get", "wado-rs"])
def test_who_is_answered_that_it_is_stored_is_told_the_truth(
    orthanc: Orthanc, study: str, tmp_path: Path, how: str
) -> None:
    """`durability = "store"` is of answers: the archive gets one to what C-GET brings."""
    site = Site(
        tmp_path / "data", get_from(orthanc.peer) if how == "c-get" else web_of(orthanc, tmp_path)
    )
    store = tmp_path / "store"
    store.mkdir()
    durable = {
        "receive": ReceiveSettings(durability="store"),
        "object_store": ObjectStoreSettings(url=store.as_uri()),
    }
    site.settings = site.settings.model_copy(update=durable)
    site.begin()
    (pulled,) = site.pull(run.Asked(study=study))
    assert (pulled.came, pulled.lacking) == (SLICES, 0)
    objects = [path for path in store.glob("instances/*") if path.is_file()]
    assert len(objects) == (SLICES if how == "c-get" else 0)


@pytest.mark.parametrize("how", ["c-get", "wado-rs"])
def test_on_a_full_disk_it_ends_and_says_why(
    orthanc: Orthanc, study: str, tmp_path: Path, how: str
) -> None:
    query = get_from(orthanc.peer) if how == "c-get" else web_of(orthanc, tmp_path)
    site = Site(tmp_path / "data", query)
    site.begin()
    full = DiskPolicy(refuse_below_bytes=1 << 60, resume_above_bytes=1 << 61)
    site.settings = site.settings.model_copy(update={"disk": full})
    with pytest.raises(PeerError, match=r"sends, but nothing can be kept here: .*free"):
        site.pull(run.Asked(study=study))
