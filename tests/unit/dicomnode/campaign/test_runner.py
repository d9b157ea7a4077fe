"""One step after another: nothing is lost, and nothing asked twice, however it is broken off."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.campaign.runner import Runner
from dicomnode.decisions.reasons import Reason, Verdict
from storage import campaign_series, campaigns
from storage.campaign_records import CampaignState, FoundState, NewFound, WindowState
from storage.campaign_tables import CampaignRow, CampaignSeriesRow, CampaignWindowRow
from storage.database import Database
from support.campaigns import DAY, ScriptedArchive, campaign, unsynced
from support.clock import StandingClock
from support.storage_samples import NOW

THICK = Reason("slice_thickness", 5.0, 3.0, Verdict.FAIL)
MORNING = datetime.combine(DAY, datetime.min.time())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Of all tests of the module; each begins with no campaign."""
    return unsynced(Database.open(f"sqlite:///{tmp_path_factory.mktemp('campaign')}/node.db"))


def archive(count: int, **more: object) -> ScriptedArchive:
    moments = {f"1.{n}": MORNING + timedelta(seconds=5000 * n) for n in range(1, count + 1)}
    return ScriptedArchive(moments, **more)  # type: ignore[arg-type]


class Work:
    """A campaign of one day with its runner; what is had counts as analysed at once."""

    def __init__(self, database: Database, source: ScriptedArchive, **plan: object) -> None:
        with database.write() as session:
            for table in (CampaignSeriesRow, CampaignWindowRow, CampaignRow):
                session.query(table).delete()
        self.database, self.source = database, source
        self.campaign = campaign(database, **plan)  # type: ignore[arg-type]
        self.clock = StandingClock(NOW)
        self.refusing = ""
        self.begin()

    def begin(self) -> None:
        """Anew, as after a kill: what the last one held is free when its lease has run out."""
        self.runner = Runner(
            self.database,
            self.campaign,
            self.source,
            threading.Event(),
            lambda: self.refusing,
            self.clock,
        )
        self.clock.move(600)

    def until(self, state: CampaignState, analysing: bool = True, most: int = 2000) -> int:
        """Steps until the campaign is in a state."""
        for number in range(most):
            found, waits = self.runner.step()
            if analysing:
                self._analyse()
            if found is state:
                return number
            self.clock.move(waits or 0.0)
        raise AssertionError(f"after {most} steps still not {state}")

    def series(self) -> dict[str, FoundState]:
        with self.database.read() as session:
            found = campaign_series.table_of(session, self.campaign.campaign_id)
            return {each.series_instance_uid: each.state for each in found}

    def windows(self) -> list[WindowState]:
        with self.database.read() as session:
            return [each.state for each in campaigns.windows_of(session, self.campaign.campaign_id)]

    def _analyse(self) -> None:
        with self.database.write() as session:
            rows = session.query(CampaignSeriesRow).filter_by(state=FoundState.PULLED)
            rows.update({"state": FoundState.ANALYSED, "ended_at": self.clock.now()})


def test_what_falls_by_its_tags_is_not_moved(database: Database) -> None:
    source = archive(3)
    source.fallen["1.2.1"] = (THICK,)
    work = Work(database, source)
    work.until(CampaignState.DONE)
    assert sorted(source.pulled) == ["1.1.1", "1.3.1"]
    assert work.series() == {
        "1.1.1": FoundState.ANALYSED,
        "1.2.1": FoundState.FALLEN,
        "1.3.1": FoundState.ANALYSED,
    }


@settings(max_examples=5)
@given(st.integers(1, 4), st.sampled_from(["told", "silent", "refused"]), st.data())
def test_capped_answers_and_kills_lose_nothing_and_ask_nothing_twice(
    database: Database, cap: int, how: str, data: st.DataObject
) -> None:
    source = archive(7, cap=cap, silent=how == "silent")
    source.refusing = how == "refused"
    work = Work(database, source, most_answers=cap if how == "silent" else 0)
    for _ in range(data.draw(st.integers(0, 3), "kills")):
        for _ in range(data.draw(st.integers(0, 12), "steps before")):
            _state, waits = work.runner.step()
            work.clock.move(waits or 0.0)
        source.broken = data.draw(st.integers(0, 2), "calls that fail")
        work.begin()
    work.until(CampaignState.DONE)
    assert set(work.series()) == {f"1.{n}.1" for n in range(1, 8)}
    assert set(work.series().values()) == {FoundState.ANALYSED}
    for asked in (source.asked, source.pulled, source.looked):
        assert len(asked) == len(set(asked)) == 7
    assert WindowState.OPEN not in work.windows()


def test_what_cannot_be_told_apart_is_told(database: Database) -> None:
    """Three studies within one second, of which the archive tells two."""
    source = ScriptedArchive({f"1.{n}": MORNING for n in range(3)}, cap=2)
    work = Work(database, source)
    work.until(CampaignState.DONE)
    assert set(work.series()) == {"1.0.1", "1.1.1"}
    assert work.windows().count(WindowState.CAPPED) == 1


def test_it_goes_no_further_ahead_than_the_workers_and_the_disk(database: Database) -> None:
    source = archive(9)
    work = Work(database, source, ahead=2)
    for _ in range(60):
        work.runner.step()
    assert len(source.pulled) == 2
    assert len(source.looked) == 9  # tags are looked at meanwhile
    with database.read() as session:
        said = campaigns.find(session, "c1")
    assert said is not None
    assert said.waits_for == "2 series wait for the workers"
    work.refusing = "the disk is full"
    work._analyse()
    for _ in range(10):
        work.runner.step()
    assert len(source.pulled) == 2
    work.refusing = ""
    work.until(CampaignState.DONE)
    assert len(source.pulled) == 9


def test_a_pause_asks_for_nothing_more(database: Database) -> None:
    source = archive(5)
    work = Work(database, source)
    work.runner.step()
    number = work.campaign.campaign_id
    with database.write() as session:
        campaigns.pause(session, number)
    before = len(source.asked), len(source.pulled)
    assert work.runner.run(until_empty=True) is CampaignState.PAUSED
    assert (len(source.asked), len(source.pulled)) == before
    with database.write() as session:
        campaigns.resume(session, number)
    work.until(CampaignState.DONE)
    assert len(source.pulled) == 5


def test_one_that_is_done_and_resumed_asks_for_what_is_new_and_looks_at_nothing_twice(
    database: Database,
) -> None:
    class Growing(ScriptedArchive):
        def everything(self) -> list[NewFound]:
            return [NewFound(f"1.9.{n}", "1.9", "CT", 10) for n in range(len(self.moments))]

    source = Growing({"1.1": MORNING})
    work = Work(database, source)
    work.until(CampaignState.DONE)
    source.moments["1.2"] = MORNING + timedelta(hours=9)
    work.runner.step()
    assert source.asked == ["1.1"], "it stays done"
    with database.write() as session:
        campaigns.resume(session, work.campaign.campaign_id)
    work.until(CampaignState.DONE)
    assert source.asked == ["1.1", "1.2"]
    assert source.pulled == ["1.9.0", "1.1.1", "1.9.1", "1.2.1"]


@pytest.mark.parametrize("before", [CampaignState.PAUSED, CampaignState.DONE])
def test_a_runner_that_has_nothing_to_do_says_what_lets_it_go_on(
    database: Database, caplog: pytest.LogCaptureFixture, before: CampaignState
) -> None:
    work = Work(database, archive(1))
    with database.write() as session:
        turn = campaigns.end if before is CampaignState.DONE else campaigns.pause
        turn(session, work.campaign.campaign_id)
    stop = work.runner._stop
    looks = iter([False, True])

    def wait(_seconds: float | None = None) -> bool:
        if next(looks):
            stop.set()
        return stop.is_set()

    stop.wait = wait  # type: ignore[method-assign,assignment]
    with caplog.at_level("INFO", logger="dicomnode.campaign.runner"):
        work.runner.run(until_empty=False)
    assert len(caplog.records) == 1, "once"
    assert f"is {before}" in caplog.text
    assert "dicomnode campaign resume" in caplog.text


def test_of_one_that_was_removed_amid_a_question_nothing_is_left(database: Database) -> None:
    class Removing(ScriptedArchive):
        def series(self, study_instance_uid: str) -> list[NewFound]:
            with database.write() as session:
                campaigns.remove(session, work.campaign.campaign_id)
            return super().series(study_instance_uid)

    source = Removing({"1.1": MORNING})
    work = Work(database, source)
    assert work.runner.run(until_empty=True) is None
    with database.read() as session:
        assert session.query(CampaignSeriesRow).count() == 0


def test_outside_its_hours_the_archive_is_not_asked(database: Database) -> None:
    source = archive(2)
    hour = NOW.astimezone().hour
    work = Work(database, source, from_hour=(hour + 2) % 24, to_hour=(hour + 3) % 24)
    state, waits = work.runner.step()
    assert state is CampaignState.READY
    assert waits
    assert source.queried == []
    work.clock.move(2 * 3600 - 600)
    work.until(CampaignState.DONE)
    assert len(source.pulled) == 2


def test_an_archive_that_is_away_is_asked_less_and_less_often(database: Database) -> None:
    source = archive(1)
    source.broken = 7
    work = Work(database, source)
    rests = [work.runner.step()[1] for _ in range(7)]
    assert rests == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]
    work.until(CampaignState.DONE)
    assert source.pulled == ["1.1.1"]


def test_a_folder_is_entered_as_a_whole(database: Database) -> None:
    """As a source whose series need not be asked for by time."""

    class Folder(ScriptedArchive):
        def everything(self) -> list[NewFound]:
            return [NewFound("1.9.1", "1.9", "CT", 10), NewFound("1.9.2", "1.9", "MR", 10)]

    source = Folder({})
    work = Work(database, source)
    work.until(CampaignState.DONE)
    assert work.series() == {"1.9.1": FoundState.ANALYSED}
