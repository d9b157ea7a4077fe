"""`dicomnode database forget` and `store`: told, asked for, audited; nothing where it does not
fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dicomnode.audit.reading import entries
from dicomnode.config.reading import load_settings
from storage.database import Database
from storage.jobs import claim
from storage.known_store import prove
from storage.lost_nodes import lose_silent
from storage.nodes import all_nodes, tell_alive
from storage.object_store import FolderStore
from storage.records import JobKind
from support.command import dicomnode
from support.several_nodes import A, B, at, share
from support.storage_samples import LEASE, NOW, SERIES, instance, receive, seconds

OTHER = "1.2.826.1.11"
LATER = NOW + seconds(120)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[node]\ndata_directory = "data"\n')
    return path


@pytest.fixture
def database(config: Path) -> Iterator[Database]:
    (config.parent / "data").mkdir()
    with closing(Database.open(load_settings(config).database_url)) as opened:
        share(opened)
        receive(opened, *at(A, instance(1), instance(2)))
        yield opened


def lose(database: Database) -> None:
    with database.write() as session:
        tell_alive(session, B, LATER)
        lose_silent(session, LATER - seconds(60), LATER)


def forget(config: Path, *arguments: str, status: int = 0) -> str:
    done = dicomnode("database", "forget", *arguments, "--config", str(config))
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def is_forgotten(database: Database) -> bool:
    with database.read() as session:
        return any(each.forgotten for each in all_nodes(session))


def test_what_it_alone_had_is_told_before_it_is_asked_for(config: Path, database: Database) -> None:
    lose(database)
    told = forget(config, "host-0", status=2)
    assert f"host-0 ({A}) alone had 2 instances of 1 series that wait for them" in told
    assert "give --yes to do it" in told
    assert not is_forgotten(database)


def test_it_is_forgotten_and_the_trail_tells(config: Path, database: Database) -> None:
    lose(database)
    told = json.loads(forget(config, A, "--yes", "--json"))
    assert (told["node"], told["open_series"], told["instances"]) == (A, 1, 2)
    assert is_forgotten(database)
    (entry,) = entries(load_settings(config).audit_file)
    assert entry is not None
    assert "database forget" in f"{entry.what}{entry.about}"
    assert "is no node of this database" in forget(config, A, "--yes", status=2)


def test_why_tells_what_it_meant_for_a_series_and_show_where_its_jobs_are(
    config: Path, database: Database
) -> None:
    receive(database, *at(B, instance(1, OTHER)))
    with database.write() as session:
        assert claim(session, [JobKind.ASSESS], f"{B}/assessor/7/", NOW, LEASE) is not None
    lose(database)
    forget(config, A[:8], "--yes")

    def told(*words: str) -> str:
        done = dicomnode("queue", *words, "--config", str(config))
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    lay_there = "2 instances lay there alone: the archive is asked for them"
    assert f"the node host-0 was forgotten; {lay_there}" in told("why", SERIES)
    assert "was forgotten" not in told("why", OTHER)
    assert "host-1" in told("show", OTHER)


def test_one_that_is_heard_of_is_not(config: Path, database: Database) -> None:
    assert "stop it first" in forget(config, "host-1", "--yes", status=2)
    assert not is_forgotten(database)


def test_of_two_of_one_name_the_id_is_asked_for(config: Path, database: Database) -> None:
    share(database, "c" * 32)  # host-0, installed anew
    with database.write() as session:
        lose_silent(session, LATER, LATER)
    told = forget(config, "host-0", "--yes", status=2)
    assert A in told
    assert "c" * 32 in told
    assert not is_forgotten(database)


def store(config: Path, *arguments: str, status: int = 0) -> str:
    done = dicomnode("database", "store", *arguments, "--config", str(config))
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_the_store_is_told_and_another_is_taken_where_a_person_wants_it(
    config: Path, database: Database
) -> None:
    assert "there is none" in store(config, status=2)
    folder = config.parent / "store"
    folder.mkdir()
    config.write_text(f'{config.read_text()}[object_store]\nurl = "{folder.as_uri()}"\n')
    assert "bears no mark; the database has used none yet" in store(config)
    mark = prove(database, FolderStore(folder))
    assert "bears the mark of this database" in store(config)
    folder.rename(config.parent / "former")
    folder.mkdir()
    assert "bears no mark\n" in store(config, status=1)
    assert "give --yes to do it" in store(config, "--accept", status=2)
    told = json.loads(store(config, "--accept", "--yes", "--json"))
    assert told["known"] == told["mark"] != mark
    assert "bears the mark of this database" in store(config)
    audited = [each for each in entries(load_settings(config).audit_file) if "store" in str(each)]
    assert audited, "it is on record"
