"""Nothing that was withdrawn is sent, whatever the database says of it.

Before a batch and before each of its objects, the files beside the results are asked
(`storage.result_history` says why). A withdrawal that the database does not know, as its command
was killed or a back-up was put back, is entered here or by the cleaner.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from storage import outbox, result_sets
from storage.database import Database
from storage.decided import RETRACTED
from storage.errors import DamagedHistoryError, LeaseLostError
from storage.records import Delivery, DeliveryState
from storage.result_history import SentFiles, Withdrawals

log = logging.getLogger(__name__)

_UNREAD_RETRY = timedelta(minutes=5)


class ResultHistory:
    """What a deliverer asks, and writes, beside the result files."""

    def __init__(self, database: Database, results: Path, node_id: str = "") -> None:
        """`results`: the folder of the result files; `node_id`: whose disk it is on.

        Raises:
            OSError
        """
        self._database = database
        self._withdrawals = Withdrawals(results, node_id)
        self._sent = SentFiles(results)

    def standing(self, batch: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Those that may be sent; those of a withdrawn set are given up.

        Where it cannot be read what is withdrawn, none may: they are tried again in a while.

        Raises:
            DatabaseUnavailableError
        """
        keys = dict.fromkeys(each.result.series_key for each in batch)
        series = ([each for each in batch if each.result.series_key == key] for key in keys)
        return [each for group in series for each in self._standing(group, now)]

    def _standing(self, batch: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Of one CT series."""
        try:
            kept = self._withdrawals.of_series(batch[0].result.series_key)
        except (OSError, DamagedHistoryError) as error:
            text = f"what is withdrawn cannot be read: {error}"
            log.error("series %s: %s", batch[0].result.series_key, text)
            for each in batch:
                self._give_back(each, DeliveryState.WAITING, now + _UNREAD_RETRY, text)
            return []
        uids = {uid for each in kept for uid in each.withdrawal.retracted}
        withdrawn = [each for each in batch if each.result.sop_instance_uid in uids]
        for each in withdrawn:
            log.warning("%s is withdrawn: not sent", each.result.sop_instance_uid)
            self._give_back(each, DeliveryState.ABANDONED, now, RETRACTED)
        if withdrawn:
            result_sets.enter_withdrawals(self._database, kept)
        return [each for each in batch if each.result.sop_instance_uid not in uids]

    def note(self, delivery: Delivery) -> None:
        """Write what became of a delivery, if it is settled; a full disk stops no other.

        Raises:
            DatabaseUnavailableError
        """
        with self._database.read() as session:
            settled = outbox.settled(session, delivery)
        try:
            if settled is not None:
                self._sent.note(delivery.result.series_key, settled)
        except OSError as error:
            uid = delivery.result.sop_instance_uid
            log.error("%s: not noted beside the results: %s", uid, error.strerror)

    def _give_back(
        self, delivery: Delivery, state: DeliveryState, not_before: datetime, error: str
    ) -> None:
        try:
            with self._database.write() as session:
                outbox.mark_unsent(session, delivery, state, not_before, error)
        except LeaseLostError:
            log.warning("%s is another's by now", delivery.result.sop_instance_uid)
