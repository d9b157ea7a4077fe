"""Troubles of the work: what waits, fails, or does not reach its destination."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from dicomnode.decisions.delivery.class_advice import OR_THERE
from dicomnode.decisions.delivery.outcome import without_comment
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.processes import ProcessState
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration, sentence
from dicomnode.decisions.wording import how_many
from storage.overview_records import (
    DamagedObjects,
    FailedSeries,
    OpenDeliveries,
    ParkedDeliveries,
    RunningJob,
)
from storage.records import JobKind

_ITS_STORE = "dicomnode database store: it says what bears which mark"
_STUCK = timedelta(minutes=1)
"""So long a job may be beyond its time before it is told: whoever holds it ends by itself."""

_HELD = "held:"  # how the error of an adopted delivery begins (storage.adopt)
_WAITS = {
    JobKind.ASSESS: "to be looked at",
    JobKind.ANALYSE: "for its analysis",
    JobKind.FETCH: "to be sent again",
}


def destination_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.deliveries:
        yield from _away(each, now)
        yield from _overdue(each, policy, now)


def _away(each: OpenDeliveries, now: datetime) -> Iterator[Trouble]:
    if not each.held:
        return
    since = f", the oldest for {duration(now - each.oldest_at)}" if each.oldest_at else ""
    text = f"{each.destination} is away ({_why(each)}); {how_many(each.held, 'object')} wait{since}"
    remedy = f"mend {each.destination} or the way to it; what waits is sent by itself then"
    yield Trouble(f"destination_away:{each.destination}", Severity.WARNING, text, remedy)


def _overdue(each: OpenDeliveries, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    oldest = each.oldest_at
    if oldest is None or (now - oldest).total_seconds() <= policy.delivery_seconds:
        return
    waits = f"{how_many(each.count, 'object')} on the way, the oldest for {duration(now - oldest)}"
    text = f"results for {each.destination} are late: {waits} ({_why(each)})"
    remedy = f"dicomnode deliveries list --destination {each.destination}"
    yield Trouble(f"deliveries_late:{each.destination}", Severity.ERROR, text, remedy, oldest)


def _why(each: OpenDeliveries) -> str:
    return sentence(without_comment(each.error)) if each.error else "no answer told yet"


def parked_troubles(facts: Facts, _policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    for each in facts.work.parked:
        yield _parked(each)


def _parked(each: ParkedDeliveries) -> Trouble:
    name = f"deliveries_{each.state}:{each.destination}/{each.kind}"
    objects = f"{how_many(each.count, 'object')} of kind {each.kind}"
    what = {
        "refused": f"{each.destination} refuses {objects}",
        "failed": f"{objects} for {each.destination} were given up",
    }[each.state]
    last = sentence(without_comment(each.error or "no reason was noted"))
    text = f"{what}; the last, of series {each.series_key}: {last}"
    options = f"--destination {each.destination} --state {each.state}"
    remedy = f"mend what it says, then: dicomnode deliveries retry {options} (or drop)"
    if OR_THERE in (each.error or ""):
        again = f"dicomnode results renew {each.series_key}"
        remedy = (
            f"set that key, then: dicomnode config reload; {again}; or have it accepted there, "
            f"then: dicomnode deliveries retry {options}"
        )
    if (each.error or "").startswith(_HELD):
        remedy = "dicomnode database release"
    return Trouble(name, Severity.ERROR, text, remedy)


def promise_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.promises:
        age = now - each.oldest_stored_at
        if age.total_seconds() <= policy.commitment_seconds:
            continue
        objects = how_many(each.count, "object")
        text = f"{each.destination} has not promised to keep {objects}, one for {duration(age)}"
        remedy = "see that it may open associations to this node: dicomnode commission"
        name = f"commitment_late:{each.destination}"
        yield Trouble(name, Severity.WARNING, text, remedy, each.oldest_stored_at)


def store_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    if facts.unsealed is not None and facts.unsealed.wrong:
        what, _, hint = facts.unsealed.fault.removeprefix("object store: ").partition(": ")
        text = f"what answers as the object store is another: {what}; nothing is sealed"
        yield Trouble("store_wrong", Severity.ERROR, text, hint or _ITS_STORE)
    if (damaged := facts.work.damaged) is not None:
        yield _damaged_objects(damaged, now)


def _damaged_objects(damaged: DamagedObjects, now: datetime) -> Trouble:
    asked = f", {damaged.lost} of them lost, asked of the archive" if damaged.lost else ""
    text = (
        f"{how_many(damaged.count, 'object')} of the object store cannot be read{asked}; the first "
        f"for {duration(now - damaged.found_at)}, of series {damaged.series_key}: "
        f"{sentence(damaged.why)}; read in vain {how_many(damaged.found_count, 'time')}"
    )
    remedy = (
        "a node that has a good copy puts it there again; else put it back, or have the series "
        f"sent again: dicomnode queue why {damaged.series_key}"
    )
    return Trouble("object_damaged", Severity.ERROR, text, remedy, damaged.found_at)


def sealing_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    unsealed = facts.unsealed
    if unsealed is not None and unsealed.wrong:
        return  # told by itself
    due_at = unsealed and unsealed.oldest_due_at
    if not (unsealed and due_at) or (now - due_at).total_seconds() <= policy.sealing_seconds:
        return
    damaged = unsealed.series == unsealed.damaged
    least = "at least " if unsealed.at_least else ""
    text = (
        f"{least}{how_many(unsealed.series, 'series')} came to rest and lie on this node's disk "
        f"alone, the oldest for {duration(now - due_at)}"
    )
    why = sentence(unsealed.fault) or ("they are damaged" if damaged else "the store is slow")
    remedy = "mend the object store or the way to it: dicomnode commission tries it"
    if damaged:
        remedy = 'the log names them: grep "stays on this disk alone"; have them sent again'
    yield Trouble("sealing_late", Severity.WARNING, f"{text}: {why}", remedy, due_at)


def queue_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.jobs:
        oldest = each.oldest_due_at
        if oldest is None or (now - oldest).total_seconds() <= policy.queue_seconds:
            continue
        longest = f"one has waited {duration(now - oldest)} {_WAITS[each.kind]}"
        text = f"the queue is long: {how_many(each.queued, 'series')}, {longest}"
        remedy = "dicomnode queue list; more [inference] workers where this is every day's load"
        yield Trouble(f"queue_late:{each.kind.value}", Severity.ERROR, text, remedy, oldest)


def stuck_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.running:
        if why := _stuck(each, facts.setup.deadline_seconds, now):
            holder = _holder(each, facts)
            who = f"{holder.role} (process {holder.pid})" if holder else "who had it"
            text = f"the job of series {each.series_key} is stuck: {who} {why}"
            remedy = "systemctl restart dicomnode: another process takes it up"
            if holder:
                remedy = f"kill -9 {holder.pid}: another is started and takes it up"
            name = f"job_stuck:{each.series_key}"
            yield Trouble(name, Severity.ERROR, text, remedy, each.started_at)


def _holder(job: RunningJob, facts: Facts) -> ProcessState | None:
    """The process of this node that has it, where it runs."""
    if facts.node is None or not job.owner.startswith(f"{facts.node.node_id}/"):
        return None
    role_and_pid = job.owner.split("/")[1:3]
    found = (each for each in facts.node.processes if [each.role, str(each.pid)] == role_and_pid)
    return next(found, None)


def _stuck(job: RunningJob, deadline_seconds: float, now: datetime) -> str:
    lasts = now - job.started_at
    if now - job.lease_until > _STUCK:
        return f"has been silent for {duration(now - job.lease_until)}, and none takes it"
    if job.kind is JobKind.ANALYSE and lasts > timedelta(seconds=deadline_seconds) + _STUCK:
        limit = f"inference.deadline_seconds = {deadline_seconds:g}"
        return f"has been at it for {duration(lasts)} ({limit})"
    return ""


def failed_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    """By the first rule that each series failed by."""
    recent = [
        each
        for each in facts.work.failed
        if now - each.ended_at <= timedelta(hours=policy.event_hours)
    ]
    for rule, found in groupby(sorted(recent, key=_rule), key=_rule):
        series = list(found)
        last = max(series, key=lambda each: each.ended_at)
        hours = f"{policy.event_hours:g} h"
        count = how_many(len(series), "series")
        text = f"{count} failed within {hours} by {rule}, the last: {last.series_key}"
        why = f"dicomnode queue why {last.series_key}"
        retry = f"dicomnode queue retry {last.series_key}"
        remedy = f"{why}; damaged? have it sent again; else mend what it says, then: {retry}"
        since = min(each.ended_at for each in series)
        yield Trouble(f"series_failed:{rule}", Severity.WARNING, text, remedy, since)


def _rule(series: FailedSeries) -> str:
    return next(iter(series.rules), "no rule noted")
