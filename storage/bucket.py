"""A bucket that others filled: its objects listed, and read from their beginning or whole.

Nothing is written there, and nothing of it is a node's: what a node keeps is `object_store`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage.object_store import Access, connected, told


@dataclass(frozen=True)
class Listed:
    """`name`: below the prefix of the bucket's address."""

    name: str
    size_bytes: int


class Bucket:
    """Of S3, Google Cloud Storage or Azure, below a prefix."""

    def __init__(self, access: Access) -> None:
        """No connection is opened here.

        Raises:
            ObjectStoreError: the library is not installed, or the options fit no store.
        """
        self._store = connected(access)

    def listed(self) -> Iterator[Listed]:
        """All objects, in no order.

        Raises:
            ObjectStoreError
        """
        import obstore

        with told(""):
            for batch in obstore.list(self._store):
                yield from (Listed(each["path"], each["size"]) for each in batch)

    def beginning(self, listed: Listed, size: int) -> bytes:
        """At most so many bytes.

        Raises:
            ObjectStoreError
        """
        import obstore

        length = min(size, listed.size_bytes)
        if not length:
            return b""
        with told(listed.name):
            return bytes(obstore.get_range(self._store, listed.name, start=0, length=length))

    def whole(self, name: str) -> bytes:
        """
        Raises:
            ObjectStoreError
        """
        import obstore

        with told(name):
            return bytes(obstore.get(self._store, name).bytes())
