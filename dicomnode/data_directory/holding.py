"""Holding a data directory: one node at a time, its own id, and the settings that it runs with."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dicomnode.config.reading import kept_settings
from dicomnode.config.settings import Settings
from dicomnode.data_directory import incarnations
from dicomnode.errors import AlreadyRunningError, ConfigurationError
from storage.durable import DurableFiles
from storage.folders import give_to_owner_of_folder

_LOCK = "node.lock"

NODE_ID = "node.id"
"""Name of the file in the data directory that holds the node's own id."""

KEPT = "settings.json"
"""Name of the file in the data directory: the settings that the node runs, or last ran, with."""


@contextmanager
def only_one(data_directory: Path) -> Iterator[str]:
    """Hold the data directory for this process; gives the node's own id, kept in the directory.

    The lock is the kernel's (flock): it ends with the process, however that ends.

    Raises:
        AlreadyRunningError: another node works on the same data directory.
        ConfigurationError: the directory cannot be made or written.
    """
    with ExitStack() as held:
        try:
            data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = held.enter_context((data_directory / _LOCK).open("a+"))
            give_to_owner_of_folder(lock.fileno(), data_directory)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            node_id = _node_id(data_directory)
            incarnations.begin(data_directory)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"a node is already running on the data directory {data_directory}"
            ) from None
        except OSError as error:
            where = error.filename or data_directory
            raise ConfigurationError(f"{where}: {error.strerror}") from error
        yield node_id


def is_held(data_directory: Path) -> bool:
    """Whether a node runs on a data directory.

    Raises:
        OSError: who may not look there.
    """
    try:
        with (data_directory / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def id_of_node(data_directory: Path) -> str:
    """Of the node whose directory it is; empty where none has run yet.

    Raises:
        OSError: who may not look there.
    """
    try:
        return (data_directory / NODE_ID).read_text().strip()
    except FileNotFoundError:
        return ""


def _node_id(data_directory: Path) -> str:
    """Made at the first start, and durable before it is used."""
    node_id = id_of_node(data_directory)
    if not node_id:
        node_id = uuid.uuid4().hex
        DurableFiles(data_directory).put(NODE_ID, (node_id.encode(),))
    return node_id


def keep_settings(settings: Settings) -> Path:
    """Write the settings to the data directory, for the processes of the node.

    A configuration file that is edited counts from the next start or reload on, for all of them.
    """
    kept = settings.node.data_directory / KEPT
    DurableFiles(settings.node.data_directory).put(
        kept.name, (settings.model_dump_json(indent=2).encode(),)
    )
    return kept


def settings_now(data_directory: Path) -> Settings:
    """Those that the node on a data directory runs with now.

    Raises:
        OSError: no node has run there.
        ValueError: another version of the node did.
    """
    return kept_settings(data_directory / KEPT)


@contextmanager
def locked_folder(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock of a folder is ours: not where another has it, or no locks are."""
    with ExitStack() as held:
        is_ours = False
        with suppress(OSError):
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            held.callback(os.close, opened)
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_ours = True
        yield is_ours
