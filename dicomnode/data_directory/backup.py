"""Backs a node up while it works, and puts it back.

A back-up is a folder of its own: the database as one SQLite file, whatever the node's is, then the
files, copied after it: none that a row names can be missing, for the cleaner waits meanwhile. What
came after the rows were read is a file without a row, which a node that starts enters by itself.
`files.sha256` is in the form of sha256sum(1). A file that the back-up before has alike is a hard
link to that one. Keys, certificates and secrets lie elsewhere and are in no back-up.

What is put back is held: what was withdrawn or sent after the back-up was made cannot be told from
it. `dicomnode database release` lets it go.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import NODE_ID, locked_folder
from dicomnode.errors import ConfigurationError
from dicomnode.version import VERSION
from storage.adopt import hold
from storage.database import Database, is_missing
from storage.direct_io import FILE_MODE
from storage.durable import INCOMING, DurableFiles
from storage.errors import MoveError
from storage.folders import give_to_owner_of_folder, make_folder, sync_folder
from storage.models import SCHEMA_REVISION
from storage.move import check_empty, copy_rows
from storage.sealing import named_files

ABOUT, DIGESTS, ROWS = "backup.json", "files.sha256", "database.sqlite3"
_FOLDERS = ("instances", "results", "models", "audit")
_LOCK = "removal.lock"
_UNFINISHED = ".unfinished-"
_CHUNK = 1 << 20
_MOST_NAMED = 5

OnProgress = Callable[[int], None]
"""Is told the bytes of each file that is done."""


@dataclass(frozen=True)
class Backup:
    """What `backup.json` tells. `missing`: files that rows name and the node did not have;
    `in_store`: how many more are in the object store, which is to be backed up by itself."""

    made_at: str
    version: str
    schema: str
    node_id: str
    rows: int
    files: int
    bytes: int
    linked: int
    missing: tuple[str, ...]
    in_store: int = 0


@contextmanager
def may_remove(data_directory: Path, wait: bool = False) -> Iterator[bool]:
    """Whether files may be removed now; held until the end of the block, by the cleaner or by a
    back-up. `wait`: until it is free.

    Raises:
        OSError
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    lock = os.open(data_directory / _LOCK, flags, FILE_MODE)
    try:
        give_to_owner_of_folder(lock, data_directory)  # else the cleaner is locked out by root
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def back_up(
    settings: Settings, to: Path, now: datetime, on_progress: OnProgress = lambda _size: None
) -> tuple[Path, Backup]:
    """Make a back-up below `to`; its folder, and what it is. The node may work meanwhile.

    Raises:
        ConfigurationError: there is nothing to back up, or `to` cannot be written.
        DatabaseUnavailableError
    """
    here = settings.node.data_directory
    try:
        node_id = (here / NODE_ID).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{here}: no node has run here yet: {error.strerror}") from error
    name = now.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    unfinished, finished = to / f"{_UNFINISHED}{name}", to / name
    try:
        make_folder(to)
        if to.resolve().is_relative_to(here.resolve()):
            raise ConfigurationError(f"{to} lies in the data directory, and would be lost with it")
        if finished.exists():
            raise ConfigurationError(f"{finished} is there already")
        former = _newest(to, node_id)
        with _work_folder(unfinished):
            with may_remove(here, wait=True):
                rows = _snapshot(settings.database_url, unfinished / ROWS)
                copied = _Copied(former, unfinished, on_progress)
                for folder in _FOLDERS:
                    copied.take_folder(here, folder)
            missing, in_store = _named_but_missing(unfinished, set(copied.digests), node_id)
            copied.take(here / NODE_ID, NODE_ID)
            copied.enter(ROWS)
            told = Backup(
                now.isoformat(),
                VERSION,
                SCHEMA_REVISION,
                node_id,
                rows,
                len(copied.digests),
                copied.bytes,
                copied.linked,
                missing,
                in_store,
            )
            lines = (f"{digest}  {path}\n" for path, digest in sorted(copied.digests.items()))
            (unfinished / DIGESTS).write_text("".join(lines), "utf-8")
            (unfinished / ABOUT).write_text(json.dumps(asdict(told), indent=2) + "\n", "utf-8")
            os.sync()
            unfinished.rename(finished)
            sync_folder(to)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or to}: {error.strerror}") from error
    return finished, told


@contextmanager
def _work_folder(folder: Path) -> Iterator[None]:
    """Made, locked for as long as we live, and gone at the end unless it has another name by then.
    What such folders beside it hold whose makers died is removed first.

    Raises:
        OSError
    """
    with ExitStack() as held:
        with locked_folder(
            folder.parent, wait=True
        ):  # else another took ours before its lock for left
            for other in folder.parent.glob(f"{_UNFINISHED}*"):
                with locked_folder(other) as is_left:
                    if is_left:
                        shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(mode=0o700)
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            held.enter_context(locked_folder(folder))
        yield


def read_backup(folder: Path) -> Backup:
    """What a back-up is.

    Raises:
        ConfigurationError: it is none, or was made by a later release.
    """
    try:
        told: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
        backup = Backup(**told | {"missing": tuple(told["missing"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{folder} is no back-up of a node ({error})") from None
    if backup.schema > SCHEMA_REVISION:
        raise ConfigurationError(f"{folder} was made by dicomnode {backup.version}: install that")
    return backup


def damaged_files(folder: Path, on_progress: OnProgress = lambda _size: None) -> tuple[str, ...]:
    """Which files of a back-up are gone or not as they were.

    Raises:
        ConfigurationError: it is none.
    """
    read_backup(folder)
    return tuple(
        path
        for path, digest in _digests(folder).items()
        if _digest_of(folder / path, on_progress) != digest
    )


def put_back(
    folder: Path,
    settings: Settings,
    now: datetime,
    on_progress: OnProgress = lambda _size: None,
) -> tuple[int, int]:
    """Put a back-up into a data directory and a database that are empty, and hold what waits there:
    how many series, and how many deliveries. The node must not run.

    Raises:
        ConfigurationError: something lies there already, or the back-up is damaged.
        DatabaseUnavailableError
    """
    backup, here = read_backup(folder), settings.node.data_directory
    for name in _FOLDERS:
        if any(each.is_file() for each in (here / name).rglob("*")):
            raise ConfigurationError(f"{here / name} is not empty: move it elsewhere first")
    _check_empty(settings.database_url)
    try:
        for path, digest in _digests(folder).items():
            if path.partition("/")[0] in _FOLDERS:
                make_folder((here / path).parent)
                if _copy(folder / path, here / path, on_progress) != digest:
                    raise ConfigurationError(
                        f"{folder / path} is damaged; {here} holds a part of the files now, and "
                        "the database nothing: empty it before another try"
                    )
        DurableFiles(here).put(NODE_ID, (backup.node_id.encode(),))
        os.sync()
        held = _restored_rows(folder, settings, now)
        _give_to_owner(here)
        return held
    except OSError as error:
        raise ConfigurationError(f"{error.filename or here}: {error.strerror}") from error


def _check_empty(url: str) -> None:
    if is_missing(url):
        return
    try:
        with closing(Database.open(url)) as database, database.read() as session:
            check_empty(session, database.url)
    except MoveError as error:
        raise ConfigurationError(str(error)) from error


def _give_to_owner(folder: Path) -> None:
    """What root put back is for the node's user, whose the folder is."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for above, folders, names in os.walk(folder):
            for name in (*folders, *names):
                os.chown(Path(above, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def _restored_rows(folder: Path, settings: Settings, now: datetime) -> tuple[int, int]:
    """The file of the back-up is copied first: opening it may migrate it."""
    work = settings.node.data_directory / f"{_UNFINISHED}{ROWS}"
    shutil.copyfile(folder / ROWS, work)
    try:
        with _opened(work) as rows, closing(Database.open(settings.database_url)) as database:
            copy_rows(rows, database)
            with database.write() as session:
                return hold(session, now)
    except MoveError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        work.unlink()


@contextmanager
def _opened(file: Path) -> Iterator[Database]:
    """What SQLite lays beside it goes again."""
    try:
        with closing(Database.open(f"sqlite:///{file.absolute()}")) as database:
            yield database
    finally:
        for beside in file.parent.glob(f"{file.name}?*"):
            beside.unlink()


class _Copied:
    """What has been copied so far: digests by path."""

    def __init__(self, former: Path | None, to: Path, on_progress: OnProgress) -> None:
        self.digests: dict[str, str] = {}
        self.bytes = self.linked = 0
        self._former, self._to, self._on_progress = former, to, on_progress
        self._known = _digests(former) if former else {}

    def take_folder(self, root: Path, folder: str) -> None:
        for above, folders, names in os.walk(root / folder):
            folders[:] = [each for each in folders if each != INCOMING]
            for name in names:
                file = Path(above, name)
                if file.is_file() and not file.is_symlink():
                    self.take(file, file.relative_to(root).as_posix())

    def take(self, file: Path, path: str) -> None:
        target = self._to / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            if not self._linked(file, path, target):
                self.digests[path] = _copy(file, target, self._on_progress)
        except FileNotFoundError:
            return  # withdrawn from under us; a row that names it is told as missing
        self.bytes += target.stat().st_size

    def enter(self, path: str) -> None:
        """A file that was written into the back-up itself."""
        self.digests[path] = _digest_of(self._to / path, self._on_progress) or ""
        self.bytes += (self._to / path).stat().st_size

    def _linked(self, file: Path, path: str, target: Path) -> bool:
        digest = self._known.get(path)
        if self._former is None or digest is None:
            return False
        now = file.stat()
        try:
            before = (self._former / path).stat()
            if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
                return False
            os.link(self._former / path, target)
        except OSError:  # gone from the back-up before, or a file system that knows no links
            return False
        self.digests[path] = digest
        self.linked += 1
        self._on_progress(now.st_size)
        return True


def _snapshot(url: str, to: Path) -> int:
    with closing(Database.open(url)) as source, _opened(to) as target:
        return sum(copy_rows(source, target).values())


def _named_but_missing(folder: Path, copied: set[str], node_id: str) -> tuple[tuple[str, ...], int]:
    """Paths of files of this node that the rows of a back-up name and that are not in it; and how
    many others, that are in the object store."""
    with _opened(folder / ROWS) as database, database.read() as session:
        named = named_files(session, node_id)
    lacking = named.keys() - copied
    missing = sorted(path for path in lacking if named[path] is None)
    return tuple(missing), len(lacking) - len(missing)


def _newest(to: Path, node_id: str) -> Path | None:
    """The newest whole back-up of the same node."""
    for folder in sorted((each for each in to.iterdir() if each.is_dir()), reverse=True):
        try:
            if read_backup(folder).node_id == node_id:
                return folder
        except ConfigurationError:
            continue
    return None


def _digests(folder: Path) -> dict[str, str]:
    """Of a back-up, by path.

    Raises:
        ConfigurationError: it cannot be read, or leads out of the back-up.
    """
    found = {}
    try:
        for line in (folder / DIGESTS).read_text("utf-8").splitlines():
            digest, _, path = line.partition("  ")
            if not path or Path(path).is_absolute() or ".." in Path(path).parts:
                raise ConfigurationError(f"{folder / DIGESTS} is damaged")
            found[path] = digest
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{folder / DIGESTS} cannot be read: {error}") from error
    return found


def _digest_of(file: Path, on_progress: OnProgress) -> str | None:
    """None where there is no such file."""
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            on_progress(opened.tell())
            return digest
    except OSError:
        return None


def _copy(file: Path, to: Path, on_progress: OnProgress) -> str:
    """The SHA-256 of what was copied; times and mode are kept, since retention goes by them."""
    digest = hashlib.sha256()
    with file.open("rb") as source, to.open("xb") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    shutil.copystat(file, to)
    on_progress(to.stat().st_size)
    return digest.hexdigest()
