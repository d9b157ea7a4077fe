"""How many series of a campaign are claimed a second, on PostgreSQL.

    python tests/benchmarks/campaign.py --series 100000 --seconds 20
    python tests/benchmarks/campaign.py --series 400000 --seconds 600 --beside query --most 500

A campaign of so many series is entered; then for so many seconds each of some processes claims
series after series and ends them: one at once as its own transaction, and as many at once as a
runner takes (a claim is on disk with the end that follows it, an end at once). First with nothing
beside it; then beside a query that began before and holds its snapshot until the end, as an
analysis of ten minutes does: what was changed since cannot be cleared away. With `--most` no more
than so many a second are claimed by all together. Told are the rates of the first and of the last
tenth, the milliseconds of a claim behind the last one and of one from the
start (which looks at all that is dead), and the dead rows at the end. A server of its own, on a
folder of the system's for temporary files, with fsync and autovacuum as they come.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from sqlalchemy import text  # noqa: E402

from storage import campaign_claims, campaign_series, campaigns  # noqa: E402
from storage.campaign_records import FoundState, NewFound  # noqa: E402
from storage.campaign_tables import CampaignSeriesRow  # noqa: E402
from storage.database import Database  # noqa: E402
from support import postgresql  # noqa: E402

_LEASE = timedelta(minutes=5)
_NOTHING, _QUERY = "nothing", "query"
_NAMES = {_NOTHING: "nothing", _QUERY: "an open query"}


@dataclass(frozen=True)
class Claimed:
    """When, how many, and the milliseconds that it took to claim them."""

    at: float
    count: int
    milliseconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each row")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--beside", nargs="+", choices=_NAMES, default=list(_NAMES))
    parser.add_argument("--most", type=float, default=0.0, help="a second, of all; 0: no limit")
    given = parser.parse_args(arguments)
    postgresql.SETTINGS = tuple(s for s in postgresql.SETTINGS if not s.startswith("fsync"))
    print(f"{given.series} series, {given.seconds:g} s a row, load {os.getloadavg()[0]:.1f}")
    print(
        "| beside it | processes | at once | ended a second | first tenth | last tenth |"
        " claim: median, ms | 99 %, ms | from the start, ms | dead rows |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for beside in given.beside:
        for processes in given.processes:
            for at_once in given.at_once:
                with postgresql.postgresql_server() as server:
                    url = server.url(postgresql.MIGRATED)
                    row = _row(url, beside, processes, at_once, given)
                name = _NAMES[beside]
                print(f"| {name} | {processes} | {at_once} | {row} |", flush=True)


def _row(url: str, beside: str, processes: int, at_once: int, given: argparse.Namespace) -> str:
    with closing(Database.open(url)) as database:
        _fill(database, given.series)
        query = nullcontext() if beside == _NOTHING else _open_query(database)
        with query, ProcessPoolExecutor(processes) as pool:
            each = [(url, given.seconds, at_once, given.most / processes)] * processes
            taken = [one for found in pool.map(_work, each) for one in found]
            start = _from_the_start(database)
            dead = _dead_rows(database)
    begun, ended = min(each.at for each in taken), max(each.at for each in taken)
    tenth = (ended - begun) / 10
    first = sum(each.count for each in taken if each.at < begun + tenth) / tenth
    last = sum(each.count for each in taken if each.at >= ended - tenth) / tenth
    rate = sum(each.count for each in taken) / (ended - begun)
    waits = sorted(each.milliseconds for each in taken)
    worst = waits[int(len(waits) * 0.99)]
    median = statistics.median(waits)
    return (
        f"{rate:.0f} | {first:.0f} | {last:.0f} | {median:.1f} | {worst:.1f} | {start:.1f} | {dead}"
    )


def _fill(database: Database, count: int) -> None:
    day, now = date(2025, 1, 1), datetime.now(UTC)
    with database.write() as session:
        campaigns.create(session, "c1", {}, "ARCHIVE", "", [(day, day, 0, 86399)], now)
        campaign_series.enter(session, 1, [NewFound("1.2.0.1", "1.2.0", "CT", 300)], now)
        names = [each.name for each in CampaignSeriesRow.__table__.columns]
        own = {"series_instance_uid": "'1.2.' || n || '.1'", "study_instance_uid": "'1.2.' || n"}
        copied = ", ".join(own.get(each, each) for each in names[1:])
        session.execute(
            text(
                f"INSERT INTO campaign_series ({', '.join(names[1:])}) SELECT {copied}"  # noqa: S608
                f" FROM campaign_series, generate_series(1, {count - 1}) AS n"
            )
        )


@contextmanager
def _open_query(database: Database) -> Iterator[None]:
    with database.read() as session:
        session.execute(text("SELECT count(*) FROM campaign_series"))
        yield


def _work(what: tuple[str, float, int, float]) -> list[Claimed]:
    url, seconds, at_once, most = what
    taken, after, until = list[Claimed](), 0, time.monotonic() + seconds
    first = time.monotonic()
    with closing(Database.open(url)) as database:
        while time.monotonic() < until:
            if most:
                due = first + len(taken) * at_once / most
                time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            now = datetime.now(UTC)
            with database.write_lightly() as session:
                found = campaign_claims.claim_some(
                    session, 1, FoundState.FOUND, now, _LEASE, after, at_once
                )
            if not found:
                break
            milliseconds = 1000 * (time.monotonic() - begun)
            after = found[-1].found_id
            with database.write() as session:
                campaign_claims.judged(session, [(each, ()) for each in found], now)
            taken.append(Claimed(time.monotonic(), len(found), milliseconds))
    return taken


def _from_the_start(database: Database) -> float:
    """Milliseconds of a claim that passes all that was done with."""
    begun = time.monotonic()
    with database.write_lightly() as session:
        campaign_claims.claim(session, 1, FoundState.FOUND, datetime.now(UTC), _LEASE)
    return 1000 * (time.monotonic() - begun)


def _dead_rows(database: Database) -> int:
    dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'campaign_series'"
    with database.read() as session:
        return int(session.scalar(text(dead)) or 0)


if __name__ == "__main__":
    main()
