"""Whether a node runs on a data directory: its supervisor holds a lock there (see `only_one`)."""

from __future__ import annotations

import fcntl
from pathlib import Path


def is_locked(data_directory: Path) -> bool:
    """Asks by taking the lock for an instant, if nobody holds it.

    Raises:
        OSError: the lock cannot be opened.
    """
    try:
        with (data_directory / "node.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
