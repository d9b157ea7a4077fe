"""What a node has not sealed yet, in a file of its data directory that any process can read.

Written by the sealer, which alone knows without asking for all series. It tells the administrator,
and decides nothing: where it cannot be written the sealer goes on.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from storage.overview_records import Unsealed

log = logging.getLogger(__name__)

_FILE = "sealing.json"
_UNSEALED = TypeAdapter(Unsealed)
_TOLD_AGAIN = timedelta(minutes=1)


class Backlog:
    """Of the node of a data directory, as its sealer saw it last."""

    def __init__(self, data_directory: Path) -> None:
        self._file = data_directory / _FILE
        self._told: Unsealed | None = None
        self._fault = False

    def tell(self, now: Unsealed) -> None:
        """Written when it is another, or was written a while ago; whole or not at all."""
        told = self._told
        if told and replace(told, at=now.at) == now and now.at - told.at < _TOLD_AGAIN:
            return
        part = self._file.with_suffix(".part")
        try:
            part.write_bytes(_UNSEALED.dump_json(now))
            part.replace(self._file)
        except OSError as error:
            if not self._fault:
                log.warning("%s is not written: %s", self._file, error.strerror)
            self._fault = True
        else:
            self._told, self._fault = now, False


def read_backlog(data_directory: Path) -> Unsealed | None:
    """What the sealer of a data directory wrote last; None where none ever ran.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    try:
        return _UNSEALED.validate_json((data_directory / _FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise ValueError(f"{_FILE} holds something else") from None
