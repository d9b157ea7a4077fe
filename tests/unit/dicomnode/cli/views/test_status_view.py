"""What `dicomnode status` shows of the facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicomnode.cli.views.status_view import as_json, exit_status, lines, with_noted
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.decisions.operating.facts import CertificateFile, Facts, Work
from dicomnode.decisions.operating.processes import NodeState, ProcessState
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.version import VERSION
from storage.overview_records import (
    CanaryRun,
    Node,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    RunningJob,
    Source,
    TroubleRecord,
    Unsealed,
)
from storage.records import JobKind, SeriesState

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKER = ProcessState("worker-1", 7, NOW - HOUR, 3)
FACTS = Facts(
    NOW,
    node=NodeState("0.9", "id", 6, NOW - 5 * HOUR, None, (WORKER, replace(WORKER, pid=None))),
    running=True,
    disk=DiskSpace(500 << 30, 1000 << 30),
    certificates=(CertificateFile("receive.tls certificate", "node.pem", NOW + 24 * HOUR),),
    work=Work(
        deliveries=(OpenDeliveries("pacs", 12, NOW - HOUR, 12, "refused"),),
        parked=(ParkedDeliveries("pacs", "refused", "report", 1, "no such class", "1.2"),),
        jobs=(OpenJobs(JobKind.ANALYSE, 3, 1, NOW - HOUR / 2),),
        series={SeriesState.ANALYSED: 40, SeriesState.SKIPPED: 2},
        sources=(Source("CT1", NOW, ((NOW, 3),)),),
        canary=(CanaryRun("night", "committed", NOW - 10 * HOUR, NOW, True, ""),),
    ),
)
AWAY = Trouble("destination_away:pacs", Severity.WARNING, "pacs is away", "mend it", NOW - HOUR)
LATE = Trouble("deliveries_late:pacs", Severity.ERROR, "results are late", "look")


def test_what_only_the_monitor_sees_is_told_as_it_noted_it() -> None:
    noted = TroubleRecord("clock_set", "warning", "2 h", "timedatectl", NOW, NOW, NOW)
    facts = replace(FACTS, work=Work(noted=(noted, replace(noted, name="disk_full"))))
    told = (Trouble("clock_set", Severity.WARNING, "2 h", "timedatectl", NOW),)
    assert with_noted((AWAY,), facts) == (AWAY, *told)
    assert with_noted((), replace(facts, running=False)) == ()
    over = Work(noted=(replace(noted, over_at=NOW),))
    assert with_noted((), replace(facts, work=over)) == ()


def test_all_of_it_stands_on_one_screen() -> None:
    told = "\n".join(lines(Settings(), FACTS, [LATE, AWAY]))
    head, _, rest = told.partition("database")
    assert (
        head
        == f"""dicomnode {VERSION}, DICOMNODE, 2026-03-04 12:00

node         0.9 runs for 5 h
  worker-1   process 7 for 1 h, started 3 times
receives     on 127.0.0.1 port 11112; status page http://127.0.0.1:11180/
"""
    )
    assert (
        rest.partition("\n")[2]
        == """disk         500.00 GiB of 1000.00 GiB are free
certificates the first of 1 ends 2026-03-05 12:00 UTC
series       of the last day: 40 analysed, 2 skipped
queue        analyse: 3 waiting, one for 30 min, 1 running
deliveries   pacs: 12 objects on the way, one for 1 h, it is away
deliveries   pacs: 1 object of kind report refused
canary       passed, begun 2026-03-04 02:00 UTC

ERROR: results are late
  what to do: look
WARNING: pacs is away (since 2026-03-04 11:00)
  what to do: mend it"""
    )


def test_on_a_terminal_uids_are_short_and_whole_in_what_is_to_be_done() -> None:
    uid = "1.2.826.0.1.3680043.10.1561.2026.1002.1"
    failed = Trouble("series_failed:x", Severity.WARNING, f"the last: {uid}", f"queue why {uid}")
    told = list(lines(Settings(), FACTS, [failed], short=True))[-2:]
    assert told == ["WARNING: the last: …6.1002.1", f"  what to do: queue why {uid}"]
    assert f"WARNING: the last: {uid}" in list(lines(Settings(), FACTS, [failed]))


def test_what_cannot_be_known_is_not_made_up() -> None:
    away = Facts(NOW, running=None, database_fault="away")
    told = list(lines(Settings(), away, []))
    assert any("not known whether it runs" in line for line in told)
    assert any(line.endswith("does not answer") for line in told)
    assert not any(line.startswith(("series", "queue")) for line in told)
    assert told[-1] == "No trouble."


@pytest.mark.parametrize(
    ("troubles", "status"), [([], 0), ([AWAY], 1), ([LATE], 3), ([AWAY, LATE], 3)]
)
def test_the_exit_status_is_that_of_the_worst(troubles: list[Trouble], status: int) -> None:
    assert exit_status(troubles) == status


def test_a_program_reads_the_facts_without_the_hours_of_each_source() -> None:
    told = as_json(Settings(), FACTS, (AWAY,))
    assert told["work"]["series"] == {"analysed": 40, "skipped": 2}
    assert told["work"]["sources"] == [{"ae_title": "CT1", "last_at": "2026-03-04T12:00:00Z"}]
    assert told["troubles"][0]["remedy"] == "mend it"
    assert told["exit_status"] == 1


def test_what_waits_for_the_object_store_is_told_where_there_is_something() -> None:
    def told(unsealed: Unsealed | None) -> str:
        return "\n".join(lines(Settings(), replace(FACTS, unsealed=unsealed), []))

    assert "store        3 series to be sealed, one for 1 h" in told(
        Unsealed(NOW, 3, oldest_due_at=NOW - HOUR)
    )
    for none in (None, Unsealed(NOW)):
        assert "to be sealed" not in told(none)


def test_of_each_node_its_workers_are_told_with_what_they_have() -> None:
    node = Node("1", "ct-1", NOW, NOW, None, True, workers=0)
    untold = replace(node, name="ct-2", workers=2)
    gpus = replace(untold, name="gpu-1", receives=False, workers=1, memory_bytes=64 << 30)
    gpus = replace(gpus, capabilities="cpu gpu")
    facts = replace(FACTS, work=Work(nodes=(node, untold, gpus)))
    found = [each.split(": ", 1)[1] for each in lines(Settings(), facts, []) if "heard of" in each]
    assert found == [
        "heard of 0 s ago",
        "heard of 0 s ago, 2 workers",
        "heard of 0 s ago, 1 worker and nothing else (cpu, gpu, 64 GiB)",
    ]


def test_of_several_hosts_it_is_told_which_and_where_a_series_is_analysed() -> None:
    first = Node("a" * 32, "ct-1", NOW, NOW, None, True)
    second = replace(first, node_id="b" * 32, name="ct-2")
    lease = NOW + HOUR
    job = RunningJob("1.2.3", JobKind.ANALYSE, 1, NOW, lease, f"{second.node_id}/worker-1/7/")
    gone = replace(job, series_key="1.2.4", owner=f"{'c' * 32}/worker-1/7/")
    decided = replace(job, series_key="1.2.5", kind=JobKind.ASSESS)

    def told(*nodes: Node, running: tuple[RunningJob, ...] = (job, gone, decided)) -> str:
        facts = replace(FACTS, work=Work(nodes=nodes, running=running))
        return "\n".join(lines(Settings(), facts, []))

    both = told(first, second)
    assert "ct-2 (bbbbbbbb): heard of 0 s ago" in both
    assert "analysing    1.2.3 on ct-2 (bbbbbbbb) for 0 s" in both
    assert "1.2.4 on a host that is gone (cccccccc)" in both
    assert "1.2.5" not in both
    assert "analysing" not in told(first), "where else"
    many = tuple(replace(job, series_key=f"1.2.{n}") for n in range(11))
    assert "analysing    and 3 more" in told(first, second, running=many)
