"""The schema of an earlier release is taken over with all that is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from storage import index, jobs, queries, result_sets
from storage.database import Database, checked_url
from storage.decided import Reason, Verdict
from storage.errors import UnknownRevisionError
from storage.models import SCHEMA_REVISION
from storage.nodes import all_nodes
from storage.records import ConflictState, JobKind, SeriesState
from support.former import upgrade
from support.storage_samples import LEASE, NOW, instance, receive

pytestmark = pytest.mark.usefixtures("real_migrations")

_SERIES = """
INSERT INTO series VALUES ('1.2.{n}', '1.2', 'ACC', 'CT', 'SCANNER', '{state}', {count}, 1, 1,
 '{now}', '{now}', {ended}, {ended}, 'd', :evidence, :reasons, NULL, :history, {removed})"""
_FAILED = {"rule": "contrast", "value": "yes", "limit": "none given", "verdict": "fail"}
_EVIDENCE = {
    "complete": True,
    "basis": "association_released",
    "evidence": "association released, then 5.0 s without another instance",
    "look_again_at": None,
    "closed_by": "quiet_period",
    "pieces": [{"witness": "slices", "says": "supports", "evidence": "2 slices without a gap"}],
    "instances": 2,
    "eligible_since": NOW.isoformat(),
}
_HISTORY = [
    {
        "state": "analysed",
        "decided_at": NOW.isoformat(),
        "ended_at": NOW.isoformat(),
        "instance_count": 1,
        "input_digest": "former",
        "completeness": _EVIDENCE,
        "reasons": [_FAILED],
        "analysis": {"probabilities": {}},
    },
    {
        "why": "safety",
        "title": "Rejected for Patient Safety Reasons",
        "reasons": [],
        "instance_count": 1,
        "told": ["PACS"],
        "state": "retracted",
        "decided_at": NOW.isoformat(),
        "retracted": ["2.25.7"],
    },
]
KEPT = {
    "evidence": json.dumps(_EVIDENCE),
    "reasons": json.dumps([_FAILED]),
    "history": json.dumps(_HISTORY),
}
"""In the JSON columns of each series."""

_INSTANCE = """
INSERT INTO instance VALUES ('1.2.{n}.{i}', '1.3', '1.2.{n}', '1.2', '1.2.840.10008.1.2', 'ACC',
 'CT', 'path-{n}-{i}', 7, 'sha', 'a1', 'SCANNER', '{now}', 1)"""
_CONFLICT = """
INSERT INTO instance_conflict VALUES
 ('1.2.1.1', 'other', '{series}', 'path-{series}', 7, '{now}', 'SCANNER')"""
_JOB = """
INSERT INTO job (kind, state, series_instance_uid, input_digest, model_digest, priority, attempt,
 created_at, not_before)
 VALUES ('{kind}', '{state}', '1.2.{n}', 'd', 'm', 1, 1, '{now}', '{now}')"""
_RESULT = """
INSERT INTO result VALUES ('2.25.1', '1.4', '2.25.9', '1.2.3', 'sr', 'result', 7, '{now}', 0)"""
_DELIVERY = """
INSERT INTO delivery (sop_instance_uid, series_instance_uid, destination, state, priority, attempt,
 created_at, not_before) VALUES ('2.25.1', '1.2.3', 'PACS', 'waiting', 1, 0, '{now}', '{now}')"""


@pytest.fixture
def engine(empty_url: str, tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "data").mkdir()  # where the SQLite file of `empty_url` lies
    made = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with made.begin() as connection:
        upgrade(connection, "0001")
    yield made
    made.dispose()


def fill(connection: Connection) -> None:
    """A series in each state, as the first schema has them."""

    def run(statement: str, **values: object) -> None:
        kept = KEPT if statement is _SERIES else {}
        connection.execute(text(statement.format(now=NOW.isoformat(" "), **values)), kept)

    now = f"'{NOW.isoformat(' ')}'"
    run("INSERT INTO association VALUES ('a1','n','SCANNER','N','h','{now}','{now}','released')")
    for n, state in enumerate(SeriesState, start=1):
        ended = "NULL" if n < 3 else now
        run(_SERIES, n=n, state=state, count=2, ended=ended, removed="NULL")
        run(_INSTANCE, n=n, i=1)
        run(_INSTANCE, n=n, i=2)
    run(_SERIES, n=6, state="skipped", count=2, ended=now, removed=now)
    run(_CONFLICT, series="1.2.1")
    run(_CONFLICT.replace("other", "moved"), series="1.2.99")
    run(_JOB, kind="assess", state="queued", n=1)
    run(_JOB, kind="analyse", state="queued", n=2)
    run(_JOB, kind="analyse", state="done", n=3)
    run(_RESULT)
    run(_DELIVERY)


def test_rows_of_the_first_schema_are_taken_over(engine: Engine, empty_url: str) -> None:
    with engine.begin() as connection:
        fill(connection)
    database = Database.open(empty_url)
    with database.read() as session:
        found = queries.list_series(session)
        assert {(each.series_key, each.series_instance_uid, each.state) for each in found} == {
            (f"1.2.{n}", f"1.2.{n}", state) for n, state in enumerate(SeriesState, start=1)
        } | {("1.2.6", "1.2.6", SeriesState.SKIPPED)}
        (first, second) = index.instances_of_series(session, "1.2.1")
        assert (first.series_instance_uid, first.series_key) == ("1.2.1", "1.2.1")
        assert second.path == "path-1-2"
        (made,) = result_sets.sets_of_series(session, "1.2.3")
        assert [each.destination for each in made.deliveries] == ["PACS"]
        conflicts = queries.series_detail(session, "1.2.1").conflicts  # type: ignore[union-attr]
        assert [each.state for each in conflicts] == [ConflictState.FIRST] * 2
        for each in found:
            assert each.reasons == (Reason("contrast", "yes", "none given", Verdict.FAIL),)
            assert each.completeness is not None
            assert each.completeness.as_json() == _EVIDENCE
            assert [entry.as_json() for entry in each.history] == _HISTORY
    with database.write() as session:
        assessed = jobs.claim(session, [JobKind.ASSESS], "o/", NOW, LEASE)
        analysed = jobs.claim(session, [JobKind.ANALYSE], "o/", NOW, LEASE)
    assert [each and each.series_key for each in (assessed, analysed)] == ["1.2.1", "1.2.2"]
    database.close()


def test_what_comes_later_is_entered_beside_it(engine: Engine, empty_url: str) -> None:
    with engine.begin() as connection:
        fill(connection)
    database = Database.open(empty_url)
    receive(database, replace(instance(3, "1.2.3"), study_instance_uid="1.2"))
    with database.read() as session:
        detail = queries.series_detail(session, "1.2.3")
    assert detail is not None
    assert (detail.series.state, detail.series.instance_count) == (SeriesState.RECEIVING, 3)
    states = [entry.state for entry in detail.series.history]
    assert states == ["analysed", "retracted", "analysed"]
    database.close()


def test_an_empty_database_goes_back_and_forth(engine: Engine) -> None:
    def tables() -> dict[str, list[tuple[str, list[str | None]]]]:
        seen = inspect(engine)
        return {
            table: sorted((each["name"] or "", each["column_names"]) for each in indexes)
            for table in seen.get_table_names()
            for indexes in [seen.get_indexes(table)]
        }

    before = tables()
    with engine.begin() as connection:
        upgrade(connection, "head")
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "storage:migrations")
        command.downgrade(config, "0001")
    assert tables() == before


def test_an_earlier_release_finds_its_schema_again(empty_url: str) -> None:
    database = Database.open(empty_url)
    receive(database, instance(1, "1.2.3"))
    for wrong in ("9999", SCHEMA_REVISION, "head"):
        with pytest.raises(UnknownRevisionError, match="earlier are 0001, 0002, 0003"):
            database.step_back(wrong)
    database.step_back("0003")
    database.close()
    seen = create_engine(checked_url(empty_url))
    names = inspect(seen).get_table_names()
    columns = {each["name"] for each in inspect(seen).get_columns("series")}
    seen.dispose()
    assert "commitment_request" in names
    assert "flight_record" not in names
    assert "on_hold_since" not in columns
    again = Database.open(empty_url)  # this release takes it forward again, with what is there
    with again.read() as session:
        assert queries.series_detail(session, "1.2.3") is not None
    again.close()


def test_what_the_one_node_had_stays_its_own_forth_and_back(engine: Engine, empty_url: str) -> None:
    tables = ("instance", "instance_conflict", "result", "removal")
    with engine.begin() as connection:
        fill(connection)
        connection.execute(text("INSERT INTO owner VALUES (1, 'the node')"))
        removal = text("INSERT INTO removal VALUES ('instance', 'path-6-1', :now)")
        connection.execute(removal, {"now": NOW.isoformat(" ")})
        before = connection.execute(text("SELECT job_id, kind, state FROM job")).all()
    database = Database.open(empty_url)
    with database.read() as session:
        (node,) = all_nodes(session)
        for table in tables:
            whose = session.scalars(text(f"SELECT DISTINCT node_id FROM {table}"))  # noqa: S608
            assert whose.all() == ["the node"], table
        assert session.execute(text("SELECT job_id, kind, state FROM job")).all() == before
        assert session.scalars(text("SELECT DISTINCT node_id FROM job")).all() == [None]
    assert (node.node_id, node.shares, node.left_at) == ("the node", False, None)
    receive(database, replace(instance(1, "1.2.77"), study_instance_uid="1.2"))  # numbers go on
    database.step_back("0004")
    database.close()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT * FROM owner")).all() == [(1, "the node")]
        paths = connection.execute(text("SELECT kind, path FROM removal")).all()
        assert paths == [("instance", "path-6-1")]
        jobs_then = connection.execute(text("SELECT job_id, kind, state FROM job")).all()
        assert set(before) < set(jobs_then)
    again = Database.open(empty_url)
    with again.read() as session:
        assert [each.node_id for each in all_nodes(session)] == ["the node"]
    again.close()
