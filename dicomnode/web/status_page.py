"""The status page: from what was seen of the node to HTML. It names no patient and no whole UID."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.wording import how_many
from dicomnode.metrics.read_back import Counted
from dicomnode.version import PRODUCT_NAME, VERSION
from dicomnode.web import tables
from dicomnode.web.chart import chart
from dicomnode.web.parts import Figure, Mood, Notice, Page, Table
from dicomnode.web.words import NONE, ago, clock, size, without_uids
from storage.recent import EndedSeries
from storage.records import SeriesState

REFRESH_SECONDS = 30

_MOODS = {Severity.ERROR: Mood.BAD, Severity.WARNING: Mood.WARNING}


@dataclass(frozen=True)
class Sight:
    """What a page is made of. `ended`: series of the last 24 hours, newest first; None where the
    database could not be asked."""

    facts: Facts
    troubles: Sequence[Trouble]
    ended: Sequence[EndedSeries] | None
    counted: Counted


def render(page: Page) -> str:
    return _environment().get_template("status.html").render(page=page)


def static(name: str) -> bytes:
    """A file that the page refers to."""
    return (files("dicomnode.web") / "templates" / name).read_bytes()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dicomnode.web"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def status_page(sight: Sight, settings: Settings, *, refreshes: bool = True) -> Page:
    """`refreshes`: by itself, every `REFRESH_SECONDS`."""
    facts = sight.facts
    mood, headline, summary = _headline(sight.troubles)
    return Page(
        name=settings.node.ae_title,
        version=VERSION,
        at=f"{facts.at:%Y-%m-%d %H:%M:%S %Z}".strip(),
        mood=mood,
        headline=headline,
        summary=summary,
        notices=tuple(_notice(each, facts) for each in sight.troubles),
        figures=_figures(facts),
        chart=None if sight.ended is None else chart(sight.ended, facts.at),
        tables=_tables(sight, settings),
        refresh_seconds=REFRESH_SECONDS if refreshes else 0,
    )


def unseen_page(settings: Settings, *, refreshes: bool = True) -> Page:
    """Before the first look at the node."""
    seconds = 2 if refreshes else 0
    words = "It was started just now."
    headline = "The node has not been looked at yet"
    return Page(
        settings.node.ae_title, VERSION, "", Mood.PLAIN, headline, words, (), (), None, (), seconds
    )


def _headline(troubles: Sequence[Trouble]) -> tuple[Mood, str, str]:
    counts = Counter(each.severity for each in troubles)
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    counted = ((errors, "error"), (warnings, "warning"))
    headline = " and ".join(how_many(number, word) for number, word in counted if number)
    if errors:
        return Mood.BAD, headline, "Results are late, lost or refused until somebody acts."
    if warnings:
        return Mood.WARNING, headline, "It works. Somebody should look by day."
    return Mood.GOOD, "All is well", "Nothing troubles this node."


def _notice(trouble: Trouble, facts: Facts) -> Notice:
    return Notice(
        mood=_MOODS[trouble.severity],
        kind=trouble.severity.value,
        text=without_uids(trouble.text),
        remedy=without_uids(trouble.remedy, sign=""),
        since=clock(trouble.since, facts.at) if trouble.since else "",
    )


def _figures(facts: Facts) -> tuple[Figure, ...]:
    work, states = facts.work, facts.work.series
    in_work = states.get(SeriesState.RECEIVING, 0) + states.get(SeriesState.QUEUED, 0)
    failed = states.get(SeriesState.FAILED, 0)
    return (
        Figure("Analysed", str(states.get(SeriesState.ANALYSED, 0)), "series in 24 h"),
        Figure("Not analysed", str(states.get(SeriesState.SKIPPED, 0)), "series in 24 h"),
        Figure("Failed", str(failed), "series in 24 h", Mood.BAD if failed else Mood.PLAIN),
        Figure("In work", str(in_work), "series"),
        Figure("Last instance", ago(work.newest_arrival_at, facts.at)),
        _canary(facts),
        _disk(facts),
    )


def _canary(facts: Facts) -> Figure:
    ended, passed = facts.work.last_ended, facts.work.last_passed
    failed = ended is not None and not ended.passed
    value = ago(passed.started_at, facts.at) if passed else "never"
    note = "the last one failed" if failed else ""
    return Figure("Canary passed", value, note, Mood.BAD if failed else Mood.PLAIN)


def _disk(facts: Facts) -> Figure:
    disk = facts.disk
    if disk is None:
        return Figure("Disk free", NONE)
    share = disk.free_bytes / disk.total_bytes if disk.total_bytes else 0.0
    mood = Mood.BAD if disk.free_bytes < facts.setup.disk.refuse_below_bytes else Mood.PLAIN
    note = f"{share:.{0 if share >= 0.1 else 1}%} of {size(disk.total_bytes)}"
    return Figure("Disk free", size(disk.free_bytes), note, mood)


def _tables(sight: Sight, settings: Settings) -> tuple[Table, ...]:
    facts, ended = sight.facts, sight.ended
    troubled: dict[str, Mood] = {}
    for each in reversed(sight.troubles):  # errors come first, and stay
        troubled[each.about.partition("/")[0]] = _MOODS[each.severity]
    of_series = () if ended is None else (tables.skipped(ended), tables.failures(ended, facts.at))
    return (
        tables.destinations(facts, settings.destinations, troubled),
        tables.senders(facts),
        tables.work(facts),
        tables.times(sight.counted.stages),
        *of_series,
        tables.canary(facts),
        tables.processes(facts),
        tables.turned_away(facts),
        tables.certificates(facts, settings.health.certificate_days),
        tables.about(_about(sight, settings)),
    )


def _about(sight: Sight, settings: Settings) -> list[tuple[str, str]]:
    node, now = sight.facts.node, sight.facts.at
    ports = ", ".join(map(str, settings.receive.ports))
    models = [f"{name} {version} ({training})" for name, version, training in sight.counted.models]
    return [
        ("Product", f"{PRODUCT_NAME} {VERSION}"),
        ("AE title and ports", f"{settings.node.ae_title}, {ports}"),
        ("Started", clock(node.started_at, now) if node else NONE),
        ("Database", "SQLite" if settings.database_url.startswith("sqlite") else "PostgreSQL"),
        ("Models", "; ".join(models) or "none is loaded"),
    ]
