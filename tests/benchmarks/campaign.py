"""How many series of a campaign are claimed a second, on PostgreSQL.

    python tests/benchmarks/campaign.py --series 100000 --seconds 20

A campaign of so many series is entered; then for so many seconds each of some processes claims one
series after another and ends it, each in a transaction of its own, as a runner does. First with
nothing beside it; then beside a query that began before and holds its snapshot until the end, as an
analysis of ten minutes does: what was changed since cannot be cleared away. A server of its own, on
a folder of the system's for temporary files, with fsync as it comes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from sqlalchemy import text  # noqa: E402

from storage import campaign_series, campaigns  # noqa: E402
from storage.campaign_records import FoundState, NewFound  # noqa: E402
from storage.database import Database  # noqa: E402
from support import postgresql  # noqa: E402

_LEASE = timedelta(minutes=5)
_BATCH = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each row")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    given = parser.parse_args(arguments)
    postgresql.SETTINGS = tuple(s for s in postgresql.SETTINGS if not s.startswith("fsync"))
    print("| beside it | processes | claimed and ended | a second | claim: median, ms | 99 %, ms |")
    print("|---|---|---|---|---|---|")
    for beside in ("nothing", "an open query"):
        for processes in given.processes:
            with postgresql.postgresql_server() as server:
                row = _row(server.url(postgresql.MIGRATED), beside, processes, given)
                print(f"| {beside} | {processes} | {row} |", flush=True)


def _row(url: str, beside: str, processes: int, given: argparse.Namespace) -> str:
    with closing(Database.open(url)) as database:
        _fill(database, given.series)
        query = nullcontext() if beside == "nothing" else _open_query(database)
        with query, ProcessPoolExecutor(processes) as pool:
            each = [(url, given.seconds)] * processes
            taken = [ms for found in pool.map(_work, each) for ms in found]
    taken.sort()
    worst = taken[int(len(taken) * 0.99)]
    rate = len(taken) / given.seconds
    return f"{len(taken)} | {rate:.0f} | {statistics.median(taken):.1f} | {worst:.1f}"


def _fill(database: Database, count: int) -> None:
    day, now = date(2025, 1, 1), datetime.now(UTC)
    with database.write() as session:
        campaigns.create(session, "c1", {}, "ARCHIVE", "", [(day, day, 0, 86399)], now)
    for begin in range(0, count, _BATCH):
        new = [NewFound(f"1.2.{n}.1", f"1.2.{n}", "CT", 300) for n in range(begin, begin + _BATCH)]
        with database.write() as session:
            campaign_series.enter(session, 1, new, now)


@contextmanager
def _open_query(database: Database) -> Iterator[None]:
    with database.read() as session:
        session.execute(text("SELECT count(*) FROM campaign_series"))
        yield


def _work(what: tuple[str, float]) -> list[float]:
    """Milliseconds of each claim."""
    url, seconds = what
    taken, after, until = [], 0, time.monotonic() + seconds
    with closing(Database.open(url)) as database:
        while (begun := time.monotonic()) < until:
            now = datetime.now(UTC)
            with database.write() as session:
                found = campaign_series.claim(session, 1, FoundState.FOUND, now, _LEASE, after)
            if found is None:
                break
            taken.append(1000 * (time.monotonic() - begun))
            after = found.found_id
            with database.write() as session:
                campaign_series.judged(session, found, (), now)
    return taken


if __name__ == "__main__":
    main()
