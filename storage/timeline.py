"""Which history of the database is written now: after a fail-over it is another one.

A standby that takes over for its primary may lack what was committed last there, and so may a
back-up that is put back. PostgreSQL then begins a new timeline. Who has told the database of what
lies on a disk tells it again.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from storage.database import Database

_DIGITS = 8  # of the timeline, in the name of a file of the write-ahead log


def timeline(database: Database) -> str:
    """Its name; empty for a file, and for a server that does not tell.

    Raises:
        DatabaseUnavailableError
    """
    if not database.serves:
        return ""
    now = func.left(func.pg_walfile_name(func.pg_current_wal_lsn()), _DIGITS)
    try:
        with database.read() as session:
            return session.scalar(select(now)) or ""
    except DBAPIError:  # no outage: it is none of PostgreSQL's own
        return ""
