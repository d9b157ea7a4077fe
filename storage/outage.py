"""Which faults of a database are outages: over by themselves, and worth waiting for.

The drivers name a lost connection, a full disk and a statement that can never work with one and
the same class (PEP 249: OperationalError); their codes tell them apart.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Primary result codes (sqlite.org/rescode.html). SQLITE_ERROR is a statement that cannot work."""

_POSTGRESQL = ("08", "28", "3D", "40", "53", "55", "57", "58", "25006", "25P03")
"""Beginnings of SQLSTATE (PostgreSQL, appendix A): connection, authorization, no such database,
rolled back, no resources, object in use, operator, system; a server that is read-only for now; a
transaction that was ended as nothing was asked in it."""


def is_outage(error: DBAPIError) -> bool:
    """Whether the same may work later. A fault without any code is one of the connection."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        code: int | None = getattr(error.orig, "sqlite_errorcode", None)
        return code is None or code & 0xFF in _SQLITE
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(_POSTGRESQL)
