"""The loop of the monitor that starts a run of the canary when one is due."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from dicomnode.decisions.operating.canary import FormerRun, Setting, occasion_of_run
from storage import canary_runs
from storage.canary_runs import CanaryRecord
from storage.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0


class CanarySchedule:
    """Looks whether a run is due, and runs it; what it needs for that is loaded then."""

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, stop: threading.Event
    ) -> None:
        self._settings, self._database = settings, database
        self._clock, self._stop = clock, stop

    def look(self) -> bool:
        """Whether one was run."""
        if not self._settings.canary.enabled:
            return False
        occasion = self.occasion(self._clock.now().astimezone())
        if occasion is None:
            return False
        self._run(occasion)
        return True

    def occasion(self, now: datetime) -> str | None:
        """Why a run is due at `now`, in local time; None: none is."""
        from dicomnode.canary.setting import setting_of

        with self._database.read() as session:
            node_id = id_of_node(self._settings.node.data_directory)
            last = canary_runs.last_run(session, node_id)
        former = None if last is None else _former(last)
        return occasion_of_run(self._settings.canary, setting_of(self._settings), former, now)

    def _run(self, occasion: str) -> None:
        from dicomnode.canary.run import CanaryBusyError, run_canary

        log.info("the canary is sent: %s", occasion)
        try:
            done = run_canary(
                self._settings, self._database, occasion, clock=self._clock, stop=self._stop
            )
        except CanaryBusyError as error:
            log.info("%s", error)
            return
        if done is None:
            return
        level = logging.INFO if done.passed else logging.ERROR
        how = "passed" if done.passed else f"failed at {done.stage}"
        log.log(level, "the canary %s: %s", how, done.text)


def _former(run: CanaryRecord) -> FormerRun:
    setting = Setting(run.version, run.configuration, run.models)
    return FormerRun(setting, run.started_at, run.ended_at)
