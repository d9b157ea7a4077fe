"""The errors of storage. No message bears a password or a patient's identity.

Only `DatabaseUnavailableError` is an outage, to be waited for: it is over by itself, and what was
tried may be tried again. All others are faults of what was asked, of a row or of the set-up:
another attempt would end the same, so no loop waits for them.
"""

from __future__ import annotations

import errno


class StorageError(Exception):
    """Base of all errors that storage raises on purpose; a full disk stays an OSError."""


class DatabaseUrlError(StorageError):
    """The URL names no database that this code can work with."""


class DatabaseUnavailableError(StorageError):
    """An outage: the database could not be reached, stayed locked too long, or has no room."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


class SchemaTooNewError(StorageError):
    """A later release of this software has changed the database; this one must not touch it."""

    def __init__(self, url: str, found: str, known: str) -> None:
        super().__init__(f"{url}: schema revision {found} is unknown here (newest known: {known})")
        self.found = found
        self.known = known


class UnknownRevisionError(StorageError):
    """No earlier schema bears this revision."""

    def __init__(self, asked: str, found: str | None, earlier: tuple[str, ...]) -> None:
        names = ", ".join(earlier) or "none"
        super().__init__(f"{asked} is no schema before {found or 'none'}: earlier are {names}")


class LeaseLostError(StorageError):
    """The lease ran out and someone else may hold the work: nothing of it may be written."""


class UnknownAssociationError(StorageError):
    """An association is to be ended that was never opened."""


class UnsafePathError(StorageError):
    """A stored path does not have the form that storage gives, or leads out of its folder."""


class DamagedHistoryError(StorageError):
    """What became of a series' results is written beside their files, and cannot be understood."""


class MoveError(StorageError):
    """A database cannot be taken to another place; where it was to go nothing has changed."""


class ObjectStoreError(StorageError, OSError):
    """The object store is away, slow or refuses: what was asked of it may be asked again, as of a
    disk that fails."""

    def __init__(self, why: str) -> None:
        OSError.__init__(self, errno.EIO, f"object store: {why}")

    def __str__(self) -> str:
        return str(self.strerror)


class WrongStoreError(ObjectStoreError):
    """What answers is not the store of this database, a folder that nothing is mounted on perhaps:
    whatever is written there, or missing there, tells nothing."""


class ObjectMissingError(ObjectStoreError):
    """An object is not in the store, or is shorter than its rows say."""


class DamagedObjectError(ObjectStoreError):
    """What the store gave is not what was written there."""
