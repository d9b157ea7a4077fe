"""A node as it runs in a hospital: `dicomnode serve` with processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pydicom
from sqlalchemy import func, select

from dicomnode.config.destinations import Destination
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.errors import PeerError
from dicomnode.network.associations import echo
from dicomnode.network.send import send_files
from dicomnode.offline.demo import listens
from storage import queries
from storage.database import Database
from storage.models import AssociationRow
from storage.records import SeriesDetail, SeriesState
from support.phantom import LOW_CHEST
from support.wait import PATIENCE_SECONDS, wait_for

PERMISSION = "allow_demonstration_model = true"
"""In `[inference]`: without it no node serves with weights not trained on patients' labels."""
ENDED = {SeriesState.ANALYSED, SeriesState.SKIPPED, SeriesState.FAILED}


def free_port() -> int:
    """A port of the loopback interface that nothing listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """One node, its folder and its configuration; started and killed as a test asks."""

    def __init__(
        self,
        folder: Path,
        destinations: Sequence[Destination] = (),
        toml: str = "",
        *,
        port: int | None = None,
        models: Path | None = None,
    ) -> None:
        """`models`: an untrained bundle to be used in place of those of the product."""
        self.folder = folder
        self.config = folder / "dicomnode.toml"
        self.port = port or free_port()
        lines = ['[node]\ndata_directory = "data"', f"[receive]\nport = {self.port}"]
        lines += ["[receive.admission]\nallow_any = true"]
        inference = f"[inference]\n{PERMISSION}\n"
        if models is not None:
            inference += f'methods = [{{ bundle = "{models}" }}]\n'
        lines += [toml.replace("[inference]\n", inference)]
        lines += [] if "[chest]" in toml else [LOW_CHEST]
        lines += [] if "[http]" in toml else ["[http]\nport = 0"]
        lines += [] if "[inference]" in toml else [inference]
        lines += [_destination(peer) for peer in destinations]
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None
        self._database: Database | None = None

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    @property
    def peer(self) -> Destination:
        """The node as a peer that may be sent to."""
        return Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=self.port)

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    def start(self) -> None:
        """Start `dicomnode serve` and wait until it answers C-ECHO."""
        with (self.folder / "node.log").open("a") as log:
            self.process = self.begin(log)
        self.wait_until_it_answers()

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "dicomnode", "serve", "--config", str(self.config)]

    def begin(self, log: IO[str]) -> subprocess.Popen[bytes]:
        """Start it, and wait for nothing."""
        return subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def wait_until_it_answers(self) -> None:
        wait_for(self._answers, f"C-ECHO answered; log:\n{self.log[-3000:]}")

    def _answers(self) -> bool:
        if not listens(self.port):
            return False
        try:
            echo(self.peer, "TESTER")
        except PeerError:
            return False
        return True

    def stop(self) -> int:
        """SIGTERM, as systemd sends it; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self, role: str) -> int:
        """`kill -9` of one process of the node (`supervisor` is the one that was started)."""
        pid = self.pid(role)
        os.kill(pid, signal.SIGKILL)
        if role == "supervisor":
            assert self.process is not None
            self.process.wait()
        return pid

    def pid(self, role: str) -> int:
        """Process id of a role, as the system knows it now."""
        assert self.process is not None
        if role == "supervisor":
            return self.process.pid
        return wait_for(lambda: self._child(role), f"{role} runs")

    def _child(self, role: str) -> int | None:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(each.startswith(role.encode()) for each in arguments[2:5]):
                return int(pid)
        return None

    def send(self, files: Sequence[Path]) -> list[Path]:
        """Send files over one association; those that were answered 0x0000."""
        return list(send_files(files, self.peer, "TESTER"))

    def open_database(self) -> Database:
        if self._database is None:
            self._database = Database.open(self.settings.database_url)
        return self._database

    def detail(self, uid: str) -> SeriesDetail | None:
        """What the database says of a series now."""
        with self.open_database().read() as session:
            return queries.series_detail(session, uid)

    def ended_associations(self) -> int:
        """How many associations that brought instances have ended."""
        with self.open_database().read() as session:
            ended = select(func.count()).where(AssociationRow.ended_at.is_not(None))
            return session.scalar(ended) or 0

    def wait_until_ended(self, uid: str, seconds: float = 120) -> SeriesDetail:
        """Until the series has ended and every result was delivered."""

        def ended() -> SeriesDetail | None:
            detail = self.detail(uid)
            if detail is None or detail.series.state not in ENDED:
                return None
            done = all(each.arrived for each in detail.deliveries)
            return detail if done else None

        return wait_for(ended, f"series {uid} ended; log:\n{self.log[-3000:]}", seconds)

    def close(self) -> None:
        """Stop whatever still runs."""
        if self._database is not None:
            self._database.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _destination(peer: Destination) -> str:
    commitment = "\nstorage_commitment = true" if peer.storage_commitment else ""
    return (
        f'[[destinations]]\nname = "{peer.name}"\nae_title = "{peer.ae_title}"\n'
        f'address = "{peer.address}"\nport = {peer.port}{commitment}'
    )


def sop_instance_uids(files: Sequence[Path]) -> set[str]:
    """SOP Instance UIDs of files."""
    return {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files}
