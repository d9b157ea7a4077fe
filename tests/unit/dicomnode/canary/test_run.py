"""One run of the canary, with a node that does with its series what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.canary import run as canary
from dicomnode.canary import setting
from dicomnode.canary.run import CanaryBusyError, run_canary
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.operating.canary import CanaryPolicy
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.synthetic.spacing import SPACING_MM
from storage import canary_runs, queries
from storage.canary_runs import CanaryRecord
from storage.database import Database
from storage.records import DeliveryRecord, DeliveryState, ResultRecord, SeriesDetail, SeriesState
from support.clock import StandingClock
from support.node import free_port
from support.storage_samples import SR, a_series, instance, receive

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)
LUNGS = Reason("lung_volume", "3805 ml", "at least 500 ml", Verdict.PASS)
REPORT = ResultRecord("2.25.5", SR, "2.25.99", "1.2.3", "sr", "sr.dcm", 10, NOW)
PACS = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=104)
ON = CanaryPolicy(enabled=True, destinations=("pacs",), retract=False)


def analysed(score: float = 0.75, *deliveries: DeliveryRecord) -> SeriesDetail:
    findings = [{"method": "lungs", "scores": {"COVID-19": score}}]
    series = replace(
        a_series(),
        state=SeriesState.ANALYSED,
        reasons=(LUNGS,),
        analysis={"findings": findings},
    )
    return SeriesDetail(series, results=(REPORT,), deliveries=deliveries)


def delivery(state: DeliveryState, destination: str = "pacs") -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id=1,
        destination=destination,
        state=state,
        attempt=1,
        not_before=NOW,
        stored_at=None,
        committed_at=None,
        status="0xA900",
        confirm_at=None,
        error="the object does not match",
        result=REPORT,
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")
    yield opened
    opened.close()


@pytest.fixture
def ran(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunWith:
    return RunWith(database, tmp_path, monkeypatch)


class RunWith:
    """A run in which nothing is sent, and the node is found as `details` have it, in turn."""

    def __init__(self, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self._folder, self._patch = database, folder, monkeypatch
        self.clock = StandingClock(NOW)
        self.stop = threading.Event()

    def settings(self, policy: CanaryPolicy) -> Settings:
        return Settings(
            node=NodeSettings(data_directory=self._folder),
            receive=ReceiveSettings(port=free_port()),
            canary=policy,
            destinations=(PACS,),
        )

    def __call__(
        self, details: Sequence[SeriesDetail | None], policy: CanaryPolicy = ON
    ) -> CanaryRecord | None:
        left = list(details)

        def found(_run: object) -> SeriesDetail | None:
            self.clock.move(1.0)
            return left.pop(0) if len(left) > 1 else left[0]

        self._patch.setattr(canary._Run, "_send", lambda _run: None)
        self._patch.setattr(canary._Run, "_detail", found)
        self._patch.setattr(canary, "_LOOK_SECONDS", 0.0)
        settings = self.settings(policy)
        return run_canary(settings, self.database, "nightly", clock=self.clock, stop=self.stop)


def test_it_passes_when_all_is_analysed_and_has_arrived(ran: RunWith) -> None:
    waiting, stored = (delivery(each) for each in (DeliveryState.WAITING, DeliveryState.STORED))
    done = ran([None, analysed(0.75, waiting), analysed(0.75, stored)])
    assert done is not None
    assert (done.passed, done.stage, done.occasion) == (True, "delivery", "nightly")
    assert "1 result delivered" in done.text
    assert done.scores == '{"lungs": {"COVID-19": 0.75}}'


def test_without_destinations_the_analysis_is_all(ran: RunWith) -> None:
    done = ran([analysed()], replace(ON, destinations=()))
    assert done is not None
    assert (done.passed, done.stage) == (True, "analysis")


def test_a_series_that_is_skipped_fails_with_its_rules(ran: RunWith) -> None:
    thick = Reason("slice_thickness", 2.5, 0.4, Verdict.FAIL)
    skipped = replace(a_series(), state=SeriesState.SKIPPED, reasons=(thick,))
    done = ran([SeriesDetail(skipped)])
    assert done is not None
    told = "slices are 2.5 mm thick, the limit is 0.4: eligibility.max_slice_thickness_mm"
    assert (done.passed, done.text) == (False, f"its series was skipped: {told}")


@pytest.mark.parametrize(
    ("limits", "spacing_mm"),
    [
        ({}, 2.5),
        ({"max_slice_thickness_mm": 1.0}, 1.0),
        ({"max_slice_spacing_mm": 1.255}, 1.25),
        ({"max_slice_thickness_mm": 0.1}, 0.5),
    ],
)
def test_its_slices_are_as_thin_as_the_node_takes_them_and_compared_with_such(
    limits: dict[str, float], spacing_mm: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting, "models_digest", lambda _settings: "digest")
    settings = Settings(eligibility=EligibilityPolicy(**limits))  # type: ignore[arg-type]
    assert setting.spacing_of(settings) == spacing_mm
    same = spacing_mm == SPACING_MM
    assert (setting.setting_of(settings).models == "digest") == same


def test_another_score_than_the_first_time_fails(ran: RunWith) -> None:
    alone = replace(ON, destinations=())
    assert ran([analysed(0.75)], alone) is not None
    ran.clock.move(3600.0)
    done = ran([analysed(0.70)], alone)
    assert done is not None
    assert not done.passed
    assert "COVID-19 is 0.700, and was 0.750 at first" in done.text


def test_a_destination_that_refuses_or_gets_nothing_fails(ran: RunWith) -> None:
    refused = ran([analysed(0.75, delivery(DeliveryState.REFUSED))])
    ran.clock.move(3600.0)
    nothing = ran([analysed(0.75)])
    assert refused is not None
    assert nothing is not None
    assert (refused.passed, refused.stage) == (False, "delivery")
    assert "pacs did not take 1 result: the object does not match" in refused.text
    assert nothing.text == "nothing is sent to pacs"


def test_what_takes_too_long_has_failed(ran: RunWith) -> None:
    done = ran([None], replace(ON, deadline_seconds=5.0))
    assert done is not None
    assert (done.passed, done.stage) == (False, "analysis")
    assert "within 5 s" in done.text


def test_one_that_is_stopped_leaves_nothing(ran: RunWith) -> None:
    ran.stop.set()
    assert ran([None]) is None
    with ran.database.read() as session:
        assert canary_runs.last_run(session) is None


def test_one_that_a_person_breaks_off_keeps_no_other_back(
    ran: RunWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(_run: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(canary._Run, "_send", broken_off)
    assert run_canary(ran.settings(ON), ran.database, "by hand", clock=ran.clock) is None
    assert ran([analysed(0.75, delivery(DeliveryState.STORED))]) is not None


def series_state(database: Database) -> SeriesState:
    with database.read() as session:
        (found,) = queries.list_series(session)
    return found.state


def test_one_that_comes_to_no_end_is_not_analysed_and_sent_later(
    ran: RunWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would withdraw it then."""
    settings = ran.settings(replace(ON, retract=True))

    def sent(run: canary._Run) -> None:
        uids = (run.patient.series_instance_uid, run.patient.study_instance_uid)
        receive(ran.database, instance(1, uids[0], study=uids[1]))

    monkeypatch.setattr(canary._Run, "_send", sent)
    ran.stop.set()
    assert run_canary(settings, ran.database, "nightly", clock=ran.clock, stop=ran.stop) is None
    assert series_state(ran.database) is SeriesState.SKIPPED


def test_one_whose_process_died_is_taken_back_by_the_next(ran: RunWith) -> None:
    receive(ran.database, instance(1, "2.25.1", study="2.25.2"))
    lost = CanaryRecord(
        *("2.25.1", "2.25.2", "nightly", "analysis", "1", "c", "m"), NOW - timedelta(days=1)
    )
    with ran.database.write() as session:
        canary_runs.register(session, lost)
    assert ran([analysed(0.75, delivery(DeliveryState.STORED))]) is not None
    assert series_state(ran.database) is SeriesState.RECEIVING  # results are to stay
    with ran.database.write() as session:
        canary_runs.register(session, replace(lost, series_instance_uid="2.25.3"))
    receive(ran.database, instance(1, "2.25.3", study="2.25.4"))
    ran.stop.set()
    assert ran([None], replace(ON, retract=True)) is None
    with ran.database.read() as session:
        detail = queries.series_detail(session, "2.25.3")
    assert detail is not None
    assert detail.series.state is SeriesState.SKIPPED


def test_there_is_one_at_a_time(ran: RunWith) -> None:
    under_way = CanaryRecord("2.25.1", "2.25.2", "nightly", "analysis", "1", "c", "m", NOW)
    with ran.database.write() as session:
        canary_runs.register(session, under_way)
    with pytest.raises(CanaryBusyError, match="at analysis"):
        ran([analysed()])


def test_a_port_that_nobody_serves_fails_at_the_first_stage(
    ran: RunWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "_SEND_SECONDS", 0.0)
    settings = ran.settings(ON)
    done = run_canary(settings, ran.database, "nightly", clock=ran.clock)
    assert done is not None
    assert (done.passed, done.stage) == (False, "C-STORE")
    assert "this node" in done.text
