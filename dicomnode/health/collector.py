"""Reads the facts of a node: from its database, its data directory and its configuration.

Each source is asked by itself: one that fails is named among the facts, and the rest is read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.backlog import read_backlog
from dicomnode.data_directory.holding import id_of_node, is_held
from dicomnode.decisions.arrival.disk import DiskSpace, judge_disk
from dicomnode.decisions.operating.facts import ClockStep, Facts, Setup, Work
from dicomnode.disk_gate import disk_space, existing
from dicomnode.health.certificates import certificate_files
from dicomnode.health.looks import Looks
from dicomnode.health.patience import Patience
from dicomnode.health.work import WorkReader
from dicomnode.processes.states import read_state
from storage.database import Database
from storage.overview_records import Unsealed

DATABASE_SECONDS = 5.0
"""So long an answer of the database is waited for."""

BRIEF_SECONDS = 1.5
"""So long where others wait to hear whether the node is ready."""

_UNKNOWN_DISK: tuple[DiskSpace | None, str] = None, ""
_LEAST_STEP_SECONDS = 1.0
_TELLING_SECONDS = 900.0
_DAY_SECONDS = 86_400.0
_SETTLED_SECONDS = 3600.0
"""What was set so long ago is the time by now."""


class Collector:
    """Looks at one node, again and again."""

    def __init__(self, settings: Settings, database: Database, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or clock_of(database, waits=False)
        node_id = ""
        with suppress(OSError):  # told elsewhere
            node_id = id_of_node(settings.node.data_directory)
        self._work = WorkReader(settings.database_url, database, settings.health, node_id)
        self._patience: Patience[tuple[str | None, Work]] = Patience(DATABASE_SECONDS)
        self._brief: Patience[tuple[str | None]] = Patience(BRIEF_SECONDS)
        self._refusing = False
        self._clocks = _Clocks(self._clock.host)

    def collect(self) -> Facts:
        """The facts as they are now; never raises for what it looks at."""
        looks = Looks()
        fault, work = self._from_database(looks)
        facts = self._near(looks, fault)
        return replace(
            facts,
            running=looks.at(
                "the lock of the node", lambda: is_held(self._settings.node.data_directory), None
            ),
            certificates=looks.at(
                "the certificates", lambda: certificate_files(self._settings), ()
            ),
            clock_step=self._clocks.step(),
            unsealed=looks.at("the sealing", self._unsealed, None),
            work=work,
            blind=tuple(looks.blind),
        )

    def collect_briefly(self) -> Facts:
        """What it takes to receive, and nothing else; never raises, either."""
        answer = self._brief.ask(lambda: (self._work.fault(),))
        fault = f"no answer within {BRIEF_SECONDS:g} s" if answer is None else answer[0]
        return self._near(Looks(), fault)

    def _near(self, looks: Looks, fault: str | None) -> Facts:
        """But for what takes longer. `fault`: of the database."""
        folder = self._settings.node.data_directory
        disk, disk_of = looks.at("the disk", self._disk, _UNKNOWN_DISK)
        if disk is not None:
            self._refusing = judge_disk(disk, self._refusing, self._settings.disk).refusing
        return Facts(
            at=self._clock.now().astimezone(),
            setup=self._setup(),
            node=looks.at("the processes", lambda: read_state(folder), None),
            database_fault=fault,
            disk=disk,
            disk_of=disk_of,
            refusing=self._refusing,
            read_only=looks.at("the disk", lambda: _is_read_only(folder), nothing=False),
        )

    def _setup(self) -> Setup:
        settings, canary, alerts = self._settings, self._settings.canary, self._settings.alerts
        ways = {"webhook": alerts.webhook, "mail": alerts.mail}
        return Setup(
            disk=settings.disk,
            deadline_seconds=settings.inference.deadline_seconds,
            admission=settings.receive.admission.for_node(settings.node.ae_title),
            database_serves=not settings.database_url.startswith("sqlite"),
            canary_seconds=_DAY_SECONDS + canary.deadline_seconds if canary.enabled else None,
            ways=tuple(name for name, way in ways.items() if way is not None),
            least=alerts.least,
            told_within_seconds=alerts.stand_seconds + _TELLING_SECONDS,
        )

    def _from_database(self, looks: Looks) -> tuple[str | None, Work]:
        """Where it is away no further question waits for it."""
        own = Looks()  # a late answer is put into it when nobody reads that any more

        def ask() -> tuple[str | None, Work]:
            fault = self._work.fault()
            return fault, Work() if fault else self._work.read(own, self._clock.now())

        answer = self._patience.ask(ask)
        if answer is None:
            return f"no answer within {DATABASE_SECONDS:g} s", Work()
        looks.blind += own.blind
        return answer

    def _unsealed(self) -> Unsealed | None:
        has_store = bool(self._settings.object_store.url)
        return read_backlog(self._settings.node.data_directory) if has_store else None

    def _disk(self) -> tuple[DiskSpace | None, str]:
        """Of the instances, or of where they will be; and which folder was asked in their place."""
        folder = self._settings.instances
        asked = existing(folder)
        return disk_space(asked), "" if asked == folder else str(asked)


def _is_read_only(folder: Path) -> bool:
    return folder.exists() and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


class _Clocks:
    """Compares the clock that may be set with the one that may not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before = clock.now(), clock.seconds()
        self._step: ClockStep | None = None
        self._set_at = 0.0

    def step(self) -> ClockStep | None:
        """The last time that the clock was set, since this object is there: by how much it is off
        now. None where it was set right again."""
        now, seconds = self._clock.now(), self._clock.seconds()
        passed = timedelta(seconds=seconds - self._before[1])
        off = (now - self._before[0] - passed).total_seconds()
        if abs(off) >= _LEAST_STEP_SECONDS:
            if self._step is not None and seconds - self._set_at < _SETTLED_SECONDS:
                off += self._step.seconds
            self._step = ClockStep(now, off) if abs(off) >= _LEAST_STEP_SECONDS else None
            self._set_at = seconds
        self._before = now, seconds
        return self._step
