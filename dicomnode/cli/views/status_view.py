"""What `dicomnode status` shows: the facts on one screen, then the troubles with their remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from dicomnode.cli.views.tables import short_uids
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.judge import judge, not_ready
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration, moment
from dicomnode.decisions.wording import how_many
from dicomnode.health.collector import Collector
from dicomnode.version import VERSION
from storage.database import Database, shown_url
from storage.overview_records import ID_SHOWN, Node, OpenDeliveries, OpenJobs, Unsealed, node_of
from storage.records import JobKind

_FACTS = TypeAdapter(Facts)
_TROUBLES = TypeAdapter(tuple[Trouble, ...])
_LEFT_OUT: Any = {"work": {"sources": {"__all__": {"hours"}}, "noted": True}}
_LABEL_WIDTH = 13
_GIB = 1 << 30
_MOST_RUNNING = 8
_SEEN_BY_MONITOR = ("clock_set", "http_down")
"""Warnings by what changes from look to look, or in its own process."""


def look(settings: Settings) -> tuple[Facts, tuple[Trouble, ...]]:
    """How the node fares now; within seconds, whatever is away."""
    database = Database.open_later(settings.database_url)
    with closing(database):
        facts = Collector(settings, database).collect()
    return facts, with_noted(judge(facts, settings.health, facts.at), facts)


def with_noted(troubles: tuple[Trouble, ...], facts: Facts) -> tuple[Trouble, ...]:
    """For who looks once: with what only the monitor can see, as it noted it."""
    noted = (
        Trouble(each.name, Severity(each.severity), each.text, each.remedy, each.since)
        for each in facts.work.noted
        if each.name in _SEEN_BY_MONITOR and each.over_at is None and facts.running
    )
    return (*troubles, *noted)


def exit_status(troubles: Sequence[Trouble]) -> int:
    """0: none; 1: warnings; 3: errors, as that no node runs."""
    if any(each.severity is Severity.ERROR for each in troubles):
        return 3
    return 1 if troubles else 0


def as_json(settings: Settings, facts: Facts, troubles: tuple[Trouble, ...]) -> dict[str, Any]:
    """All that was looked at; times in ISO 8601."""
    return {
        "version": VERSION,
        "ae_title": settings.node.ae_title,
        "exit_status": exit_status(troubles),
        "not_ready": list(not_ready(facts)),
        "troubles": _TROUBLES.dump_python(troubles, mode="json"),
        "ports": list(settings.receive.ports),
        "database": shown_url(settings.database_url),
        **_FACTS.dump_python(facts, mode="json", exclude=_LEFT_OUT),
    }


def lines(
    settings: Settings, facts: Facts, troubles: Sequence[Trouble], *, short: bool = False
) -> Iterator[str]:
    """The same for a person. `short`: UIDs are, but for those of the step that mends a trouble."""
    texts = [each.text for each in troubles]
    yield f"dicomnode {VERSION}, {settings.node.ae_title}, {moment(facts.at)}"
    yield ""
    for label, told in (*_machine(settings, facts), *_work(facts)):
        yield f"{label:<{_LABEL_WIDTH}}{told}"
    yield ""
    if not troubles:
        yield "No trouble."
    for each, text in zip(troubles, short_uids(texts) if short else texts, strict=True):
        since = f" (since {moment(each.since.astimezone(facts.at.tzinfo))})" if each.since else ""
        yield f"{each.severity.upper()}: {text}{since}"
        yield f"  what to do: {each.remedy}"


def _machine(settings: Settings, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "node", _node(facts)
    for each in facts.node.processes if facts.node else ():
        if each.pid is not None:
            again = f", started {each.starts} times" if each.starts > 1 else ""
            yield f"  {each.role}", f"process {each.pid} for {_age(each.since, facts)}{again}"
    yield "receives", _ports(settings)
    answers = "does not answer" if facts.database_fault else "answers"
    yield "database", f"{shown_url(settings.database_url)} {answers}"
    yet = f" at {facts.disk_of}: {settings.instances} is not there yet" if facts.disk_of else ""
    yield "disk", f"{facts.disk}{yet}" if facts.disk else "not known"
    if facts.unsealed is not None and facts.unsealed.series:
        yield "store", _unsealed(facts.unsealed, facts)
    ends = [each.ends_at for each in facts.certificates if each.ends_at is not None]
    if ends:
        yield "certificates", f"the first of {len(facts.certificates)} ends {moment(min(ends))} UTC"


def _unsealed(unsealed: Unsealed, facts: Facts) -> str:
    oldest = f", one for {_age(unsealed.oldest_due_at, facts)}" if unsealed.oldest_due_at else ""
    return f"{how_many(unsealed.series, 'series')} to be sealed{oldest}"


def _node(facts: Facts) -> str:
    if facts.running is None:
        return "not known whether it runs"
    if not facts.running or facts.node is None:
        return "does not run"
    return f"{facts.node.version} runs for {_age(facts.node.started_at, facts)}"


def _ports(settings: Settings) -> str:
    receive, http = settings.receive, settings.http
    tls = f", with TLS on {receive.tls.port}" if receive.tls.enabled else ""
    plain = f"on {receive.address} port {receive.port}" if receive.plain else receive.address
    page = f"; status page http://{http.address}:{http.port}/" if http.port else ""
    return f"{plain}{tls}{page}"


def _work(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.database_fault is not None:
        return
    work = facts.work
    counts = [f"{count} {state.value}" for state, count in work.series.items()]
    yield "series", f"of the last day: {', '.join(counts) or 'none'}"
    for node in work.nodes:
        gone = "lost, " if node.left_at else ""
        has = f", {_workers(node)}" if node.workers or not node.receives else ""
        who = f"{node.name} ({node.node_id[:ID_SHOWN]})"
        yield "nodes", f"{who}: {gone}heard of {_age(node.heard_at, facts)} ago{has}"
    for job in work.jobs:
        yield "queue", _jobs(job, facts)
    yield from _analysing(facts)
    for delivery in work.deliveries:
        yield "deliveries", _deliveries(delivery, facts)
    for parked in work.parked:
        what = f"{how_many(parked.count, 'object')} of kind {parked.kind} {parked.state}"
        yield "deliveries", f"{parked.destination}: {what}"
    if work.canary:
        yield "canary", _canary(facts)


def _analysing(facts: Facts) -> Iterator[tuple[str, str]]:
    """Where, of several hosts; those that began first, as there may be hundreds."""
    names = {each.node_id: each.name for each in facts.work.nodes}
    running = [each for each in facts.work.running if each.kind is JobKind.ANALYSE]
    for each in running[:_MOST_RUNNING] if len(names) > 1 else ():
        node_id = node_of(each.owner)
        on = f"on {names.get(node_id) or 'a host that is gone'} ({node_id[:ID_SHOWN]})"
        yield "analysing", f"{each.series_key} {on} for {_age(each.started_at, facts)}"
    if len(names) > 1 and (more := len(running) - _MOST_RUNNING) > 0:
        yield "analysing", f"and {more} more: dicomnode queue list --state queued"


def _workers(node: Node) -> str:
    """With what each has, as far as it was told."""
    count = how_many(node.workers, "worker")
    only = "" if node.receives else " and nothing else"
    if node.memory_bytes is None:
        return f"{count}{only}"
    has = ", ".join((*node.capabilities.split(), f"{node.memory_bytes / _GIB:.0f} GiB"))
    return f"{count}{only} ({has})"


def _jobs(job: OpenJobs, facts: Facts) -> str:
    oldest = f", one for {_age(job.oldest_due_at, facts)}" if job.oldest_due_at else ""
    return f"{job.kind.value}: {job.queued} waiting{oldest}, {job.running} running"


def _deliveries(each: OpenDeliveries, facts: Facts) -> str:
    away = ", it is away" if each.held else ""
    oldest = f", one for {_age(each.oldest_at, facts)}" if each.oldest_at else ""
    return f"{each.destination}: {how_many(each.count, 'object')} on the way{oldest}{away}"


def _canary(facts: Facts) -> str:
    last = facts.work.canary[0]
    how = {None: f"under way ({last.stage})", True: "passed", False: "failed"}[last.passed]
    return f"{how}, begun {moment(last.started_at)} UTC"


def _age(at: datetime, facts: Facts) -> str:
    return duration(facts.at - at)
