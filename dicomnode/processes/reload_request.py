"""Asking the node that runs on a data directory, from another process, to reload."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dicomnode.data_directory.holding import is_held
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import RENEWAL
from dicomnode.processes.reload import Answer, last_answer
from dicomnode.processes.states import read_state

_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.05


def ask_to_reload(data_directory: Path) -> Answer:
    """What the node answered.

    Raises:
        ConfigurationError: no node runs there, it may not be asked, or does not answer.
    """
    before = _number(data_directory)
    _ask(data_directory)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = last_answer(data_directory)
        if found is not None and found.number > before:
            return found
        time.sleep(_LOOK_SECONDS)
    raise ConfigurationError("the node does not answer: its log may tell why")


def _number(data_directory: Path) -> int:
    try:
        found = last_answer(data_directory)
    except OSError as error:
        raise ConfigurationError(f"{data_directory}: {error.strerror}") from error
    return found.number if found else 0


def _ask(data_directory: Path) -> None:
    try:
        state = read_state(data_directory) if is_held(data_directory) else None
        if state is None or not _is_supervisor(state.pid):
            raise ConfigurationError(
                f"no node runs on the data directory {data_directory}: the configuration holds "
                "from its start on"
            )
        os.kill(state.pid, RENEWAL)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"the node cannot be asked: {why}") from error


def _is_supervisor(pid: int) -> bool:
    """Whether it still is one: a process that knows nothing of the signal is ended by it."""
    try:
        return b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False
