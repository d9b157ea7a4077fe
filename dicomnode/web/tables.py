"""The tables of the status page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from dicomnode.config.destinations import AnyDestination
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.processes import ProcessState
from dicomnode.decisions.wording import rule_words
from dicomnode.metrics.read_back import StageTimes
from dicomnode.web.parts import Cell, Mood, Row, Table
from dicomnode.web.words import NONE, ago, clock, label, span, within, without_uids
from storage.overview_records import Source
from storage.recent import EndedSeries
from storage.records import JobKind, SeriesState

_MOST_ROWS = 10
_STAGES = {
    "completeness": "until it is all here",
    "queue": "until a worker has time",
    "analysis": "analysis",
    "delivery": "until the last object is stored",
    "commitment": "until it is promised to be kept",
    "total": "all, from the last slice on",
}
_WORK = {
    JobKind.ASSESS: "decision",
    JobKind.ANALYSE: "analysis",
    JobKind.FETCH: "retrieval",
}


def destinations(
    facts: Facts, configured: Sequence[AnyDestination], troubled: Mapping[str, Mood]
) -> Table:
    """`troubled`: destinations that a trouble is about, with the worst of it."""
    rows = tuple(_destination(each, facts, troubled) for each in configured)
    columns = ("Name", "State", "On the way", "Oldest", "Refused or given up", "No promise yet")
    empty = "No destination is configured: results stay here."
    return Table("Destinations", columns, rows, empty, frozenset({2, 3, 4, 5}))


def _destination(each: AnyDestination, facts: Facts, troubled: Mapping[str, Mood]) -> Row:
    work, name = facts.work, each.name
    open_ones = next((one for one in work.deliveries if one.destination == name), None)
    parked = sum(one.count for one in work.parked if one.destination == name)
    promise = sum(one.count for one in work.promises if one.destination == name)
    return (
        name,
        _state(troubled.get(name, Mood.GOOD), away=bool(open_ones and open_ones.held)),
        str(open_ones.count if open_ones else 0),
        span(open_ones.oldest_at, facts.at) if open_ones else NONE,
        Cell(str(parked), Mood.BAD if parked else Mood.PLAIN),
        str(promise) if each.storage_commitment else NONE,
    )


def _state(mood: Mood, *, away: bool) -> Cell:
    words = {Mood.GOOD: "works", Mood.WARNING: "trouble", Mood.BAD: "trouble"}
    return Cell(
        "away" if away else words[mood], Mood.WARNING if away and mood is Mood.GOOD else mood
    )


def senders(facts: Facts) -> Table:
    """Those that sent last come first."""
    newest = sorted(facts.work.sources, key=lambda each: each.last_at, reverse=True)
    rows = tuple(
        (
            label(each.ae_title),
            ago(each.last_at, facts.at),
            str(_studies(each, facts.at, hours=1)),
            str(_studies(each, facts.at, hours=24)),
        )
        for each in newest[:_MOST_ROWS]
    )
    columns = ("Sender", "Last instance", "Studies this hour", "Studies in 24 h")
    return Table("Senders", columns, rows, "Nobody has sent a series yet.", frozenset({1, 2, 3}))


def _studies(source: Source, now: datetime, *, hours: int) -> int:
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
    return sum(count for hour, count in source.hours if hour >= first)


def work(facts: Facts) -> Table:
    rows = tuple(
        (
            _WORK[each.kind].capitalize(),
            str(each.queued),
            str(each.running),
            span(each.oldest_due_at, facts.at),
        )
        for each in facts.work.jobs
    )
    columns = ("Step", "Wait", "Run", "Oldest that could begin")
    return Table("Queue", columns, rows, "Nothing waits.", frozenset({1, 2, 3}))


def times(stages: Mapping[str, StageTimes]) -> Table:
    rows = tuple(
        (
            _STAGES[stage].capitalize(),
            str(stages[stage].count),
            within(stages[stage].half_within),
            within(stages[stage].most_within),
        )
        for stage in _STAGES
        if stage in stages
    )
    return Table(
        "Times",
        ("Stage of a series", "Series", "Half within", "95 of 100 within"),
        rows,
        "No series has been analysed since the node was started.",
        frozenset({1, 2, 3}),
        "Since the node was started.",
        sentences=True,
    )


def skipped(ended: Iterable[EndedSeries]) -> Table:
    reasons = Counter(
        rule for each in ended if each.state is SeriesState.SKIPPED for rule in each.rules
    )
    rows = tuple(
        (_sentence(rule_words(rule)), str(count)) for rule, count in reasons.most_common(_MOST_ROWS)
    )
    return Table(
        "Why series were not analysed",
        ("What spoke against it", "Series"),
        rows,
        "No series was left out.",
        frozenset({1}),
        "Last 24 hours; a series may have several reasons.",
        sentences=True,
    )


def failures(ended: Iterable[EndedSeries], now: datetime) -> Table:
    failed = [each for each in ended if each.state is SeriesState.FAILED]
    rows = tuple(
        (
            clock(each.ended_at, now),
            label(each.calling_ae_title),
            str(each.instance_count),
            Cell(_sentence(", ".join(map(rule_words, each.rules))), Mood.BAD),
        )
        for each in failed[:_MOST_ROWS]
    )
    note = "Last 24 hours: dicomnode queue list --state failed" if rows else "Last 24 hours."
    columns = ("When", "Sender", "Instances", "Why")
    return Table("Failed series", columns, rows, "No series failed.", frozenset({2}), note)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] or NONE


def turned_away(facts: Facts) -> Table:
    rows = tuple(
        (
            label(each.calling_ae_title),
            label(each.peer_address),
            "association" if each.kind == "association" else "instances",
            str(each.count),
            ago(each.last_at, facts.at),
        )
        for each in facts.work.refused[:_MOST_ROWS]
    )
    columns = ("Who", "From", "What", "Times", "Last")
    return Table("Turned away", columns, rows, "Nobody was turned away.", frozenset({3, 4}))


def processes(facts: Facts) -> Table:
    found = facts.node.processes if facts.node else ()
    rows = tuple(_process(each, facts.at) for each in found)
    columns = ("Process", "State", "Since", "Restarts", "Last end")
    return Table("Processes", columns, rows, "No process is known.", frozenset({2, 3}))


def _process(each: ProcessState, now: datetime) -> Row:
    running = each.pid is not None
    end = each.last_end
    last = f"{clock(end.at, now)}: {end.cause}" if end else NONE
    return (
        each.role,
        Cell("runs", Mood.GOOD) if running else Cell("down", Mood.BAD),
        span(each.since, now),
        str(each.starts - 1),
        last,
    )


def certificates(facts: Facts, warning_days: float) -> Table:
    rows = tuple(
        (each.what, *_end(each.ends_at, facts.at, warning_days)) for each in facts.certificates
    )
    return Table("Certificates", ("Of", "Ends", "In"), rows, "None is configured.", frozenset({2}))


def _end(at: datetime | None, now: datetime, warning_days: float) -> tuple[Cell, Cell]:
    if at is None:
        return Cell("cannot be read", Mood.BAD), Cell(NONE)
    left = at - now
    mood = Mood.WARNING if left <= timedelta(days=warning_days) else Mood.PLAIN
    mood = Mood.BAD if left <= timedelta(0) else mood
    ended = "ended" if left <= timedelta(0) else span(now, at)
    return Cell(f"{at.astimezone(now.tzinfo):%Y-%m-%d}", mood), Cell(ended, mood)


def canary(facts: Facts) -> Table:
    rows = tuple(
        (
            clock(each.started_at, facts.at),
            each.occasion,
            _passed(each.passed),
            without_uids(each.text or each.stage),
        )
        for each in facts.work.canary
    )
    columns = ("When", "Occasion", "Result", "What was seen")
    empty = "No synthetic patient has been sent: [canary] enabled = true"
    return Table("Canary", columns, rows, empty, note="A synthetic patient on the whole way.")


def _passed(passed: bool | None) -> Cell:
    if passed is None:
        return Cell("under way")
    return Cell("passed", Mood.GOOD) if passed else Cell("failed", Mood.BAD)


def about(rows: Sequence[tuple[str, str]]) -> Table:
    return Table("About this node", ("What", "Value"), tuple(rows), "", sentences=True)
