"""What `dicomnode queue why` tells: the answer, all that led to it, and what is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console

from dicomnode.cli.views.delivery_words import is_analysed_now, series_word
from dicomnode.cli.views.next_steps import Around, ended, next_steps, trouble_of
from dicomnode.cli.views.queue_view import as_json, print_series, say, shown_time
from dicomnode.cli.views.refusals_view import told_of
from dicomnode.cli.views.step import Step
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.decisions.reasons import Reason, failed_rules
from dicomnode.decisions.wording import KEYS, answer, how_many, severest_first
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import read_source
from dicomnode.errors import DataError
from storage import forgetting, index, nodes, queries, refusals, study
from storage.damage import STORE_NODE, DamagedObject, damaged_of_series
from storage.database import Database
from storage.decided import (
    HistoryEntry,
    NodeLost,
    Reinstatement,
    SeriesEvidence,
    Withdrawal,
    retractions,
)
from storage.forgetting import Unreadable
from storage.notes import NOT_ANALYSED
from storage.records import (
    NOTE_KIND,
    OPEN_SERIES,
    ConflictState,
    SeriesDetail,
    SeriesRecord,
    StoredInstance,
)
from storage.refusals import Refusal
from storage.troubles import unfinished_troubles

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
    `identity`: empty unless it was asked for. `refused`: of its instances, and of its study.
    `unreadable`: what of it lay on a node that is forgotten.
    `damaged`: objects of the store that it needs, and that cannot be read.
    """

    detail: SeriesDetail
    brought: Mapping[str, int]
    study: tuple[SeriesRecord, ...]
    identity: Mapping[str, str]
    steps: tuple[Step, ...]
    now: datetime
    refused: tuple[Refusal, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    damaged: tuple[DamagedObject, ...] = ()

    @property
    def next(self) -> str:
        """What happens next, in words."""
        steps = "; ".join(step.text(self.now) for step in self.steps)
        return steps or f"nothing; {ended(self.detail)}"


def look_up(
    database: Database, settings: Settings, detail: SeriesDetail, identity: bool, now: datetime
) -> Why:
    """Ask the index, and with `identity` the header of one of the files."""
    uid = detail.series.series_key
    with database.read() as session:
        brought = queries.instances_by_association(session, uid)
        series = study.series_of_study(session, uid)
        instances = index.instances_of_series(session, uid) if identity else ()
        trouble = trouble_of(uid, unfinished_troubles(session, now))
        before = queries.analyses_ahead(session).get(uid, queries.AHEAD)
        workers = nodes.all_workers(session)
        around = Around(series, before, trouble, workers, nodes.all_nodes(session))
        lost = forgetting.unreadable(session, uid)
        named = (detail.series.series_instance_uid, detail.series.study_instance_uid)
        refused = refusals.of_series(session, *named)
        damaged = damaged_of_series(session, uid)
    others = tuple(each for each in series if each.series_key != uid)
    shown = _identity(settings, instances[:1])
    steps = next_steps(detail, settings, now, around)
    return Why(detail, brought, others, shown, steps, now, refused, lost, damaged)


def _identity(settings: Settings, instances: Sequence[StoredInstance]) -> dict[str, str]:
    if not instances:
        return {}
    try:
        (file,) = instance_files(settings).bring(instances)
        data_set = read_source(file)
    except (DataError, OSError) as error:
        return {"identity": f"not readable ({type(error).__name__})"}
    read = AttributeReader(data_set)
    return {name: read.text(keyword) for keyword, name in IDENTITY.items()}


def answer_line(why: Why) -> str:
    """What one wants to know first: where it is, and why."""
    record = why.detail.series
    word = series_word(record, why.detail.deliveries, running=is_analysed_now(why.detail))
    if record.state in NOT_ANALYSED and record.on_hold_since is None:
        return f"{word}: {answer(record.reasons)}" if record.reasons else word
    return f"{word}: {why.next if why.steps else ended(why.detail)}"


def print_why(console: Console, why: Why) -> None:
    """For a person: the answer, then who sent what, what closed it, each rule, what is next."""
    record = why.detail.series
    say(console, answer_line(why), style="bold")
    print_series(console, record, series_word(record, why.detail.deliveries))
    for name, value in why.identity.items():
        say(console, f"{name:<10} {value or '–'}")
    print_reasons(console, record.reasons)
    _print_arrival(console, why)
    for each in why.damaged:
        say(console, _unread(each), style="red")
    _print_completeness(console, record.completeness)
    _print_study(console, why)
    _print_history(console, record)
    for line in _of_forgotten(why):
        say(console, line, style="yellow")
    for line in _notes(why.detail):
        say(console, line)
    say(console, f"next: {why.next}")


def _notes(detail: SeriesDetail) -> list[str]:
    """What was told of the series, when, and where it has got."""
    notes = {each.sop_instance_uid: each for each in detail.results if each.kind == NOTE_KIND}
    made = sorted({each.created_at for each in notes.values()})
    gone = retractions(detail.series.history)
    lines = []
    for at in made:
        uids = {uid for uid, note in notes.items() if note.created_at == at}
        places = Counter(
            (each.destination, each.state.value)
            for each in detail.deliveries
            if each.result.sop_instance_uid in uids
        )
        where = ", ".join(f"{place} {state}" for place, state in places) or "no destination"
        withdrawn = ", withdrawn" if uids <= gone.keys() else ""
        lines.append(f"note     made {shown_time(at)}{withdrawn}: {where}")
    return lines


def _print_arrival(console: Console, why: Why) -> None:
    for association in why.detail.associations:
        end = association.end.value if association.end else "still open"
        count = why.brought.get(association.association_id, 0)
        say(
            console,
            f"{how_many(count, 'instance')} from {association.calling_ae_title} "
            f"({association.peer_address or 'address unknown'}), association opened "
            f"{shown_time(association.opened_at)}, {end} {shown_time(association.ended_at)}",
        )
    for refusal in why.refused:
        say(console, f"refused: {told_of(refusal)}", style="yellow")
    for line in _copies(why.detail):
        say(console, line, style="yellow")


def _unread(damaged: DamagedObject) -> str:
    next_is = "a node that has a good copy puts it there again; else have the series sent again"
    if damaged.lost_at is not None:
        since_then = f"since {shown_time(damaged.lost_at)}"
        next_is = f"no node had a good copy: asked of the archive, or made anew, {since_then}"
    times = how_many(damaged.found_count, "time")
    since = shown_time(damaged.found_at)
    return f"object store: {damaged.why}; read in vain {times} since {since}: {next_is}"


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
        f"{how_many(count, 'instance')} came again"
        + (f" with other {differs}" if differs else "")
        + (f" under series {key} of study {study}" if key != detail.series.series_key else "")
        + f": {_MADE_OF_COPIES[state]}"
        for (state, differs, key, study), count in again.items()
    ]
    known = Counter((each.owner_key, each.owner_study_uid) for each in detail.claims)
    lines += [
        f"{how_many(count, 'instance')} that {'names' if count == 1 else 'name'} this series "
        f"{'is' if count == 1 else 'are'} known under series {key} of study {study}"
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
    for entry in record.history:
        say(console, _past(entry))


def _past(entry: HistoryEntry) -> str:
    if isinstance(entry, Withdrawal):
        told = f"; told: {', '.join(entry.notified)}" if entry.notified else ""
        what = f"{how_many(len(entry.retracted), 'object')}, {entry.title or entry.why}"
        return f"before: retracted {shown_time(entry.decided_at)}: {what}{told}"
    if isinstance(entry, Reinstatement):
        what = f"{how_many(len(entry.results), 'object')} sent anew"
        return f"before: reinstated {shown_time(entry.decided_at)}: {what}"
    if isinstance(entry, NodeLost):
        what = f"{how_many(entry.instance_count, 'instance')} lay there alone, and were sent for"
        if not entry.instance_count:
            what = "its results lay there alone, and were made anew"
        when = shown_time(entry.decided_at)
        if entry.node_id == STORE_NODE:
            return f"damaged in the object store, and no good copy, {when}: {what}"
        return f"the node {entry.name or entry.node_id} was lost {when}: {what}"
    failed = failed_rules(entry.reasons)
    why = f": {', '.join(failed)}" if failed else ""
    text = f"{entry.state}{why}, {how_many(entry.instance_count, 'instance')}"
    return f"before: {text}, decided {shown_time(entry.decided_at) or 'never'}"


def _of_forgotten(why: Why) -> list[str]:
    """What it means for the series that a node is forgotten, for each."""
    series, lines = why.detail.series, []
    for each in why.unreadable:
        what = []
        if each.instances:
            them = how_many(each.instances, "instance")
            open_yet = "the archive is asked for them" if series.state in OPEN_SERIES else ""
            then = open_yet or "without them it cannot be analysed again"
            what.append(f"{them} lay there alone: {then}")
        if each.unsent:
            given_up = how_many(each.unsent, "object")
            what.append(f"{given_up} lay there alone and were not sent: they are given up")
        who = "the node {} was forgotten" if each.forgotten else "{} has its files no more"
        lines.append(f"{who.format(each.name)}; {'; '.join(what)}")
    return lines


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
        "answer": answer_line(why),
        "on_hold_since": as_json(record.on_hold_since),
        "cancelled_at": as_json(record.cancelled_at),
        "reasons": [
            each.as_json() | {"keys": list(KEYS.get(each.rule, ()))}
            for each in severest_first(record.reasons)
        ],
        "associations": associations,
        "refusals": as_json(list(why.refused)),
        "damaged_objects": as_json(list(why.damaged)),
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
        "unreadable": as_json(why.unreadable),
        "notes": as_json([each for each in why.detail.results if each.kind == NOTE_KIND]),
        "next": why.next,
        "next_steps": [step.as_json() for step in why.steps],
    }
    return shown | ({"identity": dict(why.identity)} if why.identity else {})


def print_reasons(console: Console, reasons: Sequence[Reason]) -> None:
    """A table of all rules, those that fail first, each with the key that sets its limit."""
    if not reasons:
        return
    narrow = console.is_terminal
    table = new_table("decision", "rule", "verdict", *(_NARROW if narrow else _WIDE))
    for reason in severest_first(reasons):
        told = _in_lines(reason) if narrow else _in_columns(reason)
        styles = ("", _VERDICT_STYLE[reason.verdict])
        add_row(table, reason.rule, reason.verdict, *told, styles=styles)
    print_table(console, table)


_WIDE = ("value", "limit", "set by")
_NARROW = ("value, limit, and what sets it",)


def _in_columns(reason: Reason) -> tuple[str, ...]:
    limit = "" if reason.limit is None else str(reason.limit)
    return str(reason.value), limit, ", ".join(KEYS.get(reason.rule, ()))


def _in_lines(reason: Reason) -> tuple[str, ...]:
    """Below each other: beside each other keys would be broken on 80 columns."""
    limit = "" if reason.limit is None else f", limit {reason.limit}"
    return ("\n".join((f"{reason.value}{limit}", *KEYS.get(reason.rule, ()))),)
