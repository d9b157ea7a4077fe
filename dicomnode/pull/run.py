"""From what a person or a job asks for to the series of an archive, each pulled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from dicomnode.audit.events import Peer as AuditedPeer
from dicomnode.config.destinations import WebServer
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import is_held, locked_folder
from dicomnode.decisions.hours import Hours
from dicomnode.decisions.pulling import FoundSeries, as_key, of_accession, of_ct, priors_of
from dicomnode.errors import AlreadyRunningError, ConfigurationError, DataError
from dicomnode.pull.archive import Archive, DicomArchive
from dicomnode.pull.keeping import Keeper
from dicomnode.pull.open_hours import OpenHours
from dicomnode.pull.steps import Known, Progress, Pull, SeriesPulled, Turn
from dicomnode.pull.web_archive import WebArchive
from storage import index
from storage.database import Database
from storage.records import AssociationEnd


@dataclass(frozen=True)
class Asked:
    """A study's CT, one series (of a study, where the archive wants to know it), the CT of an
    accession number, or the earlier CT of the patient of a study."""

    study: str = ""
    series: str = ""
    accession: str = ""
    prior_to: str = ""


def find_series(archive: Archive, asked: Asked) -> list[FoundSeries]:
    """The series that are asked for.

    Raises:
        DataError: what is asked for is no key, or the archive has none of it.
        PeerError: it does not answer.
    """
    for value in (asked.study, asked.series, asked.accession, asked.prior_to):
        _checked(value)
    if asked.series:
        all_there = archive.series(asked.study, asked.series)
        found = [each for each in all_there if each.series_instance_uid == asked.series]
    else:
        studies = [asked.study] if asked.study else _studies(archive, asked)
        found = [each for study in studies for each in of_ct(archive.series(study))]
    if not found:
        raise DataError("pull", f"{archive.name} has no CT of what was asked for")
    return found


def _checked(value: str) -> None:
    try:
        if value:
            as_key(value)
    except ValueError as error:
        raise DataError("pull", f"{value!r} {error}") from None


def _studies(archive: Archive, asked: Asked) -> list[str]:
    if asked.accession:
        accession = archive.studies("AccessionNumber", asked.accession)
        return [each.study_instance_uid for each in of_accession(accession, asked.accession)]
    current = [
        each
        for each in archive.studies("StudyInstanceUID", asked.prior_to)
        if each.study_instance_uid == asked.prior_to
    ]
    if not current:
        raise DataError("pull", f"{archive.name} has no study {asked.prior_to}")
    try:
        patient = as_key(current[0].patient_id)
    except ValueError:  # not told what it is: it is the patient's
        raise DataError("pull", "the Patient ID of that study is none to search for") from None
    same = archive.studies("PatientID", patient)
    return [each.study_instance_uid for each in priors_of(current[0], same)]


@contextmanager
def opened(
    settings: Settings, database: Database, role: str, stop: threading.Event
) -> Iterator[tuple[Archive, Keeper | None]]:
    """The archive of `[query]`, and who keeps what this process itself is sent by it.

    Raises:
        ConfigurationError: there is none, or nobody would receive what it sends.
        DatabaseUnavailableError
    """
    keeper = None
    with ExitStack() as held:
        if settings.query.retrieve != "c-move":
            answers = settings.query.retrieve == "c-get"
            keeper = Keeper(settings, database, _sender(settings), role, answers=answers)
            held.callback(keeper.close)
        elif not is_held(settings.node.data_directory):
            raise ConfigurationError(_NOBODY_RECEIVES)
        archive = held.enter_context(closing(_archive(settings, stop, keeper)))
        yield archive, keeper


_NOBODY_RECEIVES = (
    "the node does not run, and would not receive what C-MOVE brings: start it, or set [query]"
    ' retrieve = "c-get"'
)


def _sender(settings: Settings) -> AuditedPeer:
    web, peer = settings.query.web, settings.query.peer
    if settings.query.retrieve == "wado-rs" and web is not None:
        return AuditedPeer(sender_name(web), urlsplit(web.url).hostname or "")
    if peer is None:
        raise ConfigurationError("no archive is named to pull from: [query] peer")
    return AuditedPeer(peer.ae_title, peer.address)


def sender_name(server: WebServer) -> str:
    """Stands in the place of the calling AE title of what a DICOMweb server sends."""
    return server.name[:16]


def _archive(settings: Settings, stop: threading.Event, keeper: Keeper | None) -> Archive:
    query = settings.query
    if query.retrieve == "wado-rs" and query.web is not None and keeper is not None:
        return WebArchive(query.web, query.retrieve_timeout_seconds, keeper, stop)
    if query.peer is None:
        raise ConfigurationError("no archive is named to pull from: [query] peer")
    return DicomArchive(query.peer, settings.node.ae_title, query, stop, keeper)


def pull(
    settings: Settings,
    database: Database,
    asked: Asked,
    stop: threading.Event,
    told: Progress,
    ended: Callable[[SeriesPulled], object],
    hours: OpenHours | None = None,
) -> None:
    """Pull what is asked for; one pull at a time. What is here already is not asked for again.

    `ended`: of each series. `hours`: when the archive may be asked; a series that has begun is
    ended.

    Raises:
        AlreadyRunningError: another pulls into the same data directory.
        ConfigurationError, DatabaseUnavailableError: as `opened`.
        DataError, PeerError: as `find_series`, `Pull.series`.
    """
    with locked_folder(settings.instances) as is_ours:
        if not is_ours:
            raise AlreadyRunningError(f"another pull works on {settings.node.data_directory}")
        with opened(settings, database, "pull", stop) as (archive, keeper):
            one = Pulling(settings, database, archive, keeper, stop, told)
            hours = hours or OpenHours(Hours(), stop)
            hours.wait()
            for found in () if stop.is_set() else find_series(archive, asked):
                hours.wait(archive.close)
                if not stop.is_set():
                    ended(one.series(found))


def fetch_series(
    settings: Settings,
    database: Database,
    study_instance_uid: str,
    series_instance_uid: str,
    stop: threading.Event,
    known: Known | None = None,
) -> SeriesPulled:
    """For a job: one series, of which `known` tells what need not come again.

    Raises:
        as `pull`, without AlreadyRunningError: a node has one process that does this.
    """
    with opened(settings, database, "fetch", stop) as (archive, keeper):
        (found, *_) = find_series(archive, Asked(study_instance_uid, series_instance_uid))
        return Pulling(settings, database, archive, keeper, stop, known=known).series(found)


class Pulling:
    """Pulls series, and counts as here what the index has or our own keeper."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        archive: Archive,
        keeper: Keeper | None,
        stop: threading.Event,
        told: Progress = lambda *_told: None,
        known: Known | None = None,
        turn: Turn = lambda _images: None,
    ) -> None:
        self._database, self._keeper = database, keeper
        self._in_index = known or self._indexed
        rate = settings.query.images_per_second
        self._pull = Pull(archive, self._known, rate, stop, told, turn=turn)

    def series(self, found: FoundSeries) -> SeriesPulled:
        pulled = self._pull.series(found)
        if self._keeper is not None:
            lost = AssociationEnd.LOST if pulled.lacking else AssociationEnd.RELEASED
            self._keeper.series_ended(lost)
        return pulled

    def _known(self, uids: Collection[str]) -> set[str]:
        kept = set() if self._keeper is None else self._keeper.stored.intersection(uids)
        return kept | self._in_index([uid for uid in uids if uid not in kept])

    def _indexed(self, uids: Collection[str]) -> set[str]:
        with self._database.read() as session:
            return index.known_instances(session, uids)
