"""The checks of the object store: what the node asks of it, each tried once with an object of no
patient."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from dicomnode.commission.checks import Check, failed, not_tested, passed
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.settings import Settings
from storage.database import Database, check_answers, is_missing
from storage.errors import ObjectMissingError, ObjectStoreError, StorageError, WrongStoreError
from storage.known_store import MARK, prove
from storage.models import SCHEMA_REVISION
from storage.object_store import ObjectStore, try_create

_WHAT = "object store"
_SIZE = 6 << 20
"""Bytes: more than some products take in one part."""

_REMEDIES = {
    "RequestTimeTooSkewed": "the clocks of this machine and of the store differ: set both by NTP",
    "SignatureDoesNotMatch": "the secret key in [object_store] credentials",
    "InvalidAccessKeyId": "the access key, user in [object_store] credentials",
    "NoSuchBucket": "make the bucket, or name another in [object_store] url",
    "credentials": "[object_store] credentials, and what they may do in this bucket: put, get, "
    "head and delete",
    "not installed": "pip install 'dicomnode[object-store]'",
}


def store_checks(settings: ObjectStoreSettings) -> Iterator[Check]:
    """Writes an object, reads it in all ways that the node does, and deletes it."""
    name = f"commission/{secrets.token_hex(16)}"
    try:
        store = settings.opened()
    except ObjectStoreError as error:
        yield _failed("connection", error)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "object")
        try:
            yield from _tried(store, name, file)
        finally:
            with suppress(ObjectStoreError):
                store.delete(name)


def mark_check(settings: Settings) -> Check:
    """Whether it is the store that the database knows; a new one is marked."""
    what = f"{_WHAT}: the one of the database"
    try:
        store = settings.object_store.opened()
        if is_missing(settings.database_url):
            return not_tested(what, found="there is no database yet: the first start marks it")
        if check_answers(settings.database_url) != SCHEMA_REVISION:
            return not_tested(what, found="the next start brings the database to this version")
        with closing(Database.open(settings.database_url)) as database:
            prove(database, store)
    except WrongStoreError as error:
        found, _, remedy = str(error).removeprefix("object store: ").partition(": ")
        return failed(what, found=found, remedy=remedy)
    except StorageError as error:
        return failed(what, found=str(error), remedy="mend what it says")
    return passed(what, found=f"it bears its mark ({MARK})")


def _tried(store: ObjectStore, name: str, file: Path) -> Iterator[Check]:
    step = "write"
    try:
        first, second = secrets.token_bytes(_SIZE), secrets.token_bytes(_SIZE)
        took = _put(store, name, file, first)
        yield passed(f"{_WHAT}: write", found=f"{_SIZE / (1 << 20) / took:.0f} MiB/s")
        step = "read a range"
        at = _SIZE // 2
        yield _is(step, store.get_range(name, at, 1000) == first[at : at + 1000])
        step = "write over it"
        _put(store, name, file, second)
        yield _is(step, store.get_range(name, 0, _SIZE) == second)
        step = "delete"
        conditional = try_create(store, name, file)
        store.delete(name)
        yield _is(step, store.size_of(name) is None)
        step = "read what is not there"
        yield _is(step, _is_missing(store, name))
    except ObjectStoreError as error:
        yield _failed(step, error)
        return
    said = "is refused" if conditional else "is not refused"
    found = f"a write over an object with If-None-Match {said}; nothing here counts on it"
    yield not_tested(f"{_WHAT}: conditional write", found=found)


def _put(store: ObjectStore, name: str, file: Path, content: bytes) -> float:
    """Seconds."""
    file.write_bytes(content)
    began = time.perf_counter()
    store.put(name, file)
    return max(time.perf_counter() - began, 1e-6)


def _is_missing(store: ObjectStore, name: str) -> bool:
    try:
        store.get_range(name, 0, 1)
    except ObjectMissingError:
        return True
    return False


def _is(step: str, right: bool) -> Check:
    if right:
        return passed(f"{_WHAT}: {step}", found="as it must be")
    found = "what came back is not what was written, or is there after it was deleted"
    return failed(f"{_WHAT}: {step}", found=found, remedy="another store: bytes would be lost")


def _failed(step: str, error: Exception) -> Check:
    text = str(error)
    remedy = next((each for sign, each in _REMEDIES.items() if sign in text), "[object_store]")
    return failed(f"{_WHAT}: {step}", found=text, remedy=remedy)
