"""Puts a received data set together; a big one grows in a file instead of in memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from storage.durable import GrowingFile

SPILL_BYTES = 64 << 20
"""A data set above this grows in a file (an Enhanced CT of a gigabyte is legitimate)."""

_FIRST_BYTES = 1 << 20  # one CT slice of 512 x 512 with its header
_KEPT_BYTES = 4 << 20
"""A buffer that grew above this is given back after its instance: memory stays flat."""


Content = memoryview | GrowingFile


def _memory(size: int) -> memoryview:
    """Zeros; given back to the system at once when they are dropped."""
    return memoryview(mmap.mmap(-1, size))


class DataSetBuffer:
    """One data set after the other, for one association.

    `spill` makes the file of a big one; without it everything stays in memory. When the disk
    does not take a big one, the rest is let pass, and `fault` says why.
    """

    def __init__(
        self, spill: Callable[[], GrowingFile] | None, spill_bytes: int = SPILL_BYTES
    ) -> None:
        self._spill = spill
        self._spill_bytes = spill_bytes
        self._memory = _memory(_FIRST_BYTES)
        self._used = 0
        self._file: GrowingFile | None = None
        self._view: memoryview | None = None
        self.fault: OSError | None = None

    def append(self, data: memoryview) -> None:
        """Add a fragment; its bytes are copied."""
        end = self._used + len(data)
        if end > len(self._memory):
            if self._spill is not None and end > self._spill_bytes:
                self._flush()
                end = len(data)
            self._make_room(end)
        self._memory[self._used : end] = data
        self._used = end

    def _make_room(self, wanted: int) -> None:
        if wanted > len(self._memory):
            doubled = 2 * len(self._memory)
            if self._spill is not None:
                doubled = min(doubled, self._spill_bytes)
            larger = _memory(max(wanted, doubled))
            larger[: self._used] = self._memory[: self._used]
            self._memory = larger

    def _flush(self) -> None:
        """What is in memory goes to the file."""
        try:
            if self.fault is None and self._spill is not None:
                self._file = self._file or self._spill()
                self._file.write(self._memory[: self._used])
        except OSError as error:
            self.fault = error
            self._drop_file()
        self._used = 0

    def finish(self) -> tuple[memoryview, Content]:
        """The whole data set to look into, and what to store: the same, or the file it is in.

        Both are good until `reset`.

        Raises:
            OSError: the disk did not take it.
        """
        if self._file is not None or self.fault is not None:
            self._flush()
        if self.fault is not None:
            raise self.fault
        self._view = self._memory[: self._used] if self._file is None else self._file.view()
        return self._view, self._file or self._view

    def reset(self) -> None:
        """Forget the data set and be ready for the next one."""
        if self._view is not None:
            self._view.release()  # a handler that kept it gets an error, not other bytes
        self._view = self.fault = None
        self._drop_file()
        self._used = 0
        if len(self._memory) > _KEPT_BYTES:
            self._memory = _memory(_FIRST_BYTES)

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.discard()
        self._file = None
