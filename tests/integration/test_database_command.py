"""`dicomnode database`, and the withdrawn result: whatever becomes of the database, never sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydicom
import pytest

from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.own_data import LostHistoryError, take_database
from dicomnode.errors import ConfigurationError
from storage.nodes import join
from storage.records import DeliveryState, SeriesState
from support.pipeline import databases_closed
from support.postgresql import PostgresqlServer
from support.result_site import OBJECTS, Site
from support.storage_samples import NOW


@pytest.fixture
def site(unsent: Site) -> Iterator[Site]:
    """A node that has served: the database is its own."""
    here = unsent.node.settings.node.data_directory
    with only_one(here) as node_id, unsent.node.database.write() as session:
        join(session, node_id, "host", shares=False, now=NOW)
    with databases_closed():
        yield unsent


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a new database may be; "" is the default place."""
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.empty_database() as url:
        yield url


def start(site: Site) -> None:
    """As `serve` does before anything else."""
    with only_one(site.node.settings.node.data_directory) as node_id:
        take_database(site.node.settings, node_id)


def lose(site: Site, new_url: str) -> None:
    """The database is removed, or another one, which is new, is configured."""
    site.node.database.close()
    for file in site.node.settings.node.data_directory.glob("node.sqlite3*"):
        file.unlink()
    if new_url:
        site.take(new_url)
    with pytest.raises(LostHistoryError, match="database adopt"):
        start(site)


def adopt(site: Site, new_url: str) -> dict[str, Any]:
    told = site.json("adopt", "--yes", group="database")
    site.take(new_url)
    start(site)
    return dict(told)


def received(site: Site) -> dict[str, set[str]]:
    pacs = {"rejecting": site.rejecting, "plain": site.plain}
    return {name: set(each.by_uid()) for name, each in pacs.items()}


def test_a_withdrawn_result_is_not_sent_though_the_database_is_new(
    site: Site, new_url: str
) -> None:
    """It was withdrawn before it was sent."""
    withdrawn = site.json("retract", site.uid, "--yes")["withdrawn"]
    lose(site, new_url)
    told = adopt(site, new_url)
    assert (told["results"], told["withdrawn"], told["left_alone"]) == (OBJECTS + 2, 1, [])
    assert site.deliver() == 0
    site.run("release", group="database")
    site.deliver()
    for uids in received(site).values():
        assert not uids & set(withdrawn)
    states = {each["state"] for each in site.json("list")}
    assert states == {"withdrawn", "retraction"}
    assert "are withdrawn: not sent again" in site.run("resend", withdrawn[0], status=1)


def test_what_was_sent_and_withdrawn_gets_its_note_and_nothing_else(
    site: Site, new_url: str
) -> None:
    """The note had not gone out yet when the database was lost."""
    site.deliver()
    withdrawn = set(site.json("retract", site.uid, "--yes")["withdrawn"])
    for each in (site.rejecting, site.plain):
        each.begin()
    lose(site, new_url)
    adopt(site, new_url)
    assert site.deliver() == 0
    site.run("release", group="database")
    assert site.deliver() == 2
    assert [len(uids) for uids in received(site).values()] == [1, 1]
    assert not (received(site)["plain"] | received(site)["rejecting"]) & withdrawn


def test_a_moved_database_knows_all_and_sends_nothing_withdrawn(
    site: Site, postgresql: PostgresqlServer
) -> None:
    withdrawn = set(site.json("retract", site.uid, "--yes")["withdrawn"])
    before = site.json("list")
    with postgresql.empty_database() as url:
        site.node.database.close()
        told = site.json("move", "--to", url, "--yes", group="database")
        assert (told["rows"]["result"], told["rows"]["node"]) == (OBJECTS, 1)
        with pytest.raises(LostHistoryError, match="database move"):
            start(site)
        site.take(url)
        start(site)
        assert site.json("list") == before
        assert "deliveries" in site.run("show", site.uid)
        assert site.deliver() == 0
        assert "not empty" in site.run("move", "--to", url, "--yes", group="database", status=2)
        assert not (received(site)["plain"] | received(site)["rejecting"]) & withdrawn
        site.node.database.close()


def test_what_was_sent_is_not_sent_again_by_a_new_database(site: Site, new_url: str) -> None:
    site.deliver()
    before = received(site)
    lose(site, new_url)
    told = adopt(site, new_url)
    assert (told["results"], told["deliveries_held"], told["series_held"]) == (OBJECTS, 0, 0)
    (listed,) = site.json("list")
    assert listed["state"] == "standing"
    assert {each["state"] for each in listed["deliveries"]} == {"stored"}
    for each in (site.rejecting, site.plain):
        each.begin()
    assert "0 series to be decided on, 0 objects to be sent" in site.run(
        "release", group="database"
    )
    assert site.deliver() == 0
    assert site.json("retract", site.uid, "--yes")["told"] == ["plain", "rejecting"]
    assert site.deliver() == 2
    assert not (before["plain"] | before["rejecting"]) & (
        received(site)["plain"] | received(site)["rejecting"]
    )


@pytest.mark.parametrize("way", ["release", "resend"])
def test_what_was_not_sent_waits_for_a_person(site: Site, way: str) -> None:
    lose(site, "")
    assert adopt(site, "")["deliveries_held"] == 2 * OBJECTS
    held = site.node.detail(site.uid)
    assert held.series.state is SeriesState.ANALYSED
    assert {each.state for each in held.deliveries} == {DeliveryState.FAILED}
    assert "held: adopted or restored" in site.run("show", site.uid)
    assert site.deliver() == 0
    if way == "release":
        site.run("release", group="database")
    else:
        site.run("resend", site.uid)
    assert site.deliver() == 2 * OBJECTS
    files = {
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in site.node.settings.result_files.rglob("*.dcm")
    }
    assert received(site) == {"rejecting": files, "plain": files}


def test_a_series_without_results_is_held_until_it_is_tried_again(site: Site) -> None:
    for path in site.node.settings.result_files.rglob("*.dcm"):
        path.unlink()
    lose(site, "")
    assert adopt(site, "")["series_held"] == 1
    assert site.node.detail(site.uid).series.state is SeriesState.FAILED
    assert "held" in site.run("list", group="queue")
    site.run("retry", site.uid, group="queue")
    site.node.assess()
    assert site.node.detail(site.uid).series.state is SeriesState.QUEUED


def test_an_analysis_after_all_brings_other_uids_than_what_was_withdrawn(site: Site) -> None:
    """The results are gone with the database; what was withdrawn is known all the same."""
    site.deliver()
    withdrawn = set(site.json("retract", site.uid, "--yes")["withdrawn"])
    for path in site.node.settings.result_files.rglob("*.dcm"):
        path.unlink()
    lose(site, "")
    adopt(site, "")
    site.run("release", group="database")
    site.node.assess()
    site.node.analyse()
    for each in (site.rejecting, site.plain):
        each.begin()
    assert site.deliver() == 2 * OBJECTS
    assert not (received(site)["plain"] | received(site)["rejecting"]) & withdrawn


def test_nothing_is_adopted_where_the_database_knows_all(site: Site) -> None:
    assert "nothing to adopt" in site.run("adopt", group="database", status=2)
    with only_one(site.node.settings.node.data_directory):
        assert "already running" in site.run("adopt", group="database", status=2)
        assert "already running" in site.run("move", "--to", "x", group="database", status=2)
    with pytest.raises(ConfigurationError, match="belongs to the node"):
        take_database(site.node.settings, "another")
