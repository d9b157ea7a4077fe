"""PostgreSQL on two hosts: a primary, and a standby that follows it a moment behind.

What a site's own product for high availability does (Patroni, for example) a test does by hand:
the former primary is kept from coming back (`fence`) before the standby is promoted (`promote`),
and begins anew as the standby of the new one (`follow`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from support.cables import Host
from support.postgresql import as_postgres, programs
from support.processes import family
from support.small_disk import Ballast, small_disk
from support.wait import PATIENCE_SECONDS, wait_for

NAME = "dicomnode"
_PORT = 5432
_MEGABYTES = 256
_SETTINGS = (
    "listen_addresses=*",
    f"port={_PORT}",
    "fsync=off",
    "max_connections=150",
    "shared_buffers=32MB",
    "wal_keep_size=64MB",
    "min_wal_size=8MB",
    "max_wal_size=16MB",
)


class Server:
    """One of them, with a small disk. Its socket in `folder` outlives every cut of the network."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.folder = host, folder
        self.data = folder / "disk" / "data"
        self.ballast = Ballast(folder / "disk")
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = programs()

    @property
    def url(self) -> str:
        """For whoever watches, whatever happens to the network."""
        return f"postgresql://postgres@/{NAME}?host={self.folder}"

    def make(self) -> None:
        """A cluster with an empty database."""
        self._run("initdb", "-D", self.data, "-A", "trust", "--no-sync", "--wal-segsize=1")
        with (self.data / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all,replication all samenet trust\n")
        self.launch()
        self._run("createdb", "-h", self.folder, NAME)

    def launch(self) -> None:
        settings = (f"unix_socket_directories={self.folder}", *_SETTINGS)
        options = [word for setting in settings for word in ("-c", setting)]
        who = as_postgres(ends_with_tests=False)  # a thread that begins it ends before
        command = [*who, str(self._programs / "postgres"), "-D", str(self.data), *options]
        with self.host.entered(), (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        wait_for(self.accepts, "PostgreSQL accepts connections")

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, sent: signal.Signals) -> None:
        """To the server and to all that belong to it."""
        if self._process is not None and self.alive():
            for each in family(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(each, sent)

    def fence(self) -> None:
        """It is off, whatever it did: it answers nobody any more."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(PATIENCE_SECONDS)

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", self.data, "-w")

    def follow(self, primary: Server) -> None:
        """Begin anew as the standby of another."""
        shutil.rmtree(self.data, ignore_errors=True)
        where = ("-h", primary.host.address, "-p", str(_PORT), "-U", "postgres")
        self._run("pg_basebackup", *where, "-D", self.data, "-R", "-c", "fast", "--no-sync")
        self.launch()

    def accepts(self) -> bool:
        """Whether it takes connections."""
        command = [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: object) -> None:
        command = [*as_postgres(), str(self._programs / program), *map(str, arguments)]
        with self.host.entered(), (self.folder / "log").open("ab") as log:
            done = subprocess.run(command, check=False, cwd=self.folder, stdout=log, stderr=log)
        assert done.returncode == 0, f"{program}: {self._end_of_log()}"

    def _end_of_log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]


class Pair:
    """`primary` and `standby` change their places with each promotion."""

    def __init__(self, first: Server, second: Server) -> None:
        self.primary, self.standby = first, second
        self.promotions = 0
        self.changing = threading.Lock()
        both = (first, second)
        hosts = "&".join(f"host={each.host.address}:{_PORT}" for each in both)
        self.url = (
            f"postgresql+psycopg://postgres@/{NAME}?{hosts}"
            "&target_session_attrs=read-write&connect_timeout=2"
        )
        """As a site writes it that has no address which moves: libpq tries one after the other."""

    def fail_over(self) -> None:
        """The standby is the primary from now on."""
        with self.changing:
            self.primary.fence()
            self.standby.promote()
            self.primary, self.standby = self.standby, self.primary
            self.promotions += 1

    def rebuild(self) -> None:
        self.standby.fence()
        self.standby.follow(self.primary)


@contextmanager
def replicated(first: Host, second: Host) -> Iterator[Pair]:
    """Both, each on a disk of its own, the second following the first."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(host)) for host in (first, second)]
        servers[0].make()
        servers[1].follow(servers[0])
        yield Pair(*servers)


@contextmanager
def _server(host: Host) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="dicomnode-pg-"))  # where another user may look into
    try:
        with small_disk(folder / "disk", _MEGABYTES) as disk:
            for each in (folder, disk):
                shutil.chown(each, "postgres", "postgres")
            server = Server(host, folder)
            try:
                yield server
            finally:
                server.fence()
    finally:
        shutil.rmtree(folder)
