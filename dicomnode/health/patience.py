"""Waiting for an answer no longer than is useful."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Patience(Generic[_T]):
    """Asks in a thread, as a server that hangs can be waited for by no time limit of its own.

    While one question is out no other is put: what hangs does not pile up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asking: threading.Thread | None = None

    def ask(self, question: Callable[[], _T]) -> _T | None:
        """The answer; None where it did not come in time. `question` must not raise."""
        if self._asking is not None and self._asking.is_alive():
            return None
        answers: list[_T] = []
        asking = threading.Thread(target=lambda: answers.append(question()), daemon=True)
        self._asking = asking
        asking.start()
        asking.join(self._seconds)
        return answers[0] if answers else None
