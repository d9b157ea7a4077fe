"""How a process starts."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from dicomnode.lifecycle import lost_for_nothing
from support.wait import PATIENCE_SECONDS, wait_for


def test_the_command_line_starts_no_threads_before_it_blocks_the_stop_signals() -> None:
    """numpy's BLAS starts threads when it is imported; one that does not block SIGTERM ends the
    process by it, and no job is handed back."""
    code = "import sys, dicomnode.cli.main; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stop_ends_a_process_that_has_nothing_to_lose_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    monkeypatch.setattr("os._exit", lambda _status: ended.set())
    stop = threading.Event()
    with lost_for_nothing(stop):
        stop.set()
        assert ended.wait(PATIENCE_SECONDS)
    ended.clear()
    later = threading.Event()
    with lost_for_nothing(later):
        pass
    before = threading.active_count()
    later.set()
    wait_for(lambda: threading.active_count() < before, "its thread ends")
    assert not ended.is_set()
