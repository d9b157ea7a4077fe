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
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import gethostname

from sqlalchemy.orm import Session

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.incarnations import (
    SILENCE,
    StillHeardError,
    check_former_is_over,
    starts_of,
)
from dicomnode.data_directory.worker_host import check_is_none, is_worker_host
from dicomnode.errors import ConfigurationError
from storage.database import Database, check_answers, is_missing
from storage.durable import DurableFiles
from storage.errors import DatabaseUnavailableError, StorageError
from storage.incarnations import alone_on, give_up, held, note_twice, sign
from storage.instances import InstanceFiles
from storage.models import SCHEMA_REVISION
from storage.nodes import all_nodes, find, folders_without_series, join
from storage.overview_records import Node
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


def take_database(settings: Settings, node_id: str, over: str = "") -> None:
    """Make the database this node's own, or join those that share it; again, it changes nothing.

    `over`: as for `check_former_is_over`.

    Raises:
        ConfigurationError: it belongs to another data directory, and one of both does not share.
        StillHeardError: so may an earlier start of this node be, elsewhere.
        LostHistoryError: it does not know what lies here.
        DatabaseUnavailableError: it cannot be asked.
    """
    holds, mark = _Holdings.of(settings), settings.node.data_directory / AWAITING
    past = bool(holds.result_folders) or (holds.has_instances and not mark.exists())
    if past and is_missing(settings.database_url):
        raise _without_history(settings, Database.open_later(settings.database_url).url)
    with closing(_opened(settings)) as database:
        if database.serves and settings.node.shares_database:
            _give_up_missing(settings, database, node_id, over)
        _take(settings, database, node_id, holds, past=past, over=over)
    mark.unlink(missing_ok=True)


def _take(
    settings: Settings,
    database: Database,
    node_id: str,
    holds: _Holdings,
    *,
    past: bool,
    over: str,
) -> None:
    with database.write() as session:
        own = held(session, node_id)
        if own is not None and database.serves:
            _check_former_is_over(settings, session, own, over)
        nodes, shares = all_nodes(session), settings.node.shares_database
        for each in nodes:
            if each.node_id != node_id and not each.forgotten and not (shares and each.shares):
                raise ConfigurationError(
                    f"{database.url} belongs to the node {each.node_id}, whose files are "
                    f"elsewhere; {settings.node.data_directory} is that of {node_id}. Several "
                    "nodes work on one database where each has [node] shares_database = true"
                )
        unknown = folders_without_series(session, holds.result_folders)
        lately = own is not None and _after(settings, unknown, own.heard_at) < _FAIL_OVER
        if unknown and database.serves and lately:
            log.warning("%d series are not in the database, and entered again", len(unknown))
        elif unknown:
            raise _without_history(settings, database.url, unknown)
        if not nodes and holds.result_folders:
            raise LostHistoryError(
                f"{database.url} is no node's any more: `dicomnode database move` took it "
                "elsewhere. Name that place in [node] database_url. Only where that one is lost, "
                "`dicomnode database adopt` goes on with this one, and holds what it does not know "
                "to be sent until you release it"
            )
        if own is None and past:
            raise _without_history(settings, database.url)
        workers, receives = settings.inference.workers, not is_worker_host(settings)
        join(session, node_id, gethostname(), shares, moment(session), workers, receives)
        sign(session, node_id, starts_of(settings.node.data_directory).word)


def _check_former_is_over(settings: Settings, session: Session, own: Node, over: str) -> None:
    here = settings.node.data_directory
    check_former_is_over(own, starts_of(here), here, moment(session), over)


def _give_up_missing(settings: Settings, database: Database, node_id: str, over: str) -> None:
    """Where the last start was of another directory, or before the machine was started: what the
    rows say is here, and is not."""
    with database.read() as session:
        own = find(session, node_id)
        if own is None or starts_of(settings.node.data_directory).is_ours(own.mark):
            return
        _check_former_is_over(settings, session, own, over)
        alone, now = alone_on(session, node_id), moment(session)
    instances, results = InstanceFiles(settings.instances), ResultFiles(settings.result_files)
    gone = [uid for uid, path in alone.instances.items() if not instances.is_there(path)]
    lost = [uid for uid, path in alone.results.items() if not results.open_path(path).is_file()]
    if not (gone or lost):
        return
    with database.write() as session:
        name = give_up(session, node_id, gone, lost, now)
    log.error(
        "not in %s, though the last start had them: %d instances and %d results; they count as "
        "lost with %s",
        settings.node.data_directory,
        len(gone),
        len(lost),
        name,
    )


def _opened(settings: Settings) -> Database:
    """
    Raises:
        as `Database.open`.
        ConfigurationError: workers alone are of a later release than the nodes: it is for these to
            bring the database up to date.
    """
    if is_worker_host(settings):
        found = check_answers(settings.database_url)
        if found is not None and found < SCHEMA_REVISION:
            raise ConfigurationError(
                f"the database has schema {found}, and these workers are of a release with schema "
                f"{SCHEMA_REVISION}: bring the nodes to that release first"
            )
    return Database.open(settings.database_url)


def _after(settings: Settings, folders: Collection[str], heard_at: datetime) -> timedelta:
    """How long after the database last heard of this node results came into these folders."""
    if not folders:
        return timedelta()
    times = ((settings.result_files / each).stat().st_mtime for each in folders)
    return datetime.fromtimestamp(max(times), UTC) - heard_at


def check_own(settings: Settings, node_id: str, *, this_start: bool = False) -> None:
    """For a process that is started while the node runs: the database may have been replaced.

    Raises:
        ConfigurationError: it is gone, or not this node's.
        StillHeardError: where that is asked for, the node was started elsewhere since; or this
            start of it has not taken the database yet.
        DatabaseUnavailableError: it cannot be asked.
    """
    if is_missing(settings.database_url):
        url = Database.open_later(settings.database_url).url
        raise ConfigurationError(f"{url} is gone: put it back from its back-up")
    with closing(_opened(settings)) as database, database.read() as session:
        nodes, serves = all_nodes(session), database.serves
    own = next((each for each in nodes if each.node_id == node_id), None)
    here = settings.node.data_directory
    if this_start and serves and own is not None and not starts_of(here).is_ours(own.mark):
        raise StillHeardError(own, here)
    if own is None:
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
        check_own(settings, node_id, this_start=True)
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
            check_own(settings, node_id, this_start=True)
        except (DatabaseUnavailableError, StillHeardError) as error:
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

    def __init__(
        self,
        settings: Settings,
        node_id: str,
        stop: threading.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Tries it at once; and where an earlier start may live elsewhere, until that is known, or
        `stop`: what came here meanwhile would lie on the wrong host.

        Raises:
            ConfigurationError: the node must not start.
        """
        self._settings = settings
        self._node_id = node_id
        self._away = False
        self._clock = clock or Clock()
        self._heard: str | None = None
        self._heard_at = 0.0
        self._refused: ConfigurationError | None = None
        self._taken, stop = self._try(), stop or threading.Event()
        while self._is_unsure() and not stop.wait(_RETRY_SECONDS):
            self._taken = self._try()

    def _is_unsure(self) -> bool:
        """Whether an earlier start may live elsewhere."""
        return self._heard is not None

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
        heard, self._heard = self._heard, None
        try:
            take_database(self._settings, self._node_id, self._over(heard))
        except StillHeardError as error:
            self._hear(heard, error)
            return False
        except DatabaseUnavailableError as error:
            if not self._away:
                log.warning("the database is not there yet: %s", error)
            self._away = True
            return False
        if self._away:
            log.info("the database is there")
        return True

    def _over(self, heard: str | None) -> str:
        """The mark of before, where nobody has written over it for long enough."""
        silent = self._clock.seconds() - self._heard_at > SILENCE.total_seconds()
        return heard if heard is not None and silent else ""

    def _hear(self, before: str | None, error: StillHeardError) -> None:
        """
        Raises:
            ConfigurationError: it lives, as it has left another mark than before.
        """
        if before not in (None, error.mark):
            url = self._settings.database_url
            with closing(Database.open(url)) as database, database.write() as session:
                note_twice(session, self._node_id, gethostname(), moment(session))
            raise ConfigurationError(str(error))
        if before is None:
            self._heard_at = self._clock.seconds()
            log.warning("waits to see whether this node runs elsewhere, for 20 s at most")
        self._heard = error.mark


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
