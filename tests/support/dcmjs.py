"""dcmjs-dimse, a DICOM network library for Node.js, as a Storage SCU and SCP.

`etc/npm-packages.sh` installs it where npm is at hand.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dicomnode.config.destinations import Destination
from dicomnode.offline.demo import listens
from support.node import free_port
from support.tools import npm_folder
from support.wait import PATIENCE_SECONDS, wait_for

_SCRIPT = Path(__file__).with_name("dcmjs_peer.js")


def started_dcmjs(*arguments: object) -> subprocess.Popen[str]:
    """`dcmjs_peer.js` with these arguments."""
    environment = os.environ | {"NODE_PATH": str(npm_folder("dcmjs-dimse") / "node_modules")}
    return subprocess.Popen(
        ["node", str(_SCRIPT), *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def dcmjs_send(port: int, files: Sequence[Path], window: int = 1) -> list[str]:
    """What it prints: a status, in decimal, for each answer; `window`: requests open at once."""
    output, _ = started_dcmjs("send", port, window, *files).communicate(timeout=PATIENCE_SECONDS)
    return output.splitlines()


@contextmanager
def running_dcmjs(
    folder: Path, refused: str = "", node: int | None = None
) -> Iterator[Destination]:
    """Keeps what it gets in `folder`, a file an instance; does not accept the class `refused`.

    `node`: the port to which it reports on storage commitment.
    """
    folder.mkdir()
    port = free_port()
    process = started_dcmjs("receive", port, folder, refused, node or "")
    try:
        wait_for(lambda: listens(port), "dcmjs-dimse listens")
        yield Destination(name="dcmjs", ae_title="DCMJS", address="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
