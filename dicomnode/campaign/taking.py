"""Instances that a campaign reads itself go into the node as if they had come over the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from dicomnode.audit.events import Peer
from dicomnode.campaign.sources import Told
from dicomnode.config.settings import Settings
from dicomnode.decisions.pulling import pause_after
from dicomnode.dicom_files.identity import file_parts
from dicomnode.errors import DataError
from dicomnode.pull.keeping import Keeper
from dicomnode.pull.steps import SeriesPulled
from storage.campaign_records import FoundClaim
from storage.database import Database

_Place = TypeVar("_Place")


class Taking:
    """For one campaign, in one process; `title` stands in the place of a calling AE title."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        title: str,
        images_per_second: float,
        stop: threading.Event,
        role: str,
    ) -> None:
        self._settings, self._database, self._title = settings, database, title
        self._rate, self._stop, self._role = images_per_second, stop, role
        self._open = ExitStack()
        self._keeper: Keeper | None = None

    def series(
        self,
        claimed: FoundClaim,
        places: Sequence[_Place],
        read: Callable[[_Place], bytes],
        told: Told,
    ) -> SeriesPulled:
        """What lies in these places. `read`: an OSError is a reason, told without its place."""
        came, problem, keeper = 0, "", self._keeping()
        for place in places:
            if self._stop.is_set():
                problem = "stopped"
                break
            came += not (why := _kept(place, read, keeper))
            problem = why or problem
            told()
            self._stop.wait(pause_after(1, 0.0, self._rate))
        keeper.series_ended()
        lacking = len(places) - came
        uids = claimed.study_instance_uid, claimed.series_instance_uid
        return SeriesPulled(*uids, len(places), 0, came, lacking, problem if lacking else "")

    def close(self) -> None:
        self._open.close()
        self._keeper = None

    def _keeping(self) -> Keeper:
        if self._keeper is None:
            sender = Peer(self._title, "127.0.0.1")
            self._keeper = Keeper(self._settings, self._database, sender, self._role)
            self._open.callback(self._keeper.close)
        return self._keeper


def _kept(place: _Place, read: Callable[[_Place], bytes], keeper: Keeper) -> str:
    """ "" where it is; else why not."""
    try:
        syntax, data_set = file_parts(read(place))
    except (DataError, OSError) as error:
        return f"a file cannot be read: {type(error).__name__}"
    status = keeper.take(data_set, syntax, lambda _identity: None)
    return "" if isinstance(status, int) else str(status.ErrorComment)
