"""The loop that runs the canary."""

from __future__ import annotations

from dicomnode.canary.schedule import LOOK_SECONDS, CanarySchedule
from dicomnode.monitor.loops import Loop, Station


def running_the_canary(station: Station) -> Loop:
    schedule = CanarySchedule(station.settings, station.database, station.clock, station.stop)
    return Loop("running the canary", schedule.look, LOOK_SECONDS)
