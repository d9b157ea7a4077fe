"""Troubles of the machine and of the node's own processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta

from dicomnode.decisions.arrival.disk import told_bytes
from dicomnode.decisions.operating.facts import CertificateFile, Facts, Setup
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.processes import (
    OUT_OF_MEMORY,
    UNUSABLE_SETUP,
    ProcessEnd,
    ProcessState,
)
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration, moment
from dicomnode.decisions.wording import how_many
from storage.overview_records import TroubleRecord

_DOWN_SECONDS = 60.0
"""Longer than the longest wait of the supervisor before it starts a process again."""

_RESTARTS_WITHIN = timedelta(minutes=10)
_FUTURE = timedelta(minutes=2)
_CLOCK_TOLD = timedelta(hours=1)
_STILL_SEEN = timedelta(minutes=5)
_UNTOLD = "alerts_untold"


def node_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    if facts.running is not False:
        return
    node = facts.node
    since = node.stopped_at if node else None
    if node is None:
        text = "no node has run on this data directory yet"
    elif since:
        text = f"the node was stopped {duration(now - since)} ago"
    else:
        text = f"the node of {moment(node.started_at)} UTC ended without a word"
    start = "systemctl start dicomnode, or: dicomnode serve"
    yield Trouble("node_down", Severity.ERROR, text, start, since)


def process_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    if facts.running is False or facts.node is None:
        return
    for process in facts.node.processes:
        yield from _of_process(process, policy, now)


def _of_process(process: ProcessState, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    last = process.last_end
    if last is None:
        return
    recent = [each for each in process.ends if now - each.at <= _RESTARTS_WITHIN]
    steady = (now - process.since).total_seconds() > _DOWN_SECONDS
    unusable = last.status == UNUSABLE_SETUP and (process.pid is None or not steady)
    told = f"last with status {last.status}: {last.cause}"
    if len(recent) >= policy.restarts:
        ends = f"{process.role} ended {how_many(len(recent), 'time')}"
        text = f"{ends} within {duration(_RESTARTS_WITHIN)}, {told}"
        name, since = f"process_restarting:{process.role}", recent[0].at
        yield Trouble(name, Severity.ERROR, text, _process_remedy(process, last), since)
    elif unusable or (process.pid is None and steady):
        text = f"{process.role} has not run for {duration(now - last.at)}, {told}"
        name = f"process_down:{process.role}"
        yield Trouble(name, Severity.ERROR, text, _process_remedy(process, last), last.at)
    elif (lost := _last_lost(process)) and now - lost.at <= timedelta(hours=policy.event_hours):
        again = ", and runs again" if process.pid is not None else ""
        text = f"{process.role} was lost {duration(now - lost.at)} ago{again}: {lost.cause}"
        name = f"process_lost:{process.role}"
        yield Trouble(name, Severity.WARNING, text, _process_remedy(process, lost), lost.at)


def _last_lost(process: ProcessState) -> ProcessEnd | None:
    return next((each for each in reversed(process.ends) if each.status < 0), None)


def _process_remedy(process: ProcessState, end: ProcessEnd) -> str:
    if end.status == -signal.SIGKILL:
        look = "" if end.cause == OUT_OF_MEMORY else "was memory short (dmesg | grep -i oom)? then "
        more = "give the machine more memory, or set fewer [inference] workers"
        return f"{look}{more}, and: systemctl restart dicomnode"
    if end.status == UNUSABLE_SETUP and process.role.startswith("worker"):
        return "dicomnode model check names the bundle: put it back; the worker starts by itself"
    return f"read the log from {process.role}: journalctl -u dicomnode | grep {process.role}"


def database_troubles(facts: Facts, _policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    if facts.database_fault is None or (facts.running is False and facts.node is None):
        return  # where no node ever ran there need be none
    text = f"the database does not answer: {facts.database_fault}"
    start = "put it back from its back-up"
    if facts.setup.database_serves:
        start = "on its machine: systemctl start postgresql"
    remedy = f"{start}; instances are received meanwhile, and wait"
    yield Trouble("database_away", Severity.ERROR, text, remedy)


def disk_troubles(facts: Facts, policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    disk, limits = facts.disk, facts.setup.disk
    remedy = (
        "remove from it what is not the node's, or set [retention], then: dicomnode config reload"
    )
    if facts.read_only:
        text = "the disk of the data directory takes nothing: it is mounted read-only"
        yield Trouble("disk_read_only", Severity.ERROR, text, "mount it for writing")
    if disk is None:
        return
    warning_bytes = max(policy.disk_warning_bytes, limits.resume_above_bytes)
    if disk.free_bytes < limits.refuse_below_bytes:
        text = f"the disk is full: {disk}; instances are refused (0xA700)"
        yield Trouble("disk_full", Severity.ERROR, text, remedy)
    elif disk.free_bytes < warning_bytes:
        limit = told_bytes(limits.refuse_below_bytes)
        text = f"the disk is nearly full: {disk}; below {limit} instances are refused (0xA700)"
        yield Trouble("disk_near_full", Severity.WARNING, text, remedy)


def certificate_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.certificates:
        yield from _of_certificate(each, policy, now)


def _of_certificate(
    file: CertificateFile, policy: HealthPolicy, now: datetime
) -> Iterator[Trouble]:
    remedy = f"put a new one into {file.path}; it is taken over without restart"
    if file.ends_at is None:
        text = f"{file.what}: {file.path} cannot be read: {file.fault}"
        name = f"certificate_unreadable:{file.what}"
        yield Trouble(name, Severity.ERROR, text, f"mend {file.path}")
    elif file.ends_at <= now:
        text = f"{file.what}: the certificate ended on {moment(file.ends_at)} UTC"
        yield Trouble(f"certificate_ended:{file.what}", Severity.ERROR, text, remedy, file.ends_at)
    elif file.ends_at - now <= timedelta(days=policy.certificate_days):
        left = duration(file.ends_at - now)
        text = f"{file.what}: the certificate ends in {left}, on {moment(file.ends_at)} UTC"
        yield Trouble(f"certificate_ending:{file.what}", Severity.WARNING, text, remedy)


def clock_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    step, newest = facts.clock_step, facts.work.newest_arrival_at
    remedy = "see that the clock is kept: timedatectl"
    if step and abs(step.seconds) > policy.clock_step_seconds and now - step.at <= _CLOCK_TOLD:
        way = "forwards" if step.seconds > 0 else "backwards"
        span = duration(timedelta(seconds=abs(step.seconds)))
        text = f"the clock of this machine was set {way} by {span} at {moment(step.at)} UTC"
        yield Trouble("clock_set", Severity.WARNING, text, remedy, step.at)
    if newest is not None and newest - now > _FUTURE:
        text = f"an instance bears a time of arrival that lies {duration(newest - now)} ahead"
        what = "the clock of this machine was ahead, or is behind: timedatectl"
        yield Trouble("clock_behind", Severity.WARNING, text, what)


def alert_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    """A way that tells nobody must be told by another, and by `status`."""
    for way in facts.setup.ways if facts.running is not False else ():
        untold = [each for each in facts.work.noted if _is_untold(each, way, facts.setup, now)]
        if not untold:
            continue
        since = min(each.first_seen_at for each in untold)
        count = how_many(len(untold), "trouble")
        text = f"{count} could not be told by {way}, the oldest for {duration(now - since)}"
        remedy = f'mend [alerts] {way}; the log tells why: grep "telling troubles by {way}"'
        yield Trouble(f"alerts_untold:{way}", Severity.WARNING, text, remedy, since)


def _is_untold(noted: TroubleRecord, way: str, setup: Setup, now: datetime) -> bool:
    lasts = noted.over_at is None and now - noted.last_seen_at < _STILL_SEEN
    due = now - noted.first_seen_at > timedelta(seconds=setup.told_within_seconds)
    told_of = noted.severity in (Severity.ERROR, setup.least) and not noted.name.startswith(_UNTOLD)
    return lasts and due and told_of and way not in noted.told


def blind_troubles(facts: Facts, _policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    if facts.http_fault:
        text = f"neither status page nor metrics are served: {facts.http_fault}"
        remedy = "free the port, or set another: [http] port"
        yield Trouble("http_down", Severity.WARNING, text, remedy)
    for each in facts.blind:
        text = f"{each.what} could not be looked at: {each.why}"
        remedy = each.remedy or "see that the node's user may read it; the log tells more"
        yield Trouble(f"unseen:{each.what}", Severity.WARNING, text, remedy)
