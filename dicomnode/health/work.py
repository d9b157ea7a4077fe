"""What the database tells of a node; each question by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicomnode.decisions.delivery.outcome import without_comment
from dicomnode.decisions.operating.facts import Work
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.silence import LOOK_BACK
from dicomnode.health.looks import Looks
from storage import overview
from storage.damage import damaged_summary
from storage.database import Database, is_missing
from storage.errors import StorageError
from storage.nodes import all_nodes, all_workers
from storage.overview_records import Node, OpenDeliveries, ParkedDeliveries, Source, Strain
from storage.troubles import unfinished_troubles

_T = TypeVar("_T")
_Told = TypeVar("_Told", OpenDeliveries, ParkedDeliveries)

_DAY = timedelta(hours=24)
"""Whatever `event_hours` is: what is shown of series is called that of the last day."""

_LOOKS_FOR_SOURCES = 30
"""They are read at every so many looks: for them the arrivals of five weeks are."""


class WorkReader:
    """Reads the work of one node, again and again."""

    def __init__(
        self, url: str, database: Database, policy: HealthPolicy, node_id: str = ""
    ) -> None:
        self._node_id = node_id
        self._url = url
        self._database = database
        self._policy = policy
        self._sources: tuple[Source, ...] = ()
        self._sources_at: datetime | None = None
        self._sources_every = timedelta(seconds=_LOOKS_FOR_SOURCES * policy.look_seconds)

    def fault(self) -> str | None:
        """Why the database does not answer; None where it does. It is not made by asking."""
        try:
            if is_missing(self._url):
                return f"{self._database.url} is not there"
            with self._database.read() as session:
                session.execute(text("SELECT 1"))
        except (StorageError, OSError) as error:
            return str(error)
        except SQLAlchemyError as error:  # its text may quote what is secret
            return f"{self._database.url} cannot be used: {type(error).__name__}"
        return None

    def read(self, looks: Looks, now: datetime) -> Work:
        since = now - timedelta(hours=self._policy.event_hours)

        def ask(what: str, question: Callable[[Session], _T], nothing: _T) -> _T:
            return looks.at(what, lambda: self._asked(question), nothing)

        return Work(
            deliveries=ask(
                "the deliveries", lambda session: _quiet(overview.open_deliveries(session)), ()
            ),
            parked=ask(
                "the parked deliveries",
                lambda session: _quiet(overview.parked_deliveries(session)),
                (),
            ),
            promises=ask("the storage commitments", overview.awaited_promises, ()),
            jobs=ask("the queue", lambda session: overview.open_jobs(session, now), ()),
            running=ask("the running jobs", overview.running_jobs, ()),
            failed=ask(
                "the failed series", lambda session: overview.failed_series(session, since), ()
            ),
            series=ask(
                "the series", lambda session: overview.series_counts(session, now - _DAY), {}
            ),
            sources=ask("the sources", lambda session: self._read_sources(session, now), ()),
            newest_arrival_at=ask("the newest arrival", overview.newest_arrival, None),
            refused=ask(
                "the refusals", lambda session: overview.recent_refusals(session, since), ()
            ),
            canary=ask(
                "the canary",
                lambda session: overview.last_canary_runs(session, self._node_id),
                (),
            ),
            noted=ask(
                "the troubles", lambda session: unfinished_troubles(session, now, self._node_id), ()
            ),
            nodes=ask("the nodes", _sharing, ()),
            workers=ask("the workers", all_workers, None),
            waiting=ask(
                "the analyses", lambda session: overview.analyses_by_needs(session, now), ()
            ),
            damaged=ask("the object store", damaged_summary, None),
            strain=ask("the strain of the database", overview.database_strain, Strain()),
        )

    def _asked(self, question: Callable[[Session], _T]) -> _T:
        with self._database.read() as session:
            return question(session)

    def _read_sources(self, session: Session, now: datetime) -> tuple[Source, ...]:
        at = self._sources_at
        if at is None or not timedelta() <= now - at < self._sources_every:
            self._sources, self._sources_at = overview.sources(session, now - LOOK_BACK), now
        return self._sources


def _sharing(session: Session) -> tuple[Node, ...]:
    nodes = (each for each in all_nodes(session) if not each.forgotten)
    return tuple(each for each in nodes if each.shares or each.twice_at)


def _quiet(told: tuple[_Told, ...]) -> tuple[_Told, ...]:
    """Without the peers' own words: facts go to monitors, and these may name a patient."""
    return tuple(replace(each, error=each.error and without_comment(each.error)) for each in told)
