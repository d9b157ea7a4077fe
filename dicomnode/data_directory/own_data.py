"""Whether the database tells the history of what lies in the data directory.

The rows say what was analysed, sent and withdrawn; the files alone do not. A node that began over
its files with a database that knows nothing of them would analyse and send everything again, under
the very UIDs of results that were withdrawn. So it does not start, and says what to do. (What was
withdrawn is kept beside the results too, see `storage.result_history`: of that nothing is sent.)

Files may well be newer than the rows: a receiver that was killed had not indexed them, or the
database was away. What tells a lost history is a result of a series that no row knows (its row is
there before anything else of it), or received instances beside a database that no node has owned.
Two cases look alike and are none. At the very first start the database may be away while instances
come already: a file in the data directory says so (`AWAITING`). And a standby that was promoted may
lack the last moments of its primary: the series of these are entered, analysed and sent again, and
bear the same UIDs; what was withdrawn of them is known here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import gethostname

from dicomnode.config.settings import Settings
from dicomnode.data_directory.worker_host import check_is_none, is_worker_host
from dicomnode.errors import ConfigurationError
from storage.database import Database, is_missing
from storage.durable import DurableFiles
from storage.errors import DatabaseUnavailableError, StorageError
from storage.instances import InstanceFiles
from storage.nodes import all_nodes, folders_without_series, join
from storage.results import ResultFiles
from storage.statements import moment

log = logging.getLogger(__name__)

AWAITING = "awaiting-database"
"""Name of a file in the data directory: nothing lay there when the node began, and it has had no
database since."""

_RETRY_SECONDS = 1.0
_MOST_NAMED = 3

_FAIL_OVER = timedelta(minutes=15)
"""A standby that lacked more was no standby, and a back-up is older."""


class LostHistoryError(ConfigurationError):
    """The database knows nothing of what lies in the data directory."""


@dataclass(frozen=True)
class _Holdings:
    """What lies in a data directory; `result_folders`: one for each series that has results."""

    result_folders: tuple[str, ...]
    has_instances: bool

    @classmethod
    def of(cls, settings: Settings) -> _Holdings:
        folders = tuple(ResultFiles(settings.result_files).iter_folders())
        first = next(InstanceFiles(settings.instances).iter_paths(), None)
        return cls(folders, first is not None)


def note_first_start(settings: Settings) -> None:
    """To be called before anything is received: marks a data directory that holds nothing.

    Raises:
        ConfigurationError: it is that of `dicomnode worker`.
        OSError
    """
    check_is_none(settings)
    result = next(ResultFiles(settings.result_files).iter_folders(), None)
    instance = next(InstanceFiles(settings.instances).iter_paths(), None)
    if result is None and instance is None:
        DurableFiles(settings.node.data_directory).put(AWAITING, (b"",))


def take_database(settings: Settings, node_id: str) -> None:
    """Make the database this node's own, or join those that share it; again, it changes nothing.

    Raises:
        ConfigurationError: it belongs to another data directory, and one of both does not share.
        LostHistoryError: it does not know what lies here.
        DatabaseUnavailableError: it cannot be asked.
    """
    held, mark = _Holdings.of(settings), settings.node.data_directory / AWAITING
    past = bool(held.result_folders) or (held.has_instances and not mark.exists())
    if past and is_missing(settings.database_url):
        raise _without_history(settings, Database.open_later(settings.database_url).url)
    with closing(Database.open(settings.database_url)) as database, database.write() as session:
        nodes, shares = all_nodes(session), settings.node.shares_database
        is_known = node_id in {each.node_id for each in nodes}
        for each in nodes:
            if each.node_id != node_id and not each.forgotten and not (shares and each.shares):
                raise ConfigurationError(
                    f"{database.url} belongs to the node {each.node_id}, whose files are "
                    f"elsewhere; {settings.node.data_directory} is that of {node_id}. Several "
                    "nodes work on one database where each has [node] shares_database = true"
                )
        unknown = folders_without_series(session, held.result_folders)
        own = [each.heard_at for each in nodes if each.node_id == node_id]
        if unknown and database.serves and own and _after(settings, unknown, own[0]) < _FAIL_OVER:
            log.warning("%d series are not in the database, and entered again", len(unknown))
        elif unknown:
            raise _without_history(settings, database.url, unknown)
        if not nodes and held.result_folders:
            raise LostHistoryError(
                f"{database.url} is no node's any more: `dicomnode database move` took it "
                "elsewhere. Name that place in [node] database_url. Only where that one is lost, "
                "`dicomnode database adopt` goes on with this one, and holds what it does not know "
                "to be sent until you release it"
            )
        if not is_known and past:
            raise _without_history(settings, database.url)
        workers, receives = settings.inference.workers, not is_worker_host(settings)
        join(session, node_id, gethostname(), shares, moment(session), workers, receives)
    mark.unlink(missing_ok=True)


def _after(settings: Settings, folders: Iterable[str], heard_at: datetime) -> timedelta:
    """How long after the database last heard of this node results came into these folders."""
    times = ((settings.result_files / each).stat().st_mtime for each in folders)
    return datetime.fromtimestamp(max(times), UTC) - heard_at


def check_own(settings: Settings, node_id: str) -> None:
    """For a process that is started while the node runs: the database may have been replaced.

    Raises:
        ConfigurationError: it is gone, or not this node's.
        DatabaseUnavailableError: it cannot be asked.
    """
    if is_missing(settings.database_url):
        url = Database.open_later(settings.database_url).url
        raise ConfigurationError(f"{url} is gone: put it back from its back-up")
    with closing(Database.open(settings.database_url)) as database, database.read() as session:
        nodes = all_nodes(session)
    if node_id not in {each.node_id for each in nodes}:
        moved = "" if nodes else " (was it moved? name its new place in [node] database_url)"
        raise ConfigurationError(
            f"{database.url} is not the one that this node was started on{moved}"
        )


def own_or_take(settings: Settings, node_id: str) -> None:
    """For a receiver: asks only whose it is, as long as it is this node's; the supervisor has
    looked through all that lies here.

    Raises:
        as `take_database`.
    """
    try:
        check_own(settings, node_id)
    except ConfigurationError:
        take_database(settings, node_id)


def wait_for_own(settings: Settings, node_id: str, stop: threading.Event) -> None:
    """`check_own` as soon as the database is there; an outage is told once, and once its end.

    Raises:
        ConfigurationError
    """
    away = False
    while not stop.is_set():
        try:
            check_own(settings, node_id)
        except DatabaseUnavailableError as error:
            if not away:
                log.warning("waits for the database: %s", error)
            away = True
            stop.wait(_RETRY_SECONDS)
            continue
        if away:
            log.info("the database is back")
        return


class Taking:
    """Takes the database as soon as it is there: the receivers wait for nothing."""

    def __init__(self, settings: Settings, node_id: str) -> None:
        """Tries it at once.

        Raises:
            ConfigurationError: the node must not start.
        """
        self._settings = settings
        self._node_id = node_id
        self._away = False
        self._refused: ConfigurationError | None = None
        self._taken = self._try()

    def start(self, stop: threading.Event) -> None:
        """Go on trying, in a thread, until it is taken or refused."""
        if not self._taken:
            threading.Thread(target=self._run, args=(stop,), daemon=True, name="taking").start()

    @property
    def taken(self) -> bool:
        """Whether the rest of the node may start.

        Raises:
            ConfigurationError: it may not.
        """
        if self._refused is not None:
            raise self._refused
        return self._taken

    def _run(self, stop: threading.Event) -> None:
        try:
            while not self._taken and not stop.wait(_RETRY_SECONDS):
                self._taken = self._try()
        except ConfigurationError as error:
            self._refused = error
        except (StorageError, OSError) as error:
            self._refused = ConfigurationError(f"the database cannot be used: {error}")

    def _try(self) -> bool:
        try:
            take_database(self._settings, self._node_id)
        except DatabaseUnavailableError as error:
            if not self._away:
                log.warning("the database is not there yet: %s", error)
            self._away = True
            return False
        if self._away:
            log.info("the database is there")
        return True


def _without_history(
    settings: Settings, url: str, folders: tuple[str, ...] = ()
) -> LostHistoryError:
    results, instances = settings.result_files, settings.instances
    named = ", ".join(folders[:_MOST_NAMED]) + (" …" if len(folders) > _MOST_NAMED else "")
    what = f"{results} holds results" if folders else f"{settings.node.data_directory} was in use"
    which = f" of {len(folders)} series ({named})" if folders else ""
    return LostHistoryError(
        f"{what}{which}, but {url} knows nothing of it: all would be analysed and sent again. "
        "Put the database back from its back-up, or name the right one in [node] database_url. "
        "`dicomnode database move` takes a database to another place. Where it is lost, "
        "`dicomnode database adopt` begins a new one with what lies here, and holds it until you "
        f"release it. To begin anew all the same, move {results} and {instances} elsewhere first"
    )
