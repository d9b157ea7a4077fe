"""Reads the facts of a node: from its database, its data directory and its configuration.

Each source is asked by itself: one that fails is named among the facts, and the rest is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Blind, Facts
from dicomnode.disk_gate import disk_space
from dicomnode.health.lock import is_locked
from dicomnode.processes.states import read_state
from storage.database import Database, is_missing
from storage.errors import DatabaseUnavailableError, StorageError

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Else = TypeVar("_Else")


class Collector:
    """Looks at one node again and again."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def collect(self, now: datetime) -> Facts:
        """The facts at `now`; never raises for what it looks at."""
        folder = self._settings.node.data_directory
        look = _Look()
        return Facts(
            at=now,
            node=look.at("the processes", lambda: read_state(folder), None),
            running=look.at("the lock of the node", lambda: is_locked(folder), None),
            database_fault=self._database_fault(),
            disk=look.at("the disk", lambda: disk_space(folder), None),
            blind=tuple(look.blind),
        )

    def _database_fault(self) -> str | None:
        """Asked first: where it is away, no other question waits for it."""
        if is_missing(self._settings.database_url):
            return f"{self._database.url} is not there"
        try:
            with self._database.read() as session:
                session.execute(text("SELECT 1"))
        except (DatabaseUnavailableError, StorageError) as error:
            return str(error)
        except SQLAlchemyError as error:
            return f"{self._database.url} cannot be used: {type(error).__name__}"
        return None


class _Look:
    """One look at all sources; `blind`: those that could not be looked at."""

    def __init__(self) -> None:
        self.blind: list[Blind] = []

    def at(self, what: str, read: Callable[[], _T], otherwise: _Else) -> _T | _Else:
        try:
            return read()
        except OSError as error:
            self.blind.append(Blind(what, error.strerror or type(error).__name__))
        except Exception as error:  # a library's text may quote values: only its kind is told
            log.debug("%s", what, exc_info=True)
            self.blind.append(Blind(what, type(error).__name__))
        return otherwise
