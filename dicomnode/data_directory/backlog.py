"""What a node has not sealed yet, in a file of its data directory that any process can read.

Written by the sealer, which alone knows without asking for all series. It tells the administrator,
and decides nothing: where it cannot be written the sealer goes on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter

from dicomnode.data_directory.told_file import ToldFile, read_told
from storage.overview_records import Unsealed

_FILE = "sealing.json"
_UNSEALED = TypeAdapter(Unsealed)
_TOLD_AGAIN = timedelta(minutes=1)


class Backlog:
    """Of the node of a data directory, as its sealer saw it last."""

    def __init__(self, data_directory: Path) -> None:
        self._file = ToldFile(data_directory / _FILE, _UNSEALED)
        self._told: Unsealed | None = None

    def tell(self, now: Unsealed) -> None:
        """Written when it is another, or was written a while ago; whole or not at all."""
        told = self._told
        if told and replace(told, at=now.at) == now and now.at - told.at < _TOLD_AGAIN:
            return
        if self._file.write(now):
            self._told = now


def read_backlog(data_directory: Path) -> Unsealed | None:
    """What the sealer of a data directory wrote last; None where none ever ran.

    Raises:
        OSError: the file cannot be read.
        MalformedError: it holds something else.
    """
    return read_told(data_directory / _FILE, _UNSEALED)
