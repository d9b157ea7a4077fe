"""Undoing a withdrawal: the same results as a new set, under new UIDs, by the routes of today."""

from __future__ import annotations

from datetime import datetime

import pydicom
from pydicom.errors import InvalidDicomError

from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import result_files
from dicomnode.deliver.result_settings import result_settings
from dicomnode.deliver.result_store import store_result
from dicomnode.deliver.routing import routing
from dicomnode.errors import DataError
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.reinstatement import reinstated
from dicomnode.results.documents.text_document import TextOrigin
from storage import result_sets
from storage.database import Database
from storage.decided import Withdrawal
from storage.records import ResultRecord, ResultSet
from storage.results import ResultFiles


def reinstate(
    database: Database, settings: Settings, chosen: ResultSet, now: datetime
) -> tuple[str, ...]:
    """Have a withdrawn set sent once more, as new objects; their SOP Instance UIDs.

    Raises:
        DataError: it is not withdrawn, is reinstated already, or another set took its place since;
            or its files are gone or cannot be read.
        DatabaseUnavailableError
        OSError: the disk is full; nothing is reinstated.
    """
    key, why_not = chosen.series.series_key, _why_not(chosen)
    if why_not:
        raise DataError("results", f"those of series {key} {why_not}")
    files = result_files(settings)
    withdrawn = [_read(files, each) for each in chosen.results]
    first = withdrawn[0].data_set
    origin = TextOrigin(normalised_header([first]), now, result_settings(settings))
    objects = reinstated(withdrawn, origin, _in_words(chosen))
    records = [store_result(files, key, each, now) for each in objects]
    goes = routing(
        settings, [chosen.series.calling_ae_title], chosen.series.only_to
    ).destinations_of
    with database.write() as session:
        if not result_sets.record_reinstatement(session, chosen, records, goes, now):
            raise DataError("results", f"those of series {key} are reinstated already")
    return tuple(each.sop_instance_uid for each in records)


def _why_not(chosen: ResultSet) -> str:
    if chosen.is_retraction:
        return "withdraw others: name those"
    if chosen.retracted_at is None:
        return "are not withdrawn"
    return "have a newer set in their place" if chosen.superseded else ""


def _in_words(chosen: ResultSet) -> str:
    uids = {each.sop_instance_uid for each in chosen.results}
    (entry, *_) = (
        each
        for each in chosen.series.history
        if isinstance(each, Withdrawal) and uids & set(each.retracted)
    )
    return f"which was withdrawn {entry.decided_at:%Y-%m-%d %H:%M UTC} ({entry.title})"


def _read(files: ResultFiles, record: ResultRecord) -> ResultObject:
    try:
        data_set = pydicom.dcmread(files.bring([record])[0])
    except (InvalidDicomError, OSError, EOFError, ValueError, AttributeError) as error:
        uid = record.sop_instance_uid
        raise DataError("results", f"{record.kind} {uid}: its file cannot be read") from error
    return ResultObject(record.kind, data_set, frozenset(record.choices.split()))
