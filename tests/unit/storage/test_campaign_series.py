"""The series of a campaign: each claimed by one, ended once, with what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from storage import campaign_claims, campaign_series, queries
from storage.campaign_records import FoundClaim, FoundRecord, FoundState
from storage.campaign_tables import CampaignSeriesRow
from storage.database import Database
from storage.errors import LeaseLostError
from storage.models import InstanceRow, RemovalRow
from storage.records import SeriesState
from support.campaigns import ARCHIVE, ask_for, campaign, find, take
from support.storage_samples import (
    NOW,
    SERIES,
    THICK,
    analyse,
    instance,
    queue,
    receive,
    seconds,
)

OTHER = "1.2.826.1.20"


def rows(database: Database, campaign_id: int) -> list[FoundRecord]:
    with database.read() as session:
        return list(campaign_series.table_of(session, campaign_id, batch=1))


def came(database: Database, uid: str = SERIES, sender: str = ARCHIVE, after: float = 1.0) -> None:
    """Two instances, as the archive sends them."""
    both = (instance(n, uid, received_at=NOW + seconds(after)) for n in (1, 2))
    receive(database, *(replace(each, calling_ae_title=sender) for each in both))


def test_what_is_known_is_not_entered_again(database: Database) -> None:
    made = campaign(database)
    assert find(database, made, SERIES, OTHER) == 2
    assert find(database, made, SERIES) == 0
    assert find(database, campaign(database, name="c2"), SERIES) == 1


def test_each_is_claimed_once_until_its_lease_runs_out(database: Database) -> None:
    made = campaign(database)
    find(database, made, SERIES, OTHER)
    first, second = (take(database, made, FoundState.FOUND) for _ in range(2))
    assert first is not None
    assert second is not None
    assert {first.series_instance_uid, second.series_instance_uid} == {SERIES, OTHER}
    assert take(database, made, FoundState.FOUND) is None
    again = take(database, made, FoundState.FOUND, NOW + seconds(60))
    assert again is not None
    assert (again.found_id, again.attempt) == (first.found_id, 2)
    with database.write() as session:
        assert not campaign_claims.renew(session, first, NOW, seconds(60))
        with pytest.raises(LeaseLostError):
            campaign_claims.put_back(session, first, NOW, None)
        campaign_claims.judged(session, [(first, [THICK])], NOW)
        campaign_claims.let_go(session, [first])
    assert {each.state for each in rows(database, made.campaign_id)} == {FoundState.FOUND}
    with database.write() as session:
        assert campaign_claims.renew(session, again, NOW + seconds(60), seconds(60))
    beyond = take(database, made, FoundState.FOUND, NOW + seconds(120), after=first.found_id)
    assert beyond is not None
    assert beyond.found_id == second.found_id


def test_several_are_claimed_at_once_and_those_not_come_to_are_free_again(
    database: Database,
) -> None:
    made = campaign(database)
    uids = [f"1.2.{number}" for number in range(5)]
    find(database, made, *uids)

    def some(most: int, after: int = 0) -> list[FoundClaim]:
        with database.write_lightly() as session:
            return campaign_claims.claim_some(
                session, made.campaign_id, FoundState.FOUND, NOW, seconds(60), after, most
            )

    first, second = some(3), some(3)
    assert [each.series_instance_uid for each in (*first, *second)] == uids
    assert some(3) == []
    with database.write() as session:
        campaign_claims.judged(session, [(first[0], [THICK]), (first[1], [])], NOW)
        campaign_claims.let_go(session, [first[2]])
    states = [each.state for each in rows(database, made.campaign_id)]
    fallen, wanted = FoundState.FALLEN, FoundState.WANTED
    assert states == [fallen, wanted, FoundState.FOUND, FoundState.FOUND, FoundState.FOUND]
    assert some(3, after=first[2].found_id) == []
    (again,) = some(3)
    assert (again.series_instance_uid, again.attempt) == (uids[2], 1)


def test_what_a_dead_process_held_is_free_for_the_one_after_it(database: Database) -> None:
    made = campaign(database)
    find(database, made, SERIES, OTHER)

    def take_as(owner: str) -> list[FoundClaim]:
        which = made.campaign_id, FoundState.FOUND, NOW, seconds(60), 0, 1
        with database.write() as session:
            return campaign_claims.claim_some(session, *which, owner)

    (first,), (_others,) = take_as("node/"), take_as("node-2/")
    assert take_as("node/") == []
    with database.write() as session:
        assert campaign_claims.hand_back(session, made.campaign_id, "node/") == 1
    (again,) = take_as("node/")
    assert (again.series_instance_uid, again.attempt) == (first.series_instance_uid, 2)
    with database.write() as session:
        campaign_claims.judged(session, [(first, [THICK])], NOW)
    assert {each.state for each in rows(database, made.campaign_id)} == {FoundState.FOUND}


def test_tags_reject_or_leave_it_wanted(database: Database) -> None:
    made = campaign(database)
    find(database, made, SERIES, OTHER)
    for reasons in ([THICK], []):
        claimed = take(database, made, FoundState.FOUND)
        assert claimed is not None
        with database.write() as session:
            campaign_claims.judged(session, [(claimed, reasons)], NOW)
    fallen, wanted = rows(database, made.campaign_id)
    assert (fallen.state, fallen.reasons, fallen.ended_at) == (FoundState.FALLEN, (THICK,), NOW)
    assert wanted.state is FoundState.WANTED
    assert take(database, made) is not None


def test_what_failed_is_tried_later(database: Database) -> None:
    made = campaign(database)
    claimed = ask_for(database, made, SERIES)
    with database.write() as session:
        campaign_claims.put_back(session, claimed, NOW + seconds(60), "away")
    assert take(database, made) is None
    again = take(database, made, now=NOW + seconds(60))
    assert again is not None
    assert again.attempt == 2
    with database.write() as session:
        campaign_claims.put_back(session, again, NOW, None)  # stopped: it was no attempt
    third = take(database, made)
    assert third is not None
    assert third.attempt == 2
    with database.write() as session:
        campaign_series.failed(session, third, "nothing came", NOW)
    (row,) = rows(database, made.campaign_id)
    assert (row.state, row.error) == (FoundState.FAILED, "nothing came")


def test_its_end_is_copied_and_its_files_go(database: Database) -> None:
    made = campaign(database)
    number = made.campaign_id
    claimed = ask_for(database, made, SERIES)
    came(database)
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
        assert campaign_series.load(session, number) == (1, 10_000_000_000)
        assert campaign_series.settle(session, number, NOW, 10) == 0
    queue(database, now=NOW + seconds(3))
    analyse(database, now=NOW + seconds(4), only_to="")
    with database.write() as session:
        assert campaign_series.settle(session, number, NOW + seconds(5), 10) == 1
        assert campaign_series.load(session, number) == (0, 0)
    (row,) = rows(database, number)
    assert (row.state, row.clinical) == (FoundState.ANALYSED, False)
    assert row.analysis == {"probabilities": {"covid": 0.25}}
    assert row.ended_at == NOW + seconds(4)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(InstanceRow)) == 0
        assert session.scalar(select(func.count()).select_from(RemovalRow)) == 4
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    assert detail.series.state is SeriesState.ANALYSED


def test_a_series_waits_for_the_delivery_of_its_results(database: Database) -> None:
    made = campaign(database, only_to="PACS")
    claimed = ask_for(database, made, SERIES)
    came(database)
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
    queue(database, now=NOW + seconds(3))
    analyse(database, destinations=["PACS", "CLINICAL"], now=NOW + seconds(4), only_to="PACS")
    with database.write() as session:
        assert campaign_series.settle(session, made.campaign_id, NOW + seconds(5), 10) == 0
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    assert {each.destination for each in detail.deliveries} == {"PACS"}


def test_a_series_that_the_node_has_is_only_watched(database: Database) -> None:
    came(database, sender="SCANNER")
    made = campaign(database)
    find(database, made, SERIES, state=FoundState.WANTED)
    claimed = take(database, made)
    assert claimed is not None
    with database.write() as session:
        assert not campaign_series.asked(session, claimed, NOW + seconds(2))
    queue(database, now=NOW + seconds(3))
    analyse(database, now=NOW + seconds(4))
    with database.write() as session:
        assert campaign_series.settle(session, made.campaign_id, NOW + seconds(5), 10) == 1
        kept = session.scalar(select(func.count()).select_from(InstanceRow))
    (row,) = rows(database, made.campaign_id)
    assert (row.state, row.clinical, kept) == (FoundState.ANALYSED, True, 2)


def test_the_claim_uses_its_index(database: Database) -> None:
    made = campaign(database)
    find(database, made, *(f"1.2.{number}" for number in range(200)))
    if database.url.startswith("sqlite"):
        return  # its planner is another
    with database.write() as session:
        session.execute(text("ANALYZE campaign_series"))
        session.execute(text("SET LOCAL enable_seqscan = off"))
        table = CampaignSeriesRow
        plan = session.execute(
            text(
                "EXPLAIN SELECT found_id FROM campaign_series WHERE campaign_id = 1 AND"
                " state = 'found' AND state IN ('found', 'wanted') AND found_id > 5"
                " ORDER BY found_id LIMIT 1"
            )
        )
        assert table.__tablename__
        assert "ix_campaign_series_claim" in "\n".join(plan.scalars())
