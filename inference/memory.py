"""What was computed of single slices, kept while others of their series are still to come.

By the digest of exactly what it was computed from: what is recalled is what would be computed.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = 512 << 20
"""Enough for the pixels of 512 slices of 512 x 512, and for what COVNet makes of 600."""

Key = tuple[str, bytes]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Kept:
    """Labels (uint8) are kept compressed: what has few values takes a hundredth of its bytes."""

    shape: tuple[int, ...]
    content: Array | bytes

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.nbytes

    def array(self) -> Array:
        if not isinstance(self.content, bytes):
            return self.content
        return np.frombuffer(zlib.decompress(self.content), np.uint8).reshape(self.shape)


class Memory:
    """Of one series at a time; while it is of none it keeps nothing, and costs nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    @property
    def series(self) -> str:
        """Whose it is; empty for none."""
        return self._series

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    @property
    def limit(self) -> int:
        """Bytes that may be kept."""
        return self._limit

    def forget(self) -> None:
        """All of it; nothing is kept until it is begun again."""
        self._series, self._limit, self._size = "", 0, 0
        self._kept: dict[Key, _Kept] = {}
        self._seen: dict[str, set[Key]] = {}

    def begin(self, series: str, limit_bytes: int = LIMIT_BYTES) -> None:
        """Keep what is computed of this series; what is of another is forgotten."""
        if series != self._series:
            self.forget()
        self._series, self._limit = series, limit_bytes

    def get(self, key: Key) -> Array | None:
        """What was kept; not to be changed."""
        kept = self._kept.get(key)
        return None if kept is None else kept.array()

    def keep(self, key: Key, value: Array) -> None:
        """Keep `value` itself, not a copy, in place of what was kept; nothing over the limit."""
        content = zlib.compress(value.tobytes(), 1) if value.dtype == "u1" else value
        kept = _Kept(value.shape, content)
        with self._lock:
            old = self._kept.pop(key, None)
            self._size -= 0 if old is None else old.size
            if self._series and self._size + kept.size <= self._limit:
                self._kept[key] = kept
                self._size += kept.size

    def recall(
        self, kind: str, inputs: Sequence[Array], run: Callable[[Iterable[Array]], Iterator[Array]]
    ) -> Iterator[Array]:
        """What `run` gives for each input, in order; each is void once the next is asked for.

        `run` is given those that are not kept, and takes them one by one. `kind`: names all that
        its results depend on besides.
        """
        if not self._series:
            yield from run(inputs)
            return
        keys = self._keys(kind, inputs)
        unknown = {at for at, key in enumerate(keys) if key not in self._kept}
        computed = run(inputs[at] for at in sorted(unknown))
        for at, key in enumerate(keys):
            if at in unknown:
                found = next(computed)
                self.keep(key, found.copy())
                yield found
            else:
                yield self._kept[key].array()

    def foresee(
        self, kind: str, inputs: Sequence[Array], run: Callable[[Iterable[Array]], Iterator[Array]]
    ) -> Iterator[None]:
        """Keep what `recall` will want of those inputs that were seen the time before, too: what
        changes with each slice that comes is not worth computing. Goes on after each."""
        keys = self._keys(kind, inputs)
        before, self._seen[kind] = self._seen.get(kind, set()), set(keys)
        wanted = [at for at, key in enumerate(keys) if key in before and key not in self._kept]
        for at, found in zip(wanted, run(inputs[at] for at in wanted), strict=True):
            self.keep(keys[at], found.copy())
            yield

    def _keys(self, kind: str, inputs: Sequence[Array]) -> list[Key]:
        """When half of the room is taken, what is not asked for any more makes room."""
        keys = [key_of(kind, each) for each in inputs]
        if self._size > self._limit / 2:
            for key in [each for each in self._kept if each[0] == kind]:
                if key not in set(keys):
                    self._size -= self._kept.pop(key).size
        return keys


def key_of(kind: str, *inputs: Array | bytes | memoryview | str) -> Key:
    """SHA-256 of all that something is computed from."""
    digest = hashlib.sha256()
    for each in inputs:
        if isinstance(each, np.ndarray):
            digest.update(f"{each.dtype} {each.shape}".encode())
            digest.update(np.ascontiguousarray(each).data)
        else:
            digest.update(each.encode() if isinstance(each, str) else each)
    return kind, digest.digest()
