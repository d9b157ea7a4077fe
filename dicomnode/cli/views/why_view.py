"""What `dicomnode queue why` tells: all that led to where a series is, and what is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from dicomnode.cli.views.delivery_words import series_word, undelivered, withdrawn
from dicomnode.cli.views.queue_view import as_json, print_series, say, shown_time
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import Reason, failed_rules
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import read_source
from dicomnode.errors import DataError
from storage import index, queries, study
from storage.database import Database
from storage.decided import SeriesEvidence
from storage.instances import InstanceFiles
from storage.records import ConflictState, JobKind, JobState, SeriesDetail, SeriesRecord

_VERDICT_STYLE = {"pass": "green", "warning": "yellow", "fail": "red"}

IDENTITY = {
    "PatientName": "patient",
    "PatientID": "patient ID",
    "PatientBirthDate": "born",
    "PatientSex": "sex",
    "StudyDate": "study date",
    "StudyDescription": "study",
    "SeriesDescription": "series",
}
"""Attributes that `--identity` shows, and what they are called there."""


@dataclass(frozen=True)
class Why:
    """A series with what lies around it.

    `brought`: instances by association. `study`: the other series of its study and modality.
    `identity`: empty unless it was asked for.
    """

    detail: SeriesDetail
    brought: Mapping[str, int]
    study: tuple[SeriesRecord, ...]
    identity: Mapping[str, str]


def look_up(database: Database, settings: Settings, detail: SeriesDetail, identity: bool) -> Why:
    """Ask the index, and with `identity` the header of one of the files."""
    record = detail.series
    uid = record.series_key
    with database.read() as session:
        brought = queries.instances_by_association(session, uid)
        series = study.series_of_study(session, uid)
        instances = index.instances_of_series(session, uid) if identity else ()
    others = tuple(each for each in series if each.series_key != uid)
    paths = [instance.path for instance in instances[:1]]
    return Why(detail, brought, others, _identity(settings, paths))


def _identity(settings: Settings, paths: Sequence[str]) -> dict[str, str]:
    if not paths:
        return {}
    try:
        data_set = read_source(InstanceFiles(settings.instances).open_path(paths[0]))
    except (DataError, OSError) as error:
        return {"identity": f"not readable ({type(error).__name__})"}
    read = AttributeReader(data_set)
    return {name: read.text(keyword) for keyword, name in IDENTITY.items()}


def print_why(console: Console, why: Why) -> None:
    """For a person: who sent what, what closed it, each rule, the study, what is next."""
    record = why.detail.series
    print_series(console, record, series_word(record, why.detail.deliveries))
    for name, value in why.identity.items():
        say(console, f"{name:<10} {value or '–'}")
    _print_arrival(console, why)
    _print_completeness(console, why.detail.series.completeness)
    print_reasons(console, why.detail.series.reasons)
    _print_study(console, why)
    _print_history(console, why.detail.series)
    say(console, f"next: {next_step(why.detail)}")


def _print_arrival(console: Console, why: Why) -> None:
    for association in why.detail.associations:
        end = association.end.value if association.end else "still open"
        count = why.brought.get(association.association_id, 0)
        say(
            console,
            f"{count} instances from {association.calling_ae_title} "
            f"({association.peer_address or 'address unknown'}), association opened "
            f"{shown_time(association.opened_at)}, {end} {shown_time(association.ended_at)}",
        )
    for line in _copies(why.detail):
        say(console, line, style="yellow")


_MADE_OF_COPIES = {
    ConflictState.OPEN: "not compared yet",
    ConflictState.SAME: "the same in another encoding",
    ConflictState.FIRST: "the first were taken",
    ConflictState.REPLACED: "the newest were taken",
    ConflictState.HELD: "held: dicomnode queue release UID --take first (or newest)",
    ConflictState.TAKE_FIRST: "a person chose the first",
    ConflictState.TAKE_NEWEST: "a person chose the newest",
    ConflictState.ELSEWHERE: "taken as instances of this series",
}


def _copies(detail: SeriesDetail) -> list[str]:
    """One line for all that came again alike, from either side."""
    again = Counter(
        (each.state, each.differs, each.series_key, each.study_instance_uid)
        for each in detail.conflicts
    )
    lines = [
        f"{count} instances came again"
        + (f" with other {differs}" if differs else "")
        + (f" under series {key} of study {study}" if key != detail.series.series_key else "")
        + f": {_MADE_OF_COPIES[state]}"
        for (state, differs, key, study), count in again.items()
    ]
    known = Counter((each.owner_key, each.owner_study_uid) for each in detail.claims)
    lines += [
        f"{count} instances that name this series are known under series {key} of study {study}"
        for (key, study), count in known.items()
    ]
    return lines


def _print_completeness(console: Console, noted: SeriesEvidence | None) -> None:
    if noted is None:
        say(console, "not complete yet: nothing was looked at yet")
        return
    word = "complete because" if noted.complete else "not complete yet"
    say(console, f"{word}: {noted.evidence}")
    for piece in noted.pieces:
        say(console, f"  {piece.witness}: {piece.says}, {piece.evidence}")


def _print_study(console: Console, why: Why) -> None:
    for other in why.study:
        quality = other.completeness and other.completeness.quality
        text = "" if quality is None else f", {quality.slice_count} slices every "
        text += "" if quality is None else f"{quality.slice_spacing_mm:g} mm"
        say(console, f"same study: {other.series_key} {other.state.value}{text}")


def _print_history(console: Console, record: SeriesRecord) -> None:
    for former in record.history:
        failed = failed_rules(former.reasons)
        why = f": {', '.join(failed)}" if failed else ""
        text = f"{former.state}{why}, {former.instance_count} instances"
        decided = former.decided_at.isoformat() if former.decided_at else "never"
        say(console, f"before: {text}, decided {decided}")


def why_json(why: Why) -> dict[str, Any]:
    """The same for a program."""
    record = why.detail.series
    associations = [
        as_json(each) | {"instances": why.brought.get(each.association_id, 0)}
        for each in why.detail.associations
    ]
    shown = {
        "series_key": record.series_key,
        "series_instance_uid": record.series_instance_uid,
        "study_instance_uid": record.study_instance_uid,
        "state": record.state.value,
        "progress": series_word(record, why.detail.deliveries),
        "completeness": as_json(record.completeness),
        "reasons": as_json(record.reasons),
        "associations": associations,
        "conflicts": as_json(why.detail.conflicts),
        "claims": as_json(why.detail.claims),
        "same_study": [
            {
                "series_key": other.series_key,
                "series_instance_uid": other.series_instance_uid,
                "state": other.state.value,
                "quality": as_json(other.completeness and other.completeness.quality),
            }
            for other in why.study
        ],
        "history": as_json(record.history),
        "next": next_step(why.detail),
    }
    return shown | ({"identity": dict(why.identity)} if why.identity else {})


def print_reasons(console: Console, reasons: Sequence[Reason]) -> None:
    """A table of all rules with value, limit and verdict."""
    table = new_table("decision", "rule", "value", "limit", "verdict")
    for reason in reasons:
        limit = "" if reason.limit is None else str(reason.limit)
        styles = ("", "", "", _VERDICT_STYLE[reason.verdict])
        add_row(table, reason.rule, str(reason.value), limit, reason.verdict, styles=styles)
    print_table(console, table)


def next_step(detail: SeriesDetail) -> str:
    """What happens next to a series, in words."""
    waiting = [job for job in detail.jobs if job.state in {JobState.QUEUED, JobState.RUNNING}]
    for job in waiting:
        why = f"; last time: {job.error}" if job.error else ""
        if job.kind is JobKind.ASSESS:
            return f"looked at again at {shown_time(job.not_before)}: is it complete?{why}"
        verb = "is being analysed" if job.state is JobState.RUNNING else "waits for a worker"
        return f"{verb} (attempt {job.attempt}){why}"
    both = (*detail.conflicts, *detail.claims)
    held = {each.owner_key for each in both if each.state is ConflictState.HELD}
    if held:
        keys = ", ".join(sorted(held))
        return f"nothing until a person decides: dicomnode queue release {keys} --take …"
    if lines := undelivered(detail.series, detail.deliveries):
        return "; ".join(lines)
    return f"nothing; {_ended(detail)}"


def _ended(detail: SeriesDetail) -> str:
    if detail.series.removed_at is not None:
        return f"its files were removed {shown_time(detail.series.removed_at)}"
    if withdrawn(detail.series, detail.deliveries):
        undo = f"dicomnode results reinstate {detail.series.series_key}"
        return f"its results are withdrawn; {undo} undoes that"
    return "the series is done"
