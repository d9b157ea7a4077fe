"""A PostgreSQL server that the tests start, stop and start again."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from storage.database import Database
from storage.tables import METADATA
from support.tools import missing, needed
from support.wait import PATIENCE_SECONDS, wait_for

MIGRATED = "migrated"
SETTINGS: tuple[str, ...] = (
    "listen_addresses=",
    "fsync=off",
    "max_connections=60",
    "shared_buffers=32MB",
)


class PostgresqlServer:
    """A cluster of its own on a Unix socket, without fsync, for as long as the session."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._numbers = itertools.count()
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres", "postgres")

    def start(self) -> None:
        """Make the cluster and the database that the tests share."""
        data = str(self._folder / "data")
        initdb = self._command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        subprocess.run(initdb, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)
        self.launch()
        self._administer(f"CREATE DATABASE {MIGRATED}")
        Database.open(self.url(MIGRATED)).close()

    def launch(self) -> None:
        """Start the server of a cluster that is there."""
        data = str(self._folder / "data")
        settings = (f"unix_socket_directories={self._folder}", *SETTINGS)
        options = [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("wb") as log:
            command = self._command("postgres", "-D", data, *options)
            self._server = subprocess.Popen(command, cwd=self._folder, stderr=log)
        self._wait_until_ready()

    def stop(self) -> None:
        """As by a crash; `launch` starts it again."""
        self._server.send_signal(signal.SIGQUIT)  # without a last checkpoint
        self._server.wait(PATIENCE_SECONDS)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"

    @contextmanager
    def pooled(self, name: str) -> Iterator[str]:
        """The URL of a database behind PgBouncer, which gives each transaction one of two sessions
        of the server: whichever is free."""
        program = needed("pgbouncer", "pgbouncer")
        folder = Path(tempfile.mkdtemp(prefix="dicomnode-pool-"))
        (folder / "pool.ini").write_text(
            f"[databases]\n* = host={self._folder} user=postgres\n[pgbouncer]\n"
            f"pool_mode = transaction\ndefault_pool_size = 2\nauth_type = any\nlisten_port = 6432\n"
            f"listen_addr =\nunix_socket_dir = {folder}\n"
        )
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
        command = [*as_postgres(), program, "-q", str(folder / "pool.ini")]
        with (folder / "log").open("wb") as log:
            pooler = subprocess.Popen(command, cwd=folder, stderr=log, stdout=log)
        try:
            wait_for((folder / ".s.PGSQL.6432").exists, "the pooler listens")
            yield f"postgresql://postgres@/{name}?host={folder}&port=6432"
        finally:
            pooler.kill()
            pooler.wait()
            shutil.rmtree(folder)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        name = f"empty_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE template0")
        yield self.url(name)
        self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        """One database for all tests, emptied after each: to copy one costs twenty times more."""
        yield self.url(MIGRATED)
        tables = ", ".join(table.name for table in METADATA.sorted_tables)
        self._administer(f"TRUNCATE {tables}", MIGRATED)

    def _administer(self, statement: str, name: str = "postgres") -> None:
        engine = create_engine(self.url(name).replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
        engine.dispose()

    def _wait_until_ready(self) -> None:
        question = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        deadline = time.monotonic() + 60
        while subprocess.run(question, check=False).returncode != 0:
            if self._server.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self._folder / "log").read_text())
            time.sleep(0.02)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [*as_postgres(), str(self._programs / program), *arguments]


def as_postgres(*, ends_with_tests: bool = True) -> list[str]:
    """Before a command: it ends with the tests, even if they are killed; as root, it runs as
    another user. What ends it is the end of the thread that began it."""
    root = os.geteuid() == 0
    tied = ["--pdeathsig=QUIT"] if ends_with_tests else []
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    return ["setpriv", *tied, *user]


def programs() -> Path:
    """The folder of those of PostgreSQL; as `tools.needed` without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else missing("PostgreSQL", "postgresql")


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A running server; without the Debian package as `programs`."""
    found = programs()
    folder = Path(tempfile.mkdtemp(prefix="dicomnode-pg-"))
    server = PostgresqlServer(found, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
