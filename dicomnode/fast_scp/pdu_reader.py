"""Whole P-DATA-TF PDUs from a connection, by way of one buffer (PS3.8 section 9.3.5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

from dicomnode.fast_scp import pdu
from dicomnode.fast_scp.upper_layer import BoundedSocket

_LENGTH_SLACK = 1024
"""Some peers count a PDU without its heads: so much above the agreed length is let pass."""

_SMALLEST_BUFFER = 1 << 18


class End(Enum):
    """Why the association thread reads no further."""

    OTHER = auto()
    """Something for pynetdicom: another PDU, the end of the stream, or somebody rang."""
    IDLE = auto()


class PduReader:
    """P-DATA-TF PDUs from the socket, each whole, by way of one buffer."""

    def __init__(self, connection: BoundedSocket, maximum_length: int, patience: float | None):
        self._connection = connection
        self._longest = maximum_length + _LENGTH_SLACK
        self._buffer = memoryview(bytearray(max(2 * self._longest, _SMALLEST_BUFFER)))
        self._start = self._end = 0
        self._patience = patience
        self._deadline: float | None = None

    def next_body(self, is_wanted: Callable[[], bool]) -> memoryview | End:
        """The body of the next P-DATA-TF PDU; good until the next call.

        Raises:
            ProtocolError: it is longer than was agreed.
            OSError: the connection is broken.
        """
        self._deadline = None
        while (body := self._buffered_body()) is None:
            if is_wanted():
                return End.OTHER
            if (end := self._fill()) is not None:
                return end
        return body

    def _buffered_body(self) -> memoryview | End | None:
        available = self._end - self._start
        if available and self._buffer[self._start] != pdu.P_DATA_TF:
            return End.OTHER
        if available < pdu.PDU_HEAD.size:
            return None
        _type, length = pdu.PDU_HEAD.unpack_from(self._buffer, self._start)
        if length > self._longest:
            raise pdu.ProtocolError(pdu.INVALID_VALUE, f"PDU of {length} bytes, more than agreed")
        if available < pdu.PDU_HEAD.size + length:
            return None
        begin = self._start + pdu.PDU_HEAD.size
        self._start = begin + length
        return self._buffer[begin : self._start]

    def _fill(self) -> End | None:
        """Read what is there; else wait, but for a PDU no longer than the network time-out."""
        if self._start == self._end:
            self._start = self._end = 0
        elif len(self._buffer) - self._start < pdu.PDU_HEAD.size + self._longest:
            rest = self._end - self._start
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest
        count = self._connection.read_into(self._buffer[self._end :])
        if count == 0:
            self._start = self._end = 0
            return End.OTHER
        if count is None:
            return self._wait()
        if self._start == self._end:
            self._deadline = None  # the first bytes of a PDU: it has a time-out of its own
        self._end += count
        return None

    def _wait(self) -> End | None:
        if self._patience is None:
            self._connection.wait(None)
            return None
        if self._deadline is None:
            self._deadline = time.monotonic() + self._patience
        left = self._deadline - time.monotonic()
        if left <= 0:
            return End.IDLE
        self._connection.wait(left)
        return None

    def unread(self) -> bytes:
        """What was read beyond the last body."""
        return bytes(self._buffer[self._start : self._end])
