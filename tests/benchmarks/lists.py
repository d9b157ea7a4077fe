"""How long a node's lists and claims take among many series, on SQLite and on PostgreSQL.

    python tests/benchmarks/lists.py --series 100000
    python tests/benchmarks/lists.py --series 100000 --database sqlite

One series of a drawn chest goes the whole way, and all its rows but those of instances are
multiplied: names of the same length with a number before a common ending, as makers of scanners
give them, times a minute earlier each. An analysis of each waits that asks for a GPU, and a
thousand of the urgent ones are behind them for a CPU. Then: the seconds of commands, without the
start of Python, the median of three after a first; the milliseconds of a claim, each in a
transaction of its own, by who can do none of it, and by who can do the last.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from sqlalchemy import Column, DateTime, text  # noqa: E402

from dicomnode.config.destinations import Destination  # noqa: E402
from storage import jobs  # noqa: E402
from storage.records import JobKind  # noqa: E402
from storage.tables import METADATA  # noqa: E402
from support import postgresql  # noqa: E402
from support.command import dicomnode  # noqa: E402
from support.phantom import write_series  # noqa: E402
from support.pipeline import Pipeline  # noqa: E402
from support.untrained import make_untrained_bundle  # noqa: E402

_TABLES = ("series", "job", "result", "delivery")
_NAMES = {
    *("series_key", "series_instance_uid", "study_instance_uid"),
    *("sop_instance_uid", "result_series_instance_uid", "path"),
}
_LEASE = timedelta(minutes=5)
_CLAIMS, _ABLE = 40, 1000
_END = ".0.0.0"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a row for each database."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="else both")
    given = parser.parse_args(arguments)
    postgresql.SETTINGS = tuple(s for s in postgresql.SETTINGS if not s.startswith("fsync"))
    columns = (*map(" ".join, _commands("ENDING", "NO.")), "claims none, ms", "claims, ms")
    print(f"| database | load | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 2)}")
    with tempfile.TemporaryDirectory(prefix="lists-") as folder:
        models = make_untrained_bundle(Path(folder) / "models", size=32)
        for system in [given.database] if given.database else ["sqlite", "postgresql"]:
            with _url(system, Path(folder)) as url:
                site = _Site(Path(folder) / system, models, url)
                with closing(site.database):
                    site.grow(given.series)
                    cells = site.measured()
            load = f"{os.getloadavg()[0]:.1f}"
            print(f"| {system} | {load} | {' | '.join(cells)} |", flush=True)


@contextmanager
def _url(system: str, folder: Path) -> Iterator[str]:
    if system == "sqlite":
        yield f"sqlite:///{folder}/sqlite/data/node.db"
        return
    with postgresql.postgresql_server() as server:
        yield server.url(postgresql.MIGRATED)


def _commands(ending: str, number: str) -> tuple[tuple[str, ...], ...]:
    return (
        ("queue", "list"),
        ("queue", "show", ending),
        ("queue", "why", number),
        ("results", "list"),
        ("results", "show", number),
        ("deliveries", "list"),
        ("status",),
        ("campaign", "list"),
    )


class _Site:
    """One series that went the whole way, and its rows many times over."""

    def __init__(self, folder: Path, models: Path, url: str) -> None:
        place = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=9)
        self._pipeline = Pipeline(folder / "data", models, [place], url)
        self.database = self._pipeline.database
        self._pipeline.bring_to_results(write_series(folder / "ct", 12))
        self._config = str(self._pipeline.write_config(folder))
        self._run("UPDATE delivery SET state = 'stored', stored_at = created_at")

    def grow(self, series: int) -> None:
        for name in _TABLES:
            columns = {
                each.name: self._of_series(each)
                for each in METADATA.tables[name].columns
                if each.name not in ("job_id", "delivery_id")
            }
            names = ", ".join(f'"{each}"' for each in columns)
            values = ", ".join(columns.values())
            drawn = f"(SELECT * FROM {name}) AS drawn, {_numbers(series - 1)}"  # noqa: S608
            self._run(f"INSERT INTO {name} ({names}) SELECT {values} FROM {drawn}")  # noqa: S608
        now = "CURRENT_TIMESTAMP"
        for capability, priority, most in (("gpu", 1, series), ("cpu", 2, _ABLE)):
            self._run(
                "INSERT INTO job (kind, state, series_key, input_digest, model_digest, priority,"  # noqa: S608
                " attempt, created_at, not_before, capability) SELECT 'analyse', 'queued',"
                f" series_key, '{capability}', 'q', {priority}, 0, {now}, {now}, '{capability}'"
                f" FROM series ORDER BY last_received_at DESC LIMIT {most}"
            )
        if self.database.serves:
            with self.database._engine.connect() as connection:
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                alone.execute(text("VACUUM ANALYZE"))

    def measured(self) -> list[str]:
        row = "SELECT series_key, accession_number FROM series ORDER BY last_received_at LIMIT 1"
        with self.database.read() as session:
            key, number = session.execute(text(row)).one()
        cells = []
        for words in _commands(key[-16:], number):
            shown = [_seconds(partial(self._show, words)) for _ in range(4)]
            cells.append(f"{statistics.median(shown[1:]):.2f}")
        for capabilities in (("", "tpu"), ("", "cpu")):
            waits = sorted(_seconds(partial(self._claim, capabilities)) for _ in range(_CLAIMS))
            cells.append(f"{1000 * statistics.median(waits):.1f} ({1000 * waits[-1]:.0f})")
        return cells

    def _claim(self, capabilities: tuple[str, ...]) -> None:
        now = datetime.now(UTC) + timedelta(hours=1)
        having = {"capabilities": capabilities, "memory_bytes": 1 << 40}
        with self.database.write() as session:
            found = jobs.claim(session, (JobKind.ANALYSE,), "n/worker/1/", now, _LEASE, **having)  # type: ignore[arg-type]
        assert (found is None) == ("tpu" in capabilities)

    def _show(self, words: Sequence[str]) -> None:
        done = dicomnode(*words, "--config", self._config)
        if done.returncode not in (0, 3) and words != ("status",):
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")

    def _of_series(self, column: Column[object]) -> str:
        name = f'drawn."{column.name}"'
        if column.name == "accession_number":
            return f"{name} || '-' || n"
        if column.name in _NAMES:
            least = f"substr({name}, 1, length({name}) - 13)"
            return f"{least} || substr(CAST(10000000 + n AS VARCHAR), 2) || '{_END}'"
        if not isinstance(getattr(column.type, "impl", column.type), DateTime):
            return name
        if self.database.serves:
            return f"{name} - n * interval '1 minute'"
        return f"strftime('%Y-%m-%d %H:%M:%f000', {name}, '-' || n || ' minutes')"

    def _run(self, statement: str) -> None:
        with self.database.write() as session:
            session.execute(text(statement))


def _numbers(most: int) -> str:
    counted = f"SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < {most}"  # noqa: S608
    return f"(WITH RECURSIVE c(n) AS ({counted}) SELECT n FROM c) AS numbers"  # noqa: S608


def _seconds(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
