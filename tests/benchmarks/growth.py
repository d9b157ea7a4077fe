"""What the database of a node grows to with its studies, and how quickly it answers then.

    python tests/benchmarks/growth.py --studies 1000 10000 100000
    python tests/benchmarks/growth.py --studies 1000000 --kept 1000

One series of a drawn chest goes the whole way on PostgreSQL, and is found by a campaign beside four
that fell by their tags. All its rows are then multiplied: names of the same length with a number in
them, times a minute earlier each. Rows of instances, of which retention removes all but the newest,
are made for `--kept` studies of 300 slices alone. Then: the bytes; the milliseconds of a claim of a
job (of a thousand that wait) and of a series of the campaign, each in a transaction of its own; the
seconds of commands, without the start of Python; of VACUUM ANALYZE; of the way to schema 0004 and
back, which writes the tables of work anew. A server of its own with fsync, on a folder of the
system's for temporary files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from sqlalchemy import Column, DateTime, Table, create_engine, text  # noqa: E402

from dicomnode.config.destinations import Destination  # noqa: E402
from dicomnode.decisions.reasons import Reason, Verdict  # noqa: E402
from storage import campaign_claims, campaign_series, campaigns, jobs  # noqa: E402
from storage.campaign_records import FoundState, NewFound  # noqa: E402
from storage.database import Database  # noqa: E402
from storage.records import JobKind  # noqa: E402
from storage.tables import METADATA  # noqa: E402
from support import postgresql  # noqa: E402
from support.command import dicomnode  # noqa: E402
from support.phantom import write_series  # noqa: E402
from support.pipeline import Pipeline  # noqa: E402
from support.untrained import make_untrained_bundle  # noqa: E402

_SLICES, _DRAWN = 300, 12
_WAITING, _CLAIMS = 1000, 200
_LEASE = timedelta(minutes=5)
_THICK = Reason("slice_thickness", 5.0, 3.0, Verdict.FAIL)
_MULTIPLIED = ("association", "series", "job", "result", "delivery", "flight_record")
_OF_CAMPAIGN, _INSTANCES = "campaign_series", "instance"
_NAMES = {
    *("series_key", "series_instance_uid", "study_instance_uid", "accession_number"),
    *("sop_instance_uid", "result_series_instance_uid", "association_id", "path", "sha256"),
    *("identity_digest", "input_digest", "digest", "previous", "transaction_uid"),
}
_OWN = {"sop_instance_uid", "path", "sha256"}
"""Of an instance; its other names are those of its study."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--kept", type=int, default=1000, help="studies whose files are kept")
    given = parser.parse_args(arguments)
    postgresql.SETTINGS = tuple(s for s in postgresql.SETTINGS if not s.startswith("fsync"))
    print(f"load {os.getloadavg()[0]:.1f}")
    print(
        "| studies | filled in, s | MiB | KiB a study | B an instance | B a series of a campaign |"
        " job: median, ms | 99 % | series: median, ms | 99 % | queue list, s | queue why, s |"
        " status, s | campaign status, s | vacuum, s | schema, s |"
    )
    print("|" + "---|" * 16)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        models = make_untrained_bundle(Path(folder) / "models", size=32)
        for studies in given.studies:
            with postgresql.postgresql_server() as server:
                site = _Site(Path(folder) / str(studies), models, server.url(postgresql.MIGRATED))
                with closing(site.database):
                    cells = site.grown(studies, min(studies, given.kept))
            print(f"| {studies:,} | {' | '.join(cells)} |", flush=True)


class _Site:
    """One series that went the whole way, and its rows many times over."""

    def __init__(self, folder: Path, models: Path, url: str) -> None:
        place = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=9)
        self._pipeline = Pipeline(folder / "data", models, [place], url)
        self.database = self._pipeline.database
        self._pipeline.bring_to_results(write_series(folder / "ct", _DRAWN))
        self._config = str(self._pipeline.write_config(folder))
        self._engine = create_engine(
            url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
        )
        stored = "UPDATE delivery SET state = 'stored', stored_at = created_at"
        self._run(stored)
        self._find()

    def grown(self, studies: int, kept: int) -> list[str]:
        """The cells of its row."""
        filled = _seconds(lambda: self._multiply(studies, kept))
        self._wait_in_the_queue()
        vacuum = _seconds(lambda: self._run("VACUUM ANALYZE"))
        sizes = {table: self._size(table) for table in METADATA.tables}
        instances, of_campaign = sizes[_INSTANCES], sizes[_OF_CAMPAIGN]
        rest = sum(sizes.values()) - instances - of_campaign
        cells = [f"{filled:.0f}", f"{sum(sizes.values()) / 2**20:.0f}"]
        cells.append(f"{rest / studies / 1024:.1f}")
        cells.append(f"{instances / self._count(_INSTANCES):.0f}")
        cells.append(f"{of_campaign / self._count(_OF_CAMPAIGN):.0f}")
        for claim in (self._claim_job, self._claim_series):
            waits = sorted(1000 * _seconds(claim) for _ in range(_CLAIMS))
            cells += [f"{statistics.median(waits):.1f}", f"{waits[int(len(waits) * 0.99)]:.1f}"]
        why = ("queue", "why", self._some_accession(studies))
        commands = (("queue", "list"), why, ("status",), ("campaign", "status", "c1"))
        for command in commands:
            shown = [_seconds(partial(self._show, command)) for _ in range(4)]
            cells.append(f"{statistics.median(shown[1:]):.2f}")
        schema = _seconds(self._there_and_back)
        return [*cells, f"{vacuum:.1f}", f"{schema:.1f}"]

    def _find(self) -> None:
        """The series by a campaign, and four of its study that fell."""
        now, day = datetime.now(UTC), date(2026, 1, 2)
        with self.database.write() as session:
            campaigns.create(session, "c1", _PLAN, "ARCHIVE", "", [(day, day, 0, 86399)], now)
            uid = f"1.2.826.0.1.3680043.8.498.{'7' * 38}"
            fallen = [
                NewFound(f"{uid[:-8]}{n}0000000", uid, "CT", 60, FoundState.FALLEN, (_THICK,))
                for n in range(4)
            ]
            had = NewFound(f"{uid[:-8]}90000000", uid, "CT", _SLICES)
            campaign_series.enter(session, 1, [*fallen, had], now)
        self._run(
            "UPDATE campaign_series SET state = 'analysed', ended_at = found_at, pulled_at ="
            " found_at, asked_at = found_at, analysis = (SELECT analysis FROM series LIMIT 1)"
            " WHERE state = 'found'"
        )

    def _multiply(self, studies: int, kept: int) -> None:
        for name in (*_MULTIPLIED, _OF_CAMPAIGN):
            table = METADATA.tables[name]
            columns = {each.name: _of_study(each) for each in table.columns if not _drawn(each)}
            self._copy(table, columns, f"generate_series(1, {studies - 1}) AS n")
        times, table = _SLICES // _DRAWN, METADATA.tables[_INSTANCES]
        columns = {each.name: _of_study(each) for each in table.columns}
        columns |= {name: _named(name, f"n * {times} + m") for name in _OWN}
        some = f"generate_series(1, {kept - 1}) AS n, generate_series(1, {times}) AS m"
        self._copy(table, columns, some)

    def _copy(self, table: Table, columns: dict[str, str], numbers: str) -> None:
        names = ", ".join(f'"{each}"' for each in columns)
        values = ", ".join(columns.values())
        source = f"(SELECT * FROM {table.name}) AS drawn, {numbers}"  # noqa: S608
        self._run(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {source}")  # noqa: S608

    def _wait_in_the_queue(self) -> None:
        self._run(
            "INSERT INTO job (kind, state, series_key, input_digest, model_digest, priority,"  # noqa: S608
            " attempt, created_at, not_before) SELECT 'analyse', 'queued', series_key, 'q', 'q', 1,"
            f" 0, now(), now() FROM series ORDER BY last_received_at DESC LIMIT {_WAITING}"
        )
        self._run(
            "UPDATE campaign_series SET state = 'found', ended_at = NULL WHERE found_id IN"  # noqa: S608
            f" (SELECT found_id FROM campaign_series ORDER BY found_id DESC LIMIT {_WAITING})"
        )

    def _claim_job(self) -> None:
        with self.database.write() as session:
            now = datetime.now(UTC)
            assert jobs.claim(session, (JobKind.ANALYSE,), "node/worker/1/", now, _LEASE)

    def _claim_series(self) -> None:
        with self.database.write_lightly() as session:
            now = datetime.now(UTC)
            assert campaign_claims.claim(session, 1, FoundState.FOUND, now, _LEASE)

    def _some_accession(self, studies: int) -> str:
        middle = f"SELECT accession_number FROM series ORDER BY series_key OFFSET {studies // 2}"  # noqa: S608
        return str(self._run(f"{middle} LIMIT 1"))

    def _show(self, words: Sequence[str]) -> None:
        done = dicomnode(*words, "--config", self._config)
        if not done.stdout:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")

    def _there_and_back(self) -> None:
        self.database.step_back("0004")
        Database.open(self._pipeline.settings.database_url).close()

    def _size(self, table: str) -> int:
        return int(str(self._run(f"SELECT pg_total_relation_size('{table}')")))

    def _count(self, table: str) -> int:
        return int(str(self._run(f"SELECT count(*) FROM {table}")))  # noqa: S608

    def _run(self, statement: str) -> object:
        """The first value that it returns, if any."""
        with self._engine.connect() as connection:
            found = connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None


_PLAN = {"source": "pacs", "place": "pacs", "first": "2026-01-02", "last": "2026-01-02"}


def _drawn(column: Column[object]) -> bool:
    """Whether its values are numbers that the database gives."""
    numbered = column.primary_key and column.autoincrement is not False
    return numbered and column.type.python_type is int


def _of_study(column: Column[object]) -> str:
    name = f'drawn."{column.name}"'
    if column.name == "number":
        return f"{name} + n"
    if column.name in _NAMES:
        return _named(column.name, "n")
    moment = isinstance(getattr(column.type, "impl", column.type), DateTime)
    return f"{name} - n * interval '1 minute'" if moment else name


def _named(name: str, number: str) -> str:
    """Of the same length, with a number at its end."""
    return f"""left(drawn."{name}", -7) || lpad(({number})::text, 7, '0')"""


def _seconds(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
