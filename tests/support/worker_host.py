"""A host of workers alone: `dicomnode worker` with a data directory of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from dicomnode.data_directory.holding import id_of_node
from support.wait import PATIENCE_SECONDS


class WorkerHost:
    """Its processes are a session of their own, so that the plug can be pulled."""

    def __init__(self, folder: Path, config: Path, **keys: str) -> None:
        """`config`: that of the nodes. `keys`: further variables, of the configuration."""
        self.folder = folder
        folder.mkdir(parents=True)
        self._config = config
        self._environment = os.environ | keys
        self._environment |= {"DICOMNODE_NODE__DATA_DIRECTORY": str(folder / "data")}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def node_id(self) -> str:
        return id_of_node(self.folder / "data")

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "dicomnode", "worker", "--config", str(self._config)]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Its exit status, once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.wait()

    def pull_the_plug(self) -> None:
        """All of its processes at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.pull_the_plug()
