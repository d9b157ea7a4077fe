"""Each trouble from the facts that show it: a sentence with figures, and the step that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer
from dicomnode.decisions.arrival.disk import DiskPolicy, DiskSpace
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.operating.facts import (
    Blind,
    CertificateFile,
    ClockStep,
    Facts,
    Setup,
    Work,
)
from dicomnode.decisions.operating.health_policy import ExpectedSource, HealthPolicy
from dicomnode.decisions.operating.judge import judge, not_ready
from dicomnode.decisions.operating.processes import NodeState, ProcessEnd, ProcessState
from dicomnode.decisions.operating.troubles import Severity, Trouble
from storage.overview_records import (
    AwaitedPromises,
    CanaryRun,
    DamagedObjects,
    FailedSeries,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    Refused,
    RunningJob,
    Source,
    TroubleRecord,
    Unsealed,
)
from storage.records import JobKind

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GIB = 1 << 30
ROOMY = DiskSpace(500 * GIB, 1000 * GIB)
POLICY = HealthPolicy()


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


RECEIVER = ProcessState("receiver-1", 11, ago(days=2))
NODE = NodeState("1", "node", 10, ago(days=2), None, (RECEIVER,))
FINE = Facts(NOW, Setup(), NODE, running=True, disk=ROOMY)


def troubles(facts: Facts, policy: HealthPolicy = POLICY) -> tuple[Trouble, ...]:
    return judge(facts, policy, NOW)


def only(facts: Facts, policy: HealthPolicy = POLICY) -> Trouble:
    (found,) = troubles(facts, policy)
    return found


def working(**work: object) -> Facts:
    return replace(FINE, work=Work(**work))  # type: ignore[arg-type]


def test_since_when_it_lasts_is_known_from_what_the_monitor_noted() -> None:
    noted = TroubleRecord("disk_read_only", "error", "", "", ago(hours=1), ago(hours=1), NOW)
    facts = replace(FINE, read_only=True, work=Work(noted=(noted,)))
    assert only(facts).since == ago(hours=1)
    over = replace(noted, over_at=ago(minutes=5))
    assert only(replace(facts, work=Work(noted=(over,)))).since is None


def test_of_a_node_that_works_nothing_is_told() -> None:
    assert troubles(FINE) == ()
    assert not_ready(FINE) == ()


# the machine and the processes


def process(*ends: ProcessEnd, pid: int | None = 7, since: datetime = NOW) -> Facts:
    state = ProcessState("worker-1", pid, since, len(ends) + 1, ends)
    return replace(FINE, node=replace(NODE, processes=(RECEIVER, state)))


def end(at: datetime, status: int = 1, cause: str = "a fault") -> ProcessEnd:
    return ProcessEnd(at, status, cause)


def test_a_node_that_does_not_run_is_told_with_how_it_ended() -> None:
    stopped = replace(FINE, running=False, node=replace(NODE, stopped_at=ago(hours=2)))
    found = only(stopped)
    assert (found.name, found.severity) == ("node_down", Severity.ERROR)
    assert found.text == "the node was stopped 2 h ago"
    assert found.since == ago(hours=2)
    lost = only(replace(FINE, running=False))
    assert lost.text == "the node of 2026-03-02 12:00 UTC ended without a word"
    assert "has run" in only(replace(FINE, running=False, node=None)).text
    assert not_ready(replace(FINE, node=None)) == ("no receiver runs",)


def test_what_ends_again_and_again_is_told_with_its_last_cause() -> None:
    twice = (end(ago(minutes=9)), end(ago(minutes=2)))
    assert troubles(process(*twice)) == ()
    found = only(process(*twice, end(ago(minutes=1), 2, "no bundle"), pid=None))
    assert (found.name, found.severity) == ("process_restarting:worker-1", Severity.ERROR)
    assert found.text == "worker-1 ended 3 times within 10 min, last with status 2: no bundle"
    assert found.remedy.startswith("dicomnode model check")
    assert troubles(process(end(ago(minutes=11)), *twice)) == ()


def test_what_does_not_come_back_is_told() -> None:
    once = end(ago(minutes=2))
    assert troubles(process(once, pid=None, since=ago(seconds=59))) == ()
    found = only(process(once, pid=None, since=ago(seconds=61)))
    assert found.name == "process_down:worker-1"
    assert "journalctl -u dicomnode | grep worker-1" in found.remedy


def test_what_cannot_use_its_models_is_told_at_once_and_until_it_runs_steadily() -> None:
    once = end(ago(seconds=2), 2, "no bundle")
    for facts in (process(once, pid=None, since=NOW), process(once, since=ago(seconds=59))):
        found = only(facts)
        assert (found.name, found.severity) == ("process_down:worker-1", Severity.ERROR)
        assert found.text == "worker-1 has not run for 2 s, last with status 2: no bundle"
        assert found.remedy.startswith("dicomnode model check")
    assert troubles(process(once, since=ago(seconds=61))) == ()


def test_a_worker_killed_for_memory_is_told_for_a_day() -> None:
    cause = "killed by the kernel: out of memory"
    found = only(process(end(ago(hours=3), -9, cause)))
    assert (found.name, found.severity) == ("process_lost:worker-1", Severity.WARNING)
    assert found.text == f"worker-1 was lost 3 h ago, and runs again: {cause}"
    assert found.remedy.startswith("give the machine more memory")
    assert "dmesg" in only(process(end(ago(hours=3), -9, "by a person"))).remedy
    assert troubles(process(end(ago(hours=25), -9, cause))) == ()
    restarted = process(end(ago(hours=3), -9, cause), end(ago(hours=2)))
    assert only(restarted).name == "process_lost:worker-1", "whatever happened since"


def test_a_database_that_is_away_is_told_unless_no_node_ever_ran() -> None:
    away = replace(FINE, database_fault="postgresql://h/n: refused\nby the server")
    found = only(away)
    assert (found.name, found.severity) == ("database_away", Severity.ERROR)
    assert "refused by the server" in found.text
    assert not_ready(away) == (
        "the database does not answer: postgresql://h/n: refused\nby the server",
    )
    assert "systemctl" not in found.remedy
    served = only(replace(away, setup=Setup(database_serves=True)))
    assert "systemctl start postgresql" in served.remedy
    never = replace(away, running=False, node=None)
    assert [each.name for each in troubles(never)] == ["node_down"]


@pytest.mark.parametrize(
    ("free", "name"),
    [
        (10 * GIB, None),
        (10 * GIB - 1, "disk_near_full"),
        (GIB, "disk_near_full"),
        (GIB - 1, "disk_full"),
    ],
)
def test_a_disk_is_told_before_it_is_full_and_when_it_is(free: int, name: str | None) -> None:
    facts = replace(FINE, disk=DiskSpace(free, 100 * GIB))
    assert [each.name for each in troubles(facts)] == ([name] if name else [])
    assert bool(not_ready(facts)) == (name == "disk_full")


def test_who_refuses_is_not_ready_before_it_takes_instances_again() -> None:
    between = replace(FINE, disk=DiskSpace(GIB + GIB // 2, 100 * GIB))
    assert not_ready(between) == ()
    assert "the disk is full" in not_ready(replace(between, refusing=True))[0]
    enough = replace(FINE, disk=DiskSpace(2 * GIB, 100 * GIB), refusing=True)
    assert not_ready(enough) == ()


def test_a_disk_nearly_full_is_told_in_units_that_can_be_read() -> None:
    setup = Setup(DiskPolicy(8 << 20, 12 << 20))
    found = only(replace(FINE, setup=setup, disk=DiskSpace(30 << 20, 256 << 20)))
    assert found.text == (
        "the disk is nearly full: 30.0 MiB of 256.0 MiB are free;"
        " below 8.0 MiB instances are refused (0xA700)"
    )


def test_a_disk_that_takes_nothing_is_told() -> None:
    facts = replace(FINE, read_only=True)
    assert only(facts).name == "disk_read_only"
    assert not_ready(facts) == ("the disk is mounted read-only",)


@pytest.mark.parametrize(
    ("ends_at", "fault", "name", "told"),
    [
        (NOW + timedelta(days=31), "", None, ""),
        (NOW + timedelta(days=29), "", "certificate_ending", "ends in 29 days, on 2026-04-02"),
        (NOW, "", "certificate_ended", "ended on 2026-03-04 12:00 UTC"),
        (None, "no such file", "certificate_unreadable", "node.pem cannot be read: no such file"),
    ],
)
def test_a_certificate_is_told_before_and_after_its_end(
    ends_at: datetime | None, fault: str, name: str | None, told: str
) -> None:
    file = CertificateFile("receive.tls certificate", "/etc/node.pem", ends_at, fault)
    found = troubles(replace(FINE, certificates=(file,)))
    assert [each.name for each in found] == ([f"{name}:{file.what}"] if name else [])
    for each in found:
        assert told in each.text
        assert file.path in each.remedy


def test_a_clock_that_was_set_is_told_for_an_hour() -> None:
    assert troubles(replace(FINE, clock_step=ClockStep(NOW, 4.0))) == ()
    back = only(replace(FINE, clock_step=ClockStep(ago(minutes=59), -7200.0)))
    assert back.name == "clock_set"
    assert "set backwards by 2 h at" in back.text
    assert troubles(replace(FINE, clock_step=ClockStep(ago(minutes=61), -7200.0))) == ()
    ahead = only(working(newest_arrival_at=NOW + timedelta(minutes=30)))
    assert (ahead.name, "30 min ahead" in ahead.text) == ("clock_behind", True)
    assert troubles(working(newest_arrival_at=NOW + timedelta(minutes=1))) == ()


def test_what_cannot_be_looked_at_is_a_trouble_itself() -> None:
    found = only(replace(FINE, blind=(Blind("the disk", "Permission denied"),)))
    assert found.name == "unseen:the disk"
    assert "Permission denied" in found.text


def test_a_status_page_that_is_not_served_is_told() -> None:
    found = only(replace(FINE, http_fault="127.0.0.1:8080: Address already in use"))
    assert (found.name, "already in use" in found.text) == ("http_down", True)


def test_a_way_that_tells_nobody_is_told() -> None:
    noted = TroubleRecord(
        *("disk_full", "warning", "", ""),
        ago(hours=1),
        ago(hours=1),
        NOW,
        None,
        frozenset({"mail"}),
    )
    both = Setup(ways=("webhook", "mail"))
    facts = replace(FINE, setup=both, work=Work(noted=(noted,)))
    found = only(facts)
    assert found.name == "alerts_untold:webhook"
    assert found.text == "1 trouble could not be told by webhook, the oldest for 1 h"
    assert "telling troubles by webhook" in found.remedy

    def told_of(record: TroubleRecord, setup: Setup = both) -> tuple[Trouble, ...]:
        return troubles(replace(facts, setup=setup, work=Work(noted=(record,))))

    assert told_of(replace(noted, first_seen_at=ago(minutes=15))) == ()
    assert told_of(replace(noted, last_seen_at=ago(minutes=5))) == (), "of a former run"
    assert told_of(replace(noted, over_at=NOW)) == ()
    assert told_of(replace(noted, told=frozenset({"mail", "webhook"}))) == ()
    assert told_of(noted, replace(both, least=Severity.ERROR)) == ()
    assert told_of(replace(noted, name="alerts_untold:mail")) == ()


# the work


def test_a_destination_that_is_away_is_told_with_the_cause_and_what_waits() -> None:
    error = "pacs (PACS at 10.0.0.1:104) cannot be reached: Connection refused"
    waits = OpenDeliveries("pacs", 12, ago(minutes=3), 12, error)
    found = only(working(deliveries=(waits,)))
    assert (found.name, found.severity) == ("destination_away:pacs", Severity.WARNING)
    assert found.text == f"pacs is away ({error}); 12 objects wait, the oldest for 3 min"
    late = working(deliveries=(replace(waits, oldest_at=ago(minutes=16)),))
    assert [each.name for each in troubles(late)] == [
        "deliveries_late:pacs",
        "destination_away:pacs",
    ]
    on_hold = working(deliveries=(replace(waits, oldest_at=None, held=0),))
    assert troubles(on_hold) == ()


def test_the_words_of_a_peer_are_not_repeated() -> None:
    """They may name a patient; they stand where the delivery is."""
    error = Outcome(Ending.HOPELESS, "0xC000", "C-STORE answered 0xC000", comment="DOE^JOHN").shown
    parked = ParkedDeliveries("pacs", "refused", "report", 3, error, "1.2.3")
    waiting = OpenDeliveries("pacs", 3, NOW - timedelta(hours=3), 3, error)
    found = troubles(working(parked=(parked,), deliveries=(waiting,)))
    assert len(found) == 3
    assert all("C-STORE answered 0xC000" in each.text for each in found)
    assert not any("DOE" in each.text for each in found)


def test_a_refused_class_is_told_with_what_to_set() -> None:
    error = 'class not accepted: set sr_class = "enhanced", or have the class accepted there'
    parked = ParkedDeliveries("pacs", "refused", "report", 3, error, "1.2.3")
    found = only(working(parked=(parked,)))
    assert (found.name, found.severity) == ("deliveries_refused:pacs/report", Severity.ERROR)
    assert found.text.startswith("pacs refuses 3 objects of kind report; the last, of series 1.2.3")
    assert 'sr_class = "enhanced"' in found.text
    assert "dicomnode deliveries retry --destination pacs --state refused" in found.remedy
    assert found.remedy.startswith(
        "set that key, then: dicomnode config reload; dicomnode results renew 1.2.3; or "
    )
    other = only(working(parked=(replace(parked, error="C-STORE answered 0x0112"),)))
    assert other.remedy.startswith("mend what it says, then: dicomnode deliveries retry ")
    given_up = only(working(parked=(replace(parked, state="failed", count=1, error=None),)))
    assert given_up.text.startswith("1 object of kind report for pacs were given up")
    held = replace(parked, state="failed", error="held: its history was lost")
    assert only(working(parked=(held,))).remedy == "dicomnode database release"


def test_a_promise_that_does_not_come_is_told() -> None:
    promise = AwaitedPromises("pacs", 2, ago(hours=5))
    assert only(working(promises=(promise,))).name == "commitment_late:pacs"
    assert troubles(working(promises=(replace(promise, oldest_stored_at=ago(hours=3)),))) == ()


def test_a_queue_that_does_not_move_is_told() -> None:
    jobs = OpenJobs(JobKind.ANALYSE, 40, 1, ago(minutes=31))
    found = only(working(jobs=(jobs,)))
    assert (found.name, found.since) == ("queue_late:analyse", ago(minutes=31))
    assert "40 series, one has waited 31 min for its analysis" in found.text
    assert troubles(working(jobs=(replace(jobs, oldest_due_at=ago(minutes=29)),))) == ()
    assert troubles(working(jobs=(replace(jobs, oldest_due_at=None),))) == ()


def test_a_job_beyond_its_deadline_or_without_a_holder_is_told() -> None:
    job = RunningJob("1.2.3", JobKind.ANALYSE, 1, ago(minutes=15), NOW)
    assert troubles(working(running=(job,))) == ()
    late = only(working(running=(replace(job, started_at=ago(minutes=17)),)))
    assert (late.name, "at it for 17 min" in late.text) == ("job_stuck:1.2.3", True)
    lost = only(working(running=(replace(job, lease_until=ago(minutes=2)),)))
    assert "silent for 2 min" in lost.text
    assert "systemctl restart" in lost.remedy
    assess = replace(job, kind=JobKind.ASSESS, started_at=ago(minutes=60))
    assert troubles(working(running=(assess,))) == ()


def test_a_process_that_holds_a_job_and_is_silent_is_named() -> None:
    job = RunningJob(
        "1.2.3", JobKind.ANALYSE, 1, ago(minutes=5), ago(minutes=2), "node/worker-1/7/"
    )
    facts = replace(process(), work=Work(running=(job,)))
    found = only(facts)
    assert found.text == (
        "the job of series 1.2.3 is stuck: worker-1 (process 7) has been silent for 2 min,"
        " and none takes it"
    )
    assert found.remedy == "kill -9 7: another is started and takes it up"
    other = replace(facts, work=Work(running=(replace(job, owner="node/worker-1/6/"),)))
    assert "who had it has been silent" in only(other).text


def test_failed_series_are_told_by_the_rule_that_they_failed_by() -> None:
    series = (
        FailedSeries("1.1", ("worker_lost",), ago(hours=1)),
        FailedSeries("1.2", ("unreadable_instances", "other"), ago(hours=2)),
        FailedSeries("1.3", ("worker_lost",), ago(hours=3)),
        FailedSeries("1.4", (), ago(hours=25)),
    )
    unreadable, lost = troubles(working(failed=series))
    assert unreadable.name == "series_failed:unreadable_instances"
    assert lost.text == "2 series failed within 24 h by worker_lost, the last: 1.1"
    assert lost.remedy == (
        "dicomnode queue why 1.1; damaged? have it sent again; "
        "else mend what it says, then: dicomnode queue retry 1.1"
    )


# those who send


def test_an_unknown_peer_is_told_with_the_entry_that_would_let_it_in() -> None:
    first = Refused(
        *("association", "CT9", "192.0.2.9", "rejected", "calling AE title not recognised"),
        *(14, ago(hours=2), ago(minutes=1)),
    )
    other = replace(first, calling_ae_title="CT8\x1b[2J\n", count=1, last_at=ago(hours=1))
    found = only(working(refused=(first, other)))
    assert found.name == "peer_rejected:192.0.2.9"
    assert found.text.startswith("15 associations of CT9, CT8?[2J? from 192.0.2.9 rejected")
    assert '{ ae_title = "CT9", networks = ["192.0.2.9"] }' in found.remedy
    assert found.remedy.endswith("dicomnode queue refusals")
    assert troubles(working(refused=(replace(first, last_at=ago(hours=25)),))) == ()


def test_an_unknown_peer_that_was_let_in_since_is_told_no_more() -> None:
    refused = Refused(
        *("association", "CT9", "192.0.2.9", "A-ASSOCIATE-RJ 1/1/3", "not known"),
        *(1, NOW, NOW, "NODE"),
    )
    facts = working(refused=(refused,))
    assert only(facts).remedy.endswith("then: dicomnode config reload")
    for networks, called, told in (
        ("192.0.2.9", "NODE", 0),
        ("192.0.2.8", "NODE", 1),
        ("192.0.2.9", "OTHER", 1),
    ):
        peers = (Peer("CT9", (networks,)),)
        setup = Setup(admission=AdmissionPolicy(peers, (called,)))
        assert len(troubles(replace(facts, setup=setup))) == told


def test_who_calls_the_node_by_another_name_is_told_how_to_call_it() -> None:
    status = "A-ASSOCIATE-RJ 1/1/7"
    refused = Refused(
        *("association", "CT9", "192.0.2.9", status, "the called AE title is not ours"),
        *(1, NOW, NOW, "OTHER"),
    )
    found = only(working(refused=(refused,)))
    assert found.remedy == (
        'name the node there as here, or add "OTHER" to receive.admission.called_ae_titles,'
        " then: dicomnode config reload"
    )


def test_a_scan_of_the_network_fills_no_screen() -> None:
    many = tuple(
        Refused("association", f"A{n}", f"10.0.0.{n}", "rejected", "unknown", 1, NOW, NOW)
        for n in range(200)
    )
    assert len(troubles(working(refused=many))) == 20


def test_refused_instances_are_told_by_their_status() -> None:
    refused = Refused("instance", "CT1", "10.0.0.1", "0xA700", "disk full", 3, NOW, ago(minutes=9))
    found = only(working(refused=(refused, replace(refused, calling_ae_title="CT2"))))
    assert found.name == "instances_refused:0xA700"
    assert found.text.startswith("6 instances refused with 0xA700")
    assert troubles(working(refused=(replace(refused, last_at=ago(hours=2)),))) == ()


def weekly(at: datetime, weeks: Sequence[int], studies: int) -> tuple[tuple[datetime, int], ...]:
    return tuple((at - timedelta(weeks=week), studies) for week in weeks)


def test_a_sender_that_misses_many_studies_is_silent() -> None:
    """On the last four Wednesdays it sent six studies between ten and eleven and six until noon."""
    ten, eleven = ago(hours=2), ago(hours=1)
    hours = tuple(sorted(weekly(ten, (4, 3, 2, 1), 6) + weekly(eleven, (4, 3, 2, 1), 6)))
    silent = Source("CT1", ago(hours=3), hours)
    found = only(working(sources=(silent,)))
    assert found.name == "source_silent:CT1"
    assert found.text == (
        "CT1 has sent nothing for 3 h: as the last weeks went 12 studies would have come"
    )
    assert troubles(working(sources=(replace(silent, last_at=ago(minutes=45)),))) == ()
    assert troubles(working(sources=(silent,)), HealthPolicy(silent_studies=0)) == ()
    new = replace(silent, hours=hours[-2:])
    assert troubles(working(sources=(new,))) == (), "one week is no habit"
    away = replace(FINE, database_fault="away")
    assert [each.kind for each in troubles(away)] == ["database_away"]


def test_a_sender_with_hours_of_its_own_is_missed_by_them() -> None:
    wednesday = HealthPolicy(
        sources=(ExpectedSource("CT1", 4.0, 7, 19, ("mon", "tue", "wed")),)  # type: ignore[arg-type]
    )
    last = Source("CT1", ago(hours=18, minutes=5))  # at 17:55 of the day before
    found = only(working(sources=(last,)), wednesday)
    assert "6.1 of its hours (health.sources: silent_hours = 4)" in found.text
    by_day = HealthPolicy(sources=(ExpectedSource("CT1", 4.0, 9, 19),))
    assert troubles(working(sources=(replace(last, last_at=ago(hours=17)),)), by_day) == ()
    never = only(FINE, wednesday)
    assert never.text.startswith("CT1 has sent nothing yet")


def test_a_canary_that_failed_or_does_not_come_is_told() -> None:
    passed = CanaryRun("night", "committed", ago(hours=30), ago(hours=30), True, "")
    failed = CanaryRun("night", "delivered", ago(hours=6), ago(hours=6), False, "pacs refused SR")
    under_way = CanaryRun("night", "sent", ago(minutes=1), None, None, "")
    setup = Setup(canary_seconds=26 * 3600.0)
    facts = replace(working(canary=(under_way, failed, passed)), setup=setup)
    told, late = troubles(facts)
    assert (told.name, told.severity) == ("canary_failed", Severity.ERROR)
    assert "failed at delivered, passed last at 2026-03-03 06:00 UTC: pacs refused SR" in told.text
    assert (late.name, "30 h" in late.text or "1 day 6 h" in late.text) == ("canary_late", True)
    assert troubles(working(canary=(passed,))) == ()
    assert only(replace(FINE, setup=setup)).name == "canary_late"


# whatever the facts

TIMES = st.integers(-400, 400).map(lambda hours: NOW + timedelta(hours=hours))
TEXTS = st.sampled_from(["", "CT1", "a\x1b[2J\n\u2028b", "held: x", "receiver-1"])
COUNTS = st.integers(0, 10**9)


def some(kind: type, *fields: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.builds(kind, *fields), max_size=2).map(tuple)


MAYBE, KINDS_OF_JOB = st.none() | TIMES, st.sampled_from(JobKind)
HOURS = st.lists(st.tuples(TIMES, COUNTS), max_size=3).map(lambda each: tuple(sorted(each)))
RULES = st.lists(TEXTS, max_size=2).map(tuple)
FAILURES = st.sampled_from(["refused", "failed"])
REFUSALS = st.sampled_from(["association", "instance"])
WORKS = st.builds(
    Work,
    deliveries=some(OpenDeliveries, TEXTS, COUNTS, MAYBE, COUNTS, st.none() | TEXTS),
    parked=some(ParkedDeliveries, TEXTS, FAILURES, TEXTS, COUNTS, st.none() | TEXTS, TEXTS),
    promises=some(AwaitedPromises, TEXTS, COUNTS, TIMES),
    jobs=some(OpenJobs, KINDS_OF_JOB, COUNTS, COUNTS, MAYBE),
    running=some(RunningJob, TEXTS, KINDS_OF_JOB, COUNTS, TIMES, TIMES),
    failed=some(FailedSeries, TEXTS, RULES, TIMES),
    sources=some(Source, TEXTS, TIMES, HOURS),
    newest_arrival_at=MAYBE,
    refused=some(Refused, REFUSALS, TEXTS, TEXTS, TEXTS, TEXTS, COUNTS, TIMES, TIMES),
    canary=some(CanaryRun, TEXTS, TEXTS, TIMES, MAYBE, st.none() | st.booleans(), TEXTS),
    damaged=st.none() | st.builds(DamagedObjects, COUNTS, COUNTS, COUNTS, TEXTS, TEXTS, TIMES),
)
ENDS = some(ProcessEnd, TIMES, st.integers(-70, 255), TEXTS)
PROCESSES = some(ProcessState, TEXTS, st.none() | COUNTS, TIMES, COUNTS, ENDS)
FACTS = st.builds(
    Facts,
    st.just(NOW),
    st.just(Setup(canary_seconds=3600.0)),
    st.none() | st.builds(NodeState, TEXTS, TEXTS, COUNTS, TIMES, MAYBE, PROCESSES),
    st.none() | st.booleans(),
    st.none() | TEXTS,
    st.none() | st.builds(DiskSpace, COUNTS, COUNTS),
    st.booleans(),
    some(CertificateFile, TEXTS, TEXTS, MAYBE, TEXTS),
    st.none() | st.builds(ClockStep, TIMES, st.floats(-1e9, 1e9)),
    TEXTS,
    WORKS,
    some(Blind, TEXTS, TEXTS, TEXTS),
    st.none()
    | st.builds(Unsealed, TIMES, COUNTS, st.booleans(), COUNTS, MAYBE, TEXTS, st.booleans()),
)


@given(FACTS)
def test_whatever_the_facts_each_trouble_is_a_line_with_a_remedy_and_told_once(
    facts: Facts,
) -> None:
    found = troubles(facts)
    assert len({each.name for each in found}) == len(found)
    severities = [each.severity for each in found]
    assert severities == sorted(severities, key=[Severity.ERROR, Severity.WARNING].index)
    for each in found:
        assert each.kind
        for told in (each.name, each.text, each.remedy):
            assert told
            assert told.isprintable()


def test_another_store_is_told_at_once_and_alone() -> None:
    fault = "object store: it bears the mark of another: mount it"
    wrong = Unsealed(NOW, 3, oldest_due_at=ago(hours=9), fault=fault, wrong=True)
    found = only(replace(FINE, unsealed=wrong))
    assert (found.name, found.severity) == ("store_wrong", Severity.ERROR)
    assert found.text == (
        "what answers as the object store is another: it bears the mark of another; nothing is "
        "sealed"
    )
    assert found.remedy == "mount it"
    assert only(replace(FINE, unsealed=replace(wrong, fault="another"))).remedy


def test_damaged_objects_are_told_with_how_often_and_what_is_asked() -> None:
    two = DamagedObjects(2, 0, 5, "1.2.3", "object store: series/ab: is not there", ago(minutes=4))
    found = only(replace(FINE, work=replace(FINE.work, damaged=two)))
    assert (found.name, found.severity, found.since) == (
        "object_damaged",
        Severity.ERROR,
        two.found_at,
    )
    begins = "2 objects of the object store cannot be read; the first for 4 min"
    assert found.text.startswith(begins)
    assert "of series 1.2.3: object store: series/ab: is not there" in found.text
    assert found.text.endswith("read in vain 5 times")
    assert found.remedy.endswith("dicomnode queue why 1.2.3")
    asked = only(replace(FINE, work=replace(FINE.work, damaged=replace(two, lost=1))))
    assert "cannot be read, 1 of them lost, asked of the archive" in asked.text


def test_what_lies_on_one_disk_alone_for_too_long_is_told_with_why() -> None:
    due = Unsealed(NOW, 3, oldest_due_at=ago(minutes=30))
    assert troubles(replace(FINE, unsealed=due)) == ()
    assert troubles(replace(FINE, unsealed=Unsealed(NOW))) == ()
    late = replace(due, oldest_due_at=ago(minutes=31), fault="no answer from s3://bucket")
    found = only(replace(FINE, unsealed=late))
    assert (found.name, found.severity) == ("sealing_late", Severity.WARNING)
    assert found.text.startswith("3 series came to rest and lie on this node's disk alone")
    assert found.text.endswith("the oldest for 31 min: no answer from s3://bucket")
    assert "dicomnode commission" in found.remedy
    many = only(replace(FINE, unsealed=replace(late, at_least=True, fault="")))
    assert many.text.startswith("at least 3 series")
    damaged = only(replace(FINE, unsealed=replace(late, damaged=3, fault="")))
    assert damaged.remedy.endswith("have them sent again")
