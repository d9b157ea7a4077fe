"""An answer that does not come is waited for no longer than is useful."""

from __future__ import annotations

import threading

from dicomnode.health.patience import Patience
from support.wait import PATIENCE_SECONDS, wait_for


def test_an_answer_that_comes_is_given() -> None:
    assert Patience[int](PATIENCE_SECONDS).ask(lambda: 7) == 7


def test_what_hangs_is_left_and_nothing_is_asked_beside_it() -> None:
    release, asked = threading.Event(), []
    patience: Patience[str] = Patience(0.05)

    def hang() -> str:
        asked.append(1)
        assert release.wait(PATIENCE_SECONDS)
        return "late"

    assert patience.ask(hang) is None
    assert patience.ask(hang) is None
    assert len(asked) == 1
    release.set()
    quick = wait_for(lambda: patience.ask(lambda: "quick"), "the other has come back")
    assert quick == "quick"
