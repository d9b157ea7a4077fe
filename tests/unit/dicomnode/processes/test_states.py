"""What the supervisor writes of its processes, for whoever asks from outside."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.decisions.operating.processes import KEPT_ENDS, NodeState, ProcessState
from dicomnode.processes import states
from dicomnode.processes.states import States, killed_for_memory, read_state
from dicomnode.version import VERSION
from support.clock import StandingClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _read(folder: Path) -> NodeState:
    state = read_state(folder)
    assert state is not None
    return state


def test_each_start_and_end_can_be_read_from_outside(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    clock = StandingClock(NOW)
    began = clock.now()
    written = States(tmp_path, "node", clock)
    written.started("worker-1", 17)
    assert _read(tmp_path) == NodeState(
        VERSION, "node", os.getpid(), began, None, (ProcessState("worker-1", 17, began),)
    )
    clock.move(60)
    assert "deadline_seconds" in written.ended("worker-1", 70)
    (worker,) = _read(tmp_path).processes
    assert (worker.pid, worker.since, worker.starts) == (None, began + timedelta(minutes=1), 1)
    written.started("worker-1", 18)
    (worker,) = _read(tmp_path).processes
    assert (worker.pid, worker.starts) == (18, 2)
    assert worker.last_end is not None
    assert worker.last_end.status == 70
    written.started("worker-1", 19)
    (worker,) = _read(tmp_path).processes
    assert (worker.pid, worker.starts) == (19, 2), "it has renewed itself, and is no restart"
    written.stopped()
    state = _read(tmp_path)
    assert state.stopped_at == clock.now()
    assert [each.pid for each in state.processes] == [None]


def test_only_the_last_ends_are_kept(tmp_path: Path) -> None:
    written = States(tmp_path, "node", StandingClock(NOW))
    for number in range(KEPT_ENDS + 5):
        written.started("worker-1", number)
        written.ended("worker-1", number)
    (worker,) = _read(tmp_path).processes
    assert worker.starts == KEPT_ENDS + 5
    assert [each.status for each in worker.ends] == list(range(5, KEPT_ENDS + 5))


@pytest.mark.parametrize(
    ("counts", "cause"),
    [
        ((3, 4), "killed by the kernel: out of memory"),
        ((3, 3), "killed by SIGKILL: by a person, or by the kernel for want of memory"),
        ((None, None), "killed by SIGKILL: by a person, or by the kernel for want of memory"),
    ],
)
def test_a_kill_for_memory_is_told_from_the_kernels_own_count(
    counts: tuple[int | None, int | None],
    cause: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = iter(counts)
    monkeypatch.setattr(states, "killed_for_memory", lambda: next(told))
    written = States(tmp_path, "node", StandingClock(NOW))
    written.started("worker-1", 17)
    assert written.ended("worker-1", -signal.SIGKILL) == cause


def test_the_kernels_count_is_found_among_the_others(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    assert killed_for_memory(counters) is None
    counters.write_text("nr_free_pages 12\noom_kill 7\noom_kill_x 9\n")
    assert killed_for_memory(counters) == 7
    counters.write_text("nr_free_pages 12\n")
    assert killed_for_memory(counters) is None


def test_a_file_that_cannot_be_written_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "processes.part").mkdir()
    written = States(tmp_path, "node", StandingClock(NOW))
    written.started("worker-1", 17)
    written.ended("worker-1", 1)
    assert len(caplog.records) == 1
    assert read_state(tmp_path) is None


def test_a_file_that_holds_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text('{"name": "DOE^JANE"}')
    with pytest.raises(ValueError, match=r"processes\.json holds something else$"):
        read_state(tmp_path)
