"""A file of the data directory by which one process tells all others how something stands.

It tells the administrator, and decides nothing: where it cannot be written its writer goes on.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

Told = TypeVar("Told")


class MalformedError(ValueError):
    """A file of the data directory holds something else than it is for; whoever writes it does it
    anew."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.name} holds something else")
        self.path = path


class ToldFile(Generic[Told]):
    """Of one writer; that it cannot be written is told once, until it can again."""

    def __init__(self, path: Path, kind: TypeAdapter[Told]) -> None:
        self._path, self._kind, self._fault = path, kind, False

    def write(self, told: Told, indent: int | None = None) -> bool:
        """Whole or not at all, and whether; not durable, as a power cut ends all that it tells."""
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(self._kind.dump_json(told, indent=indent))
            part.replace(self._path)
        except OSError as error:
            if not self._fault:
                log.warning("%s is not written: %s", self._path, error.strerror)
            self._fault = True
        else:
            self._fault = False
        return not self._fault


def read_told(path: Path, kind: TypeAdapter[Told]) -> Told | None:
    """What was written last; None where nothing ever was.

    Raises:
        OSError: the file cannot be read.
        MalformedError: it holds something else.
    """
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise MalformedError(path) from None
