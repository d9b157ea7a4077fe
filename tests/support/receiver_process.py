"""The receiver processes of a node, without the rest of it and without a supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import keep_settings
from dicomnode.errors import PeerError
from dicomnode.lifecycle import LISTENER
from dicomnode.network.associations import echo
from dicomnode.network.listeners import bind_listener
from storage.instances import InstanceFiles
from support.node import Node
from support.wait import PATIENCE_SECONDS, wait_for

COMMAND = (sys.executable, "-m", "dicomnode")


class Receivers:
    """`dicomnode role receiver-N`, as the supervisor starts them: they share its listening socket.

    `receive` replaces keys of that section of the configuration, `more` whole ones; `command`
    starts the node's command line.
    """

    def __init__(
        self,
        folder: Path,
        receive: dict[str, float] | None = None,
        command: Sequence[str] = COMMAND,
        more: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.node = Node(folder)
        self._command = command
        settings = self.node.settings
        changed = settings.receive.model_copy(update=receive or {})
        self.settings: Settings = settings.model_copy(update={"receive": changed} | dict(more))
        kept = keep_settings(self.settings)
        self.arguments = ["--settings", str(kept), "--node-id", "0" * 32]
        self._listener = bind_listener((changed.address, changed.port))
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self._starts = 0

    @property
    def port(self) -> int:
        return self.settings.receive.port

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes.values()]

    @property
    def files(self) -> InstanceFiles:
        return InstanceFiles(self.settings.instances)

    def start_all(self) -> None:
        """Start as many as configured, and wait until they answer."""
        for number in range(1, self.settings.receive.processes + 1):
            self.start(number)
        for number in self.processes:
            self.wait_until_it_listens(number)
        self.wait_until_it_answers()

    def start(self, number: int) -> None:
        """Start one; it is not yet ready when this returns."""
        self._starts += 1
        listener = self._listener.fileno()
        with (self.node.folder / f"receiver-{number}.log").open("ab") as log:
            log.write(f"start {self._starts}\n".encode())
            self.processes[number] = subprocess.Popen(
                [*self._command, "role", f"receiver-{number}", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener,),
                env=os.environ | {LISTENER: str(listener)},
            )

    def listens(self, number: int) -> bool:
        """Whether the one that was started last under this number has come so far."""
        log = (self.node.folder / f"receiver-{number}.log").read_text()
        return "listening as" in log.rpartition("\nstart ")[2]

    def wait_until_it_listens(self, number: int) -> None:
        """Fails at once when it ended by itself."""

        def listens_or_ended() -> bool:
            return self.listens(number) or self.processes[number].poll() is not None

        wait_for(listens_or_ended, f"receiver-{number} listens")
        assert self.processes[number].poll() is None, self.log[-5000:]

    def kill(self, number: int) -> None:
        """`kill -9`."""
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()

    def wait_until_it_answers(self) -> None:
        wait_for(self._answers, f"C-ECHO answered; log:\n{self.log[-3000:]}")

    def _answers(self) -> bool:
        try:
            echo(self.node.peer, "TESTER")
        except PeerError:
            return False
        return True

    @property
    def log(self) -> str:
        """What all of them said, one after the other."""
        return "".join(each.read_text() for each in sorted(self.node.folder.glob("*.log")))

    def close(self) -> None:
        """End those that run, in order."""
        self._listener.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(PATIENCE_SECONDS)
