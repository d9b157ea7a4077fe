"""Looks at one thing after the other: what cannot be looked at is named, and ends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from dicomnode.data_directory.told_file import MalformedError
from dicomnode.decisions.operating.facts import Blind

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Looks:
    """Those of one moment; `blind`: what could not be looked at."""

    def __init__(self) -> None:
        self.blind: list[Blind] = []

    def at(self, what: str, look: Callable[[], _T], nothing: _T) -> _T:
        """What is seen; `nothing` where that fails, however it does."""
        try:
            return look()
        except OSError as error:
            self.blind.append(Blind(what, error.strerror or type(error).__name__))
        except MalformedError as error:
            remedy = f"remove {error.path}: written anew at the latest when the node starts again"
            self.blind.append(Blind(what, str(error), remedy))
        except Exception as error:  # a library's text may quote values: only its kind is told
            log.debug("%s", what, exc_info=True)
            self.blind.append(Blind(what, type(error).__name__))
        return nothing
