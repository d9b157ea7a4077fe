"""What waits for a worker that is not there is told, and by what it lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicomnode.decisions.operating.facts import Facts, Work
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.worker_troubles import lack_of, worker_troubles
from storage.overview_records import NeedsWaiting, Node
from storage.records import Needs

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GIB = 1 << 30
SMALL = Node("1", "a", NOW, NOW, None, True, capabilities="cpu", memory_bytes=8 * GIB)
GPU = replace(SMALL, node_id="2", capabilities="cpu gpu", memory_bytes=4 * GIB)
UNTOLD = replace(SMALL, node_id="3", capabilities="", memory_bytes=None)


def troubles(workers: tuple[Node, ...], *waiting: NeedsWaiting) -> tuple[Trouble, ...]:
    facts = Facts(NOW, work=Work(workers=workers, waiting=waiting))
    return tuple(worker_troubles(facts, HealthPolicy(), NOW))


def waiting(capability: str = "", gib: int = 2, minutes: int = 5, count: int = 1) -> NeedsWaiting:
    return NeedsWaiting(Needs(capability, gib * GIB), count, NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("workers", "needs", "about"),
    [
        (None, Needs("gpu"), None),
        ((), Needs(), "any"),
        ((SMALL,), Needs("", 8 * GIB), None),
        ((SMALL,), Needs("cpu"), None),
        ((SMALL,), Needs("gpu"), "gpu"),
        ((SMALL, GPU), Needs("gpu", 5 * GIB), "memory"),  # not of one that is none
        ((SMALL, GPU), Needs("", 8 * GIB), None),
        ((SMALL, UNTOLD), Needs("gpu", 99 * GIB), None),
    ],
)
def test_what_is_lacking(workers: tuple[Node, ...] | None, needs: Needs, about: str | None) -> None:
    lack = lack_of(needs, workers)
    assert (lack and lack.about) == about


def test_those_that_lack_the_same_are_one_trouble_since_the_oldest() -> None:
    gpus = [waiting("gpu", 2, 5, 2), waiting("gpu", 3, 9)]
    (found,) = troubles((SMALL,), waiting(), *gpus)
    assert (found.name, found.severity) == ("no_worker:gpu", Severity.ERROR)
    assert found.since == NOW - timedelta(minutes=9)
    expected = "no worker that lives has gpu: 3 series cannot be analysed, one for 9 min"
    assert found.text == expected
    assert "dicomnode worker --capability gpu" in found.remedy


def test_a_worker_may_take_a_moment_to_start() -> None:
    assert troubles((), waiting(minutes=1)) == ()
    assert [each.name for each in troubles((), waiting(minutes=2))] == ["no_worker:any"]


def test_how_much_memory_is_wanted_and_there_is_told() -> None:
    (found,) = troubles((SMALL, GPU), waiting("gpu", 6))
    assert found.name == "no_worker:memory"
    assert "about 6.0 GiB are wanted, and no such worker that lives has over 4.0" in found.text
