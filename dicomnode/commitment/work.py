"""What of storage commitment goes on beside the deliveries, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dicomnode.commitment.asking import Asker
from dicomnode.commitment.reporting import Reporter
from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.lifecycle import Outage, do_once
from storage import commitment_requests as requests
from storage.database import Database

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
NOT_ASKED = "stored; its destination is not asked for a promise any more"


_Work = Callable[[threading.Event], None]


def commitment_work(settings: Settings) -> dict[str, _Work]:
    """By name of the thread: what is done until the event is set."""
    asked = [each for each in settings.dicom_destinations if each.storage_commitment]
    work: dict[str, _Work] = {
        f"commitment-{each.name}": Asker(settings, each).run for each in asked
    }
    names = [each.name for each in asked]
    for each in asked:
        _tell_if_shut_out(settings, each)

    def leave(stop: threading.Event) -> None:
        leave_unasked(Database.open_later(settings.database_url), names, stop)

    return work | {"commitment-reports": Reporter(settings).run, "commitment-unasked": leave}


def _tell_if_shut_out(settings: Settings, destination: Destination) -> None:
    admission, title = settings.receive.admission, destination.ae_title.strip()
    if not admission.allow_any and not any(peer.bears(title) for peer in admission.peers):
        text = "%s (%s) may not open associations here: its storage commitment reports cannot come"
        log.warning(f"{text}; name it under receive.admission", destination.name, title)


def leave_unasked(database: Database, names: list[str], stop: threading.Event) -> None:
    """Once: what awaits the promise of a destination that is not asked any more stays stored."""

    def leave() -> None:
        with database.write() as session:
            left = requests.leave_unasked(session, names, NOT_ASKED)
        if left:
            log.warning("%d objects: %s", left, NOT_ASKED)

    do_once(leave, stop, Outage("storage commitment"), _RETRY_SECONDS)
    database.close()
