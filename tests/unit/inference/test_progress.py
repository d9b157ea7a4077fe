from __future__ import annotations

import pytest

from inference.progress import StageClock


def test_a_stage_has_the_time_spent_within_and_comes_in_its_order() -> None:
    clock = StageClock()
    with clock.stage("first"):
        total = sum(range(1000))
    with clock.stage("second"):
        total += 1
    assert list(clock.seconds) == ["first", "second"]
    assert clock.seconds["first"] > 0
    assert total == 499_501


def test_a_stage_that_raises_leaves_no_time() -> None:
    clock = StageClock()
    with pytest.raises(KeyError), clock.stage("broken"):
        raise KeyError("no such thing")
    assert clock.seconds == {}
