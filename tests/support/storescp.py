"""DCMTK's storescp, a Storage SCP that can be told to misbehave."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomnode.config.destinations import Destination
from dicomnode.offline.demo import listens
from support.node import free_port
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for


@contextmanager
def running_storescp(folder: Path, *options: str) -> Iterator[Destination]:
    """DCMTK's storescp, writing what it gets into `folder`."""
    program, port = needed("storescp", "dcmtk"), free_port()
    folder.mkdir()
    process = subprocess.Popen([program, *options, "-od", str(folder), str(port)])
    try:
        wait_for(lambda: listens(port), "storescp listens")
        yield Destination(name="dcmtk", ae_title="STORESCP", address="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
