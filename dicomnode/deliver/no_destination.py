"""What waits for a destination that nobody is configured to send to any more is given up."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import datetime

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from storage import deliveries, nodes
from storage.database import Database
from storage.statements import moment

log = logging.getLogger(__name__)


def abandon_unknown(settings: Settings, now: datetime | None = None) -> None:
    """Give up what waits for destinations that are configured no more, and say so.

    Nobody would ever send it, and its series would be kept for ever. Of nodes that share the
    database another may know them, as its configuration is newer, or older.
    """
    names = {each.name for each in settings.destinations}
    with (
        closing(Database.open_later(settings.database_url)) as database,
        database.write() as session,
    ):
        node_id = id_of_node(settings.node.data_directory)
        known = nodes.destinations_of_others(session, node_id)
        if known is None:
            log.info("another node has not told its destinations: nothing is abandoned")
            return
        abandoned = deliveries.abandon_unknown(session, names | known, now or moment(session))
    for name, count in sorted(abandoned.items()):
        log.warning(
            "%s is no destination any more: %d deliveries to it are abandoned (renamed? "
            "`dicomnode results resend` sends a set to the destinations of today)",
            name,
            count,
        )
