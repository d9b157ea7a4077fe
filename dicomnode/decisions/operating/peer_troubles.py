"""Troubles with those who send: silent, turned away, refused; and the canary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from dicomnode.decisions.arrival.admission import judge_admission
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import ExpectedSource, HealthPolicy
from dicomnode.decisions.operating.silence import missed_studies, silent_hours
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration, foreign, moment, sentence
from dicomnode.decisions.wording import how_many
from storage.overview_records import CanaryRun, Refused, Source

_MOST_NAMED = 3
_MOST_ADDRESSES = 20
"""A scan of the network, or somebody's malice, must not fill the screen."""

_REFUSED_WITHIN = timedelta(hours=1)
_CALLED = "/7"
"""How the status ends where the called AE title is not ours (PS3.8 table 9-21)."""


def silence_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    known = {each.ae_title: each for each in facts.work.sources}
    if facts.database_fault is not None:
        return
    for expected in policy.sources:
        yield from _expected(expected, known.pop(expected.ae_title, None), facts)
    for source in known.values() if policy.silent_studies else ():
        missed = missed_studies(source, now)
        if missed >= policy.silent_studies:
            usual = f"as the last weeks went {missed:.0f} studies would have come"
            yield _silent(source.ae_title, source.last_at, usual, now)


def _expected(expected: ExpectedSource, source: Source | None, facts: Facts) -> Iterator[Trouble]:
    """Of one that never sent anything, from when the node was started."""
    began = facts.node.started_at if facts.node else facts.at
    last_at = source.last_at if source else began
    hours = silent_hours(expected, last_at, facts.at)
    if hours > expected.silent_hours:
        limit = f"health.sources: silent_hours = {expected.silent_hours:g}"
        since = last_at if source else None
        yield _silent(expected.ae_title, since, f"{hours:.1f} of its hours ({limit})", facts.at)


def _silent(ae_title: str, last_at: datetime | None, why: str, now: datetime) -> Trouble:
    name = foreign(ae_title)
    since = f"for {duration(now - last_at)}" if last_at else "yet"
    text = f"{name} has sent nothing {since}: {why}"
    remedy = f"see whether {name} works, and still sends here: C-ECHO from it to this node"
    return Trouble(f"source_silent:{name}", Severity.WARNING, text, remedy, last_at)


def refusal_troubles(facts: Facts, policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    day = now - timedelta(hours=policy.event_hours)
    associations = [
        each
        for each in facts.work.refused
        if each.kind == "association" and each.last_at >= day and not _may_come_now(each, facts)
    ]
    by_address = sorted(associations, key=lambda each: each.peer_address)
    groups = [list(each) for _, each in groupby(by_address, key=lambda each: each.peer_address)]
    groups.sort(key=lambda each: max(one.last_at for one in each), reverse=True)
    yield from (_turned_away(each) for each in groups[:_MOST_ADDRESSES])
    hour = now - _REFUSED_WITHIN
    instances = [
        each for each in facts.work.refused if each.kind == "instance" and each.last_at >= hour
    ]
    by_status = sorted(instances, key=lambda each: each.status)
    yield from (
        _refused(status, list(each))
        for status, each in groupby(by_status, key=lambda each: each.status)
    )


def _may_come_now(refused: Refused, facts: Facts) -> bool:
    """Whether somebody has let it in meanwhile."""
    names = refused.calling_ae_title, refused.called_ae_title
    return judge_admission(*names, refused.peer_address, facts.setup.admission).accepted


def _turned_away(found: list[Refused]) -> Trouble:
    last = max(found, key=lambda each: each.last_at)
    count = sum(each.count for each in found)
    names = list(dict.fromkeys(foreign(each.calling_ae_title) for each in found))
    named = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
    address = foreign(last.peer_address)
    text = (
        f"{how_many(count, 'association')} of {named} from {address} rejected, the last at "
        f"{moment(last.last_at)} UTC: {sentence(last.reason)}"
    )
    others = "; each of them: dicomnode queue refusals" if len(found) > 1 else ""
    remedy = _let_in(last, address) + others
    since = min(each.first_at for each in found)
    return Trouble(f"peer_rejected:{address}", Severity.WARNING, text, remedy, since)


def _let_in(refused: Refused, address: str) -> str:
    if refused.status.endswith(_CALLED):
        called = foreign(refused.called_ae_title)
        return (
            f'name the node there as here, or add "{called}" to receive.admission.called_ae_titles,'
            " then: dicomnode config reload"
        )
    entry = f'{{ ae_title = "{foreign(refused.calling_ae_title)}", networks = ["{address}"] }}'
    add = f"where it may come, add {entry} to peers of [receive.admission]"
    return f"{add}, then: dicomnode config reload"


def _refused(status: str, found: list[Refused]) -> Trouble:
    last = max(found, key=lambda each: each.last_at)
    count = how_many(sum(each.count for each in found), "instance")
    name, reason = foreign(last.calling_ae_title), sentence(last.reason)
    text = f"{count} refused with {status}, the last of {name}: {reason}"
    remedy = f"mend what it says, then send them again from {name}"
    since = min(each.first_at for each in found)
    return Trouble(f"instances_refused:{foreign(status)}", Severity.WARNING, text, remedy, since)


def canary_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    """The last run that ended counts; one that never ends is late as one that never began."""
    limit, ended, passed = facts.setup.canary_seconds, facts.work.last_ended, facts.work.last_passed
    if ended is not None and not ended.passed:
        yield _canary_failed(ended, passed)
    began = passed.started_at if passed else (facts.node.started_at if facts.node else None)
    if limit is None or began is None or now - began <= timedelta(seconds=limit):
        return
    since = f"for {duration(now - began)}" if passed else "yet"
    text = f"no run of the canary has passed {since}"
    yield Trouble("canary_late", Severity.WARNING, text, "dicomnode commission --canary", began)


def _canary_failed(run: CanaryRun, passed: CanaryRun | None) -> Trouble:
    last = f", passed last at {moment(passed.started_at)} UTC" if passed else ""
    text = f"the canary of {moment(run.started_at)} UTC failed at {run.stage}{last}: {run.text}"
    remedy = "dicomnode commission: it tells which step fails"
    return Trouble("canary_failed", Severity.ERROR, sentence(text), remedy, run.started_at)
