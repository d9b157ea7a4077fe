"""An object store: a folder that several machines share, S3, Google Cloud Storage or Azure.

It keeps bytes under names that are made of their digests, and decides nothing: to write an object
twice is harmless, and which of them count is in the rows of the database. So nothing is asked of a
product beyond writing a whole object, reading a range of one, and deleting one.

The library is obstore (Rust's object_store), imported where a store that is no folder is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from storage.durable import LEFTOVER_AGE, DurableFiles
from storage.errors import ObjectMissingError, ObjectStoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

SCHEMES = ("file", "s3", "gs", "az")
_CONNECT_SECONDS = 5.0
_RETRIES = 3
_PIECE = 8 << 20
"""Bytes of a part that is uploaded on its own: so much of an object is in memory, several times."""

_AT_ONCE = 4
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_BUCKET, _SLOW = "NoSuchBucket", "kind: Timeout"
_STATUS = re.compile(r"status code: ([45]\d\d)")
_KINDS = {
    "UnauthenticatedError": "the credentials are not accepted",
    "PermissionDeniedError": "these credentials may not do that",
    "NotImplementedError": "the server cannot do that",
    "NotSupportedError": "the server cannot do that",
}


class ObjectStore(Protocol):
    """What is asked of a store. Names are of digests; each call may be repeated.

    Raises:
        ObjectStoreError: the store is away, slow, or refuses; says which.
    """

    def put(self, name: str, file: Path) -> None:
        """Write the bytes of a file; whole or not at all, and durable on return."""

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on.

        Raises:
            ObjectMissingError: there is no such object, or it ends before.
        """

    def size_of(self, name: str) -> int | None:
        """Bytes of an object; None where there is none."""

    def delete(self, name: str) -> None:
        """One that is gone already is no fault."""


@dataclass(frozen=True)
class Access:
    """How a store is reached. `options`: as obstore calls them, secrets among them."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 30.0


def open_store(access: Access) -> ObjectStore:
    """No connection is opened here, and no credential tried.

    Raises:
        ObjectStoreError: the library is not installed, or the options fit no store.
    """
    parts = urlsplit(access.url)
    return FolderStore(Path(unquote(parts.path))) if parts.scheme == "file" else _Remote(access)


class FolderStore:
    """Objects as files of a folder, which may lie on a file system that machines share.

    The folder is never made here: where it is absent its file system is not mounted, and what was
    put below would be on the disk of one machine alone.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def _place(self, name: str) -> Path:
        if not self._root.is_dir():
            raise ObjectStoreError(f"the folder {self._root} is not there: make it, or mount it")
        return self._root / name

    def put(self, name: str, file: Path) -> None:
        with told(name), file.open("rb") as source:
            self._place(name)
            files = DurableFiles(self._root)
            files.remove_leftovers(datetime.now(UTC) - LEFTOVER_AGE)
            growing = files.grow(0)
            try:
                while piece := source.read(_PIECE):
                    growing.write(piece)
                files.adopt(name, growing, b"")
            finally:
                growing.discard()

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        with told(name), self._place(name).open("rb") as file:
            file.seek(offset)
            return _whole(name, file.read(size), size)

    def size_of(self, name: str) -> int | None:
        try:
            with told(name):
                return self._place(name).stat().st_size
        except ObjectMissingError:
            return None

    def delete(self, name: str) -> None:
        with told(name), suppress(FileNotFoundError):
            self._place(name).unlink()


class _Remote:
    """Every request is bounded in time, and tried again where the store says that it may be."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._opened: tuple[int, Remote] | None = None
        self._store()

    def put(self, name: str, file: Path) -> None:
        import obstore

        with told(name):
            obstore.put(self._store(), name, file, chunk_size=_PIECE, max_concurrency=_AT_ONCE)

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        import obstore

        if size == 0:
            return b""
        with told(name):
            found = obstore.get_range(self._store(), name, start=offset, length=size)
            return _whole(name, bytes(found), size)

    def size_of(self, name: str) -> int | None:
        import obstore

        try:
            with told(name):
                return obstore.head(self._store(), name)["size"]
        except ObjectMissingError:
            return None

    def delete(self, name: str) -> None:
        import obstore

        with suppress(ObjectMissingError), told(name):
            obstore.delete(self._store(), name)

    def _store(self) -> Remote:
        """Each process its own: its threads are none of a forked one."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), connected(self._access)
        return self._opened[1]


def connected(access: Access) -> Remote:
    """What speaks to the store; none is opened yet.

    Raises:
        ObjectStoreError: the library is not installed, or the options fit no store.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise ObjectStoreError("obstore is not installed: dicomnode[object-store]") from None
    make: Any = from_url  # its types are by the scheme of the address
    options: dict[str, object] = dict(access.options)
    if access.url.startswith("s3:"):
        options["disable_bulk_delete"] = True  # fewer products know that request
    plain = access.options.get("endpoint", "").startswith("http://")
    try:
        store: Remote = make(
            access.url,
            config=options,
            client_options={
                "timeout": timedelta(seconds=access.timeout_seconds),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "allow_http": plain,
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=access.timeout_seconds),
            },
        )
    except BaseError:
        raise ObjectStoreError("the credentials or options fit no store of this kind") from None
    return store


def try_create(store: ObjectStore, name: str, file: Path) -> bool:
    """Whether the store refuses to write over an object when asked to (If-None-Match). Nothing here
    counts on it; it is told when a node goes live.

    Raises:
        ObjectStoreError
    """
    if not isinstance(store, _Remote):
        return False
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with told(name):
        try:
            obstore.put(store._store(), name, file, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return True
    return False


def _whole(name: str, found: bytes, size: int) -> bytes:
    if len(found) != size:
        raise ObjectMissingError(f"{name}: it ends before what was asked of it")
    return found


class told:  # noqa: N801 - used as a function
    """Around a call: what goes wrong is one of our errors, in words that hold no secret."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: Any, _trace: object) -> None:
        if error is None or isinstance(error, ObjectStoreError):
            return
        name = f"{self._name}: " if self._name else ""
        if isinstance(error, FileNotFoundError) and _NO_BUCKET not in str(error):
            raise ObjectMissingError(f"{name}is not there") from None
        if isinstance(error, OSError) and error.strerror:
            raise ObjectStoreError(f"{name}{error.strerror}") from None
        if kind is FileNotFoundError or (kind and kind.__module__.startswith("obstore")):
            raise ObjectStoreError(f"{name}{_words(kind.__name__, str(error))}") from None


def _words(kind: str, text: str) -> str:
    """What a server or the library said, without the address, headers or credentials in it."""
    codes = [match[1] for each in (_CODE, _STATUS) if (match := each.search(text))]
    slow = "it took too long" if _SLOW in text else ""
    what = _KINDS.get(kind) or slow or "the store is away or answers with an error"
    return f"{what} ({', '.join(codes)})" if codes else what
