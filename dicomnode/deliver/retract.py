"""Withdrawing a set of results: what was sent is rejected where it lies, what waits is not sent.

A destination that takes rejection notes (IHE RAD, IOCM) gets one; another gets a report in the
place of the withdrawn one. Both go through the outbox, so that a dead PACS gets its own later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset

from dicomnode.config.destinations import AnyDestination
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import result_files
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.deliver.result_settings import result_settings
from dicomnode.deliver.result_store import store_result
from dicomnode.dicom_files.headers import read_source
from dicomnode.errors import DataError
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.retraction import (
    TITLES,
    Rejected,
    rejection_note,
    superseding_report,
)
from dicomnode.results.documents.text_document import TextOrigin
from storage import result_sets
from storage.database import Database
from storage.decided import Withdrawal
from storage.outbox import SR_STORAGE
from storage.records import RETRACTION_KIND, ResultRecord, ResultSet
from storage.result_history import KeptWithdrawal, Withdrawals
from storage.results import ResultFiles


@dataclass(frozen=True)
class Retraction:
    """What came of it. `notified`: destinations that get word; `already`: withdrawn before."""

    withdrawn: tuple[str, ...]
    notified: tuple[str, ...]
    already: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "withdrawn": list(self.withdrawn),
            "told": list(self.notified),
            "already_withdrawn": self.already,
        }


def retract(
    database: Database,
    settings: Settings,
    chosen: ResultSet,
    reason: RejectionReason,
    now: datetime,
) -> Retraction:
    """Withdraw a set; a second time it changes nothing.

    First beside the result files, durably, then in the database, in one transaction: see
    `storage.result_history`.

    Raises:
        DataError: it is a retraction itself, or its files are gone or cannot be read.
        OSError: the disk is full; nothing was withdrawn.
        DatabaseUnavailableError: it is withdrawn, and the running node enters it.
    """
    if chosen.is_retraction:
        raise DataError("results", "a retraction cannot be withdrawn")
    uids = tuple(each.sop_instance_uid for each in chosen.results)
    if chosen.retracted_at is not None:
        return Retraction(uids, (), already=True)
    files = result_files(settings)
    objects = _objects(files, settings, chosen, reason, now)
    key = chosen.series.series_key
    notes = {
        name: store_result(files, key, each, now, RETRACTION_KIND) for name, each in objects.items()
    }
    count, title = chosen.series.instance_count, TITLES[reason].meaning
    kept = KeptWithdrawal(key, Withdrawal(now, uids, count, (), reason.value, title), notes)
    Withdrawals(settings.result_files).put(kept)
    with database.write() as session:
        notified = result_sets.enter_withdrawal(session, kept)
    return Retraction(uids, notified or (), already=notified is None)


def _objects(
    files: ResultFiles,
    settings: Settings,
    chosen: ResultSet,
    reason: RejectionReason,
    now: datetime,
) -> dict[str, ResultObject]:
    """The word for each destination, by its name, about the objects that go there.

    It is the same object for all to which the same ones go, and which take the same.
    """
    known = result_settings(settings)
    number = settings.results.rejection_series_number

    def word(destination: AnyDestination) -> ResultObject:
        gone = _gone_to(destination.name, chosen)
        report = _report(files, gone, chosen.results)
        origin = TextOrigin(normalised_header([report]), now, known)
        rejected = [
            Rejected(each.result_series_instance_uid, each.sop_class_uid, each.sop_instance_uid)
            for each in gone
        ]
        if destination.rejection_notes:
            return rejection_note(origin, rejected, reason, number)
        return superseding_report(origin, report, rejected, reason)

    return {each.name: word(each) for each in settings.destinations}


def _gone_to(destination: str, chosen: ResultSet) -> Sequence[ResultRecord]:
    """All of the set where nothing goes there: it may just have been begun."""
    uids = {
        each.result.sop_instance_uid
        for each in chosen.deliveries
        if each.destination == destination
    }
    return [each for each in chosen.results if each.sop_instance_uid in uids] or chosen.results


def _report(files: ResultFiles, *preferred: Sequence[ResultRecord]) -> Dataset:
    """The report among the objects that go somewhere, else of the whole set: that has one."""
    reports = [
        each for some in preferred for each in some if each.sop_class_uid.startswith(SR_STORAGE)
    ]
    if not reports:
        raise DataError("results", "the set has no report")
    try:
        return read_source(files.bring(reports[:1])[0])
    except OSError as error:
        uid = reports[0].sop_instance_uid
        raise DataError("results", f"report {uid}: its file cannot be read") from error
