"""What `dicomnode queue` shows: the rows of the database as tables, text or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console
from rich.text import Text
from sqlalchemy.engine import make_url

from dicomnode.cli.views.delivery_words import counted, series_word
from dicomnode.cli.views.findings_view import findings_lines
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.methods.findings_json import kept_findings
from storage import nodes, queries
from storage.database import Database, is_missing
from storage.endings import unique_endings
from storage.overview_records import ID_SHOWN, node_of
from storage.records import (
    DeliveryRecord,
    DeliveryState,
    SeriesDetail,
    SeriesRecord,
)


def series_endings(database: Database, keys: Iterable[str]) -> dict[str, str]:
    """The endings by which `find` finds each series alone."""
    with database.read() as session:
        return unique_endings(session, sorted(set(keys)))


def open_existing(settings: Settings) -> Database:
    """The node's database; looking into the queue never makes one.

    Raises:
        ConfigurationError: no node has run on this data directory yet.
    """
    if is_missing(settings.database_url):
        path = make_url(settings.database_url).database
        raise ConfigurationError(f"no node has run yet: there is no database {path}")
    return Database.open(settings.database_url)


def find(database: Database, text: str) -> tuple[SeriesDetail, ...]:
    """The series that a UID, a unique ending of one, or an accession number names.

    A study or an accession number may name several, and a Series Instance UID the parts that came
    under it; an ending that fits several series does not.

    Raises:
        DataError: none, or an ending that is not unique; the candidates are named.
    """
    with database.read() as session:
        found = queries.find_series(session, text)
        details = tuple(
            detail for uid in found if (detail := queries.series_detail(session, uid)) is not None
        )
    if not details:
        raise DataError("series", f"none has the UID, UID ending or accession number {text!r}")
    if len(details) > 1 and not (_one_series(details) or _one_study(details, text)):
        shown = ", ".join(found[:10]) + (" …" if len(found) > 10 else "")
        raise DataError("series", f"{len(found)} series match {text!r}: {shown}")
    return details


def _one_series(details: Sequence[SeriesDetail]) -> bool:
    """Whether they are parts of one series, of which each is told."""
    return len({detail.series.series_instance_uid for detail in details}) == 1


def _one_study(details: Sequence[SeriesDetail], text: str) -> bool:
    """Whether several series were meant: all of one study, named as the study is."""
    records = [detail.series for detail in details]
    if len({record.study_instance_uid for record in records}) > 1:
        return False
    first = records[0]
    return text == first.accession_number or first.study_instance_uid.endswith(text)


def as_json(record: object) -> Any:
    """A record, whole, in JSON's types; times in ISO 8601, UTC.

    What methods found is told in the form of today, whichever version kept it.
    """
    if isinstance(record, SeriesRecord) and record.analysis is not None:
        found = {"findings": kept_findings(record.analysis)}
        record = replace(record, analysis=record.analysis | found)
    if isinstance(record, datetime):
        return record.isoformat()
    if isinstance(record, Enum):
        return record.value
    if hasattr(record, "as_json"):
        return record.as_json()
    if is_dataclass(record):
        record = {each.name: getattr(record, each.name) for each in fields(record)}
    if isinstance(record, dict):
        return {key: as_json(value) for key, value in record.items()}
    return [as_json(value) for value in record] if isinstance(record, (list, tuple)) else record


def detail_json(detail: SeriesDetail) -> dict[str, Any]:
    """What `queue show` tells a program; `progress`: the state in words."""
    return {**as_json(detail), "progress": series_word(detail.series, detail.deliveries)}


def host_names(database: Database) -> dict[str, str]:
    """By id, of the nodes and hosts of workers; none where there is only one."""
    with database.read() as session:
        found = {each.node_id: each.name for each in nodes.all_nodes(session)}
    return found if len(found) > 1 else {}


def print_show(console: Console, detail: SeriesDetail, hosts: Mapping[str, str]) -> None:
    """What `queue show` prints: the series, its jobs, results and deliveries. `hosts`: as
    `host_names`; with them it is said where each job is, or was last."""
    print_series(console, detail.series, series_word(detail.series, detail.deliveries))
    headings = ("job", "state", "attempt", "created", "ended", "error")
    jobs = new_table("jobs", *headings, *(["on"] if hosts else []))
    for job in detail.jobs:
        node_id = node_of(job.owner or "")
        on = [hosts.get(node_id) or f"{node_id[:ID_SHOWN]}, gone" if node_id else ""]
        add_row(
            jobs,
            job.kind.value,
            job.state.value,
            str(job.attempt),
            shown_time(job.created_at),
            shown_time(job.ended_at),
            job.error or "",
            *(on if hosts else []),
        )
    print_table(console, jobs)
    print_deliveries(console, detail.deliveries)


def print_deliveries(
    console: Console,
    deliveries: Iterable[DeliveryRecord],
    endings: Mapping[str, str] | None = None,
    nothing: str = "",
) -> None:
    """Which objects still have to reach which destination, and why they have not: those of which
    all is alike in one row. `endings`, `nothing`: as of `print_table`."""
    headings = ("objects", "destination", "state", "tries", "next", "status")
    table = new_table("deliveries", *headings)
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in deliveries:
        told = (each.destination, each.state.value, str(each.attempt), shown_time(next_time(each)))
        row = (each.result.series_key, *told, each.error or each.status or "")
        alike.setdefault(row, []).append(each.result.kind)
    for (series, *rest), kinds in alike.items():
        add_row(table, f"{counted(kinds)} of {series}", *rest)
    print_table(console, table, endings, nothing)


def next_time(delivery: DeliveryRecord) -> datetime | None:
    """When it is looked at again by itself; None: not any more, or just now."""
    return delivery.not_before if delivery.state is DeliveryState.WAITING else delivery.confirm_at


def say(console: Console, text: str, style: str = "") -> None:
    """One line, whole: what a peer or a header says in it is no markup, and nothing is wrapped."""
    console.print(Text(text, style), soft_wrap=True)


def print_series(console: Console, record: SeriesRecord, word: str = "") -> None:
    """The head of `show` and `why`; `word`: its state, where its deliveries are known."""
    say(console, f"series   {record.series_key}")
    say(console, f"study    {record.study_instance_uid}")
    say(
        console,
        f"state    {word or record.state.value}; {how_many(record.instance_count, 'instance')}, "
        f"{record.modality or 'no modality'}, last {shown_time(record.last_received_at)}",
    )
    if record.analysis is not None:
        kept, analysis = kept_findings(record.analysis), record.analysis
        warnings = {each["model"]["warning"] for each in kept if not each["qualifier"]}
        for line in findings_lines(kept, analysis.get("failures", ()), analysis.get("agreement")):
            say(console, f"         {line}", style="bold red" if line in warnings else "")


def shown_time(moment: datetime | None) -> str:
    """A moment as people read it; nothing for none."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")
