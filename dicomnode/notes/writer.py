"""Writes the notes on what was not analysed, by the policy of `[results] note`.

It looks at the rows, not at the moment of the decision: a study is judged when none of its CT
series is open any more and the longest wait for another one is over, and a node that was killed in
between makes up for it. The same rows give the same objects, so that to look twice is harmless.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from pydicom.dataset import Dataset

from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files, result_files
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.deliver.result_settings import result_settings
from dicomnode.deliver.result_store import store_result
from dicomnode.deliver.retract import retract
from dicomnode.deliver.routing import routing, warn_of_senders
from dicomnode.dicom_files.read_again import Retries, is_full, may_pass
from dicomnode.errors import DataError
from dicomnode.lifecycle import Outage
from dicomnode.notes.series_note import first_source, series_not_analysed
from dicomnode.notes.wanted import MODALITY, needs_no_note
from dicomnode.results.common.context import Predecessor, ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.text_document import TextOrigin, text_sop_class
from storage import conflicts, index, notes, result_sets, study
from storage.adopt import HELD
from storage.database import Database
from storage.decided import failed_rules
from storage.errors import DatabaseUnavailableError
from storage.records import NOTE_KIND, ResultRecord, ResultSet, SeriesRecord, SeriesState

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_LONGEST_AWAY = timedelta(days=1)
"""A node that was away for longer is silent about what lies before: it would be news no more."""

_OVERLAP = timedelta(minutes=10)
"""Looked at again in each pass: a decision is committed some moments after its time."""


class NoteWriter:
    """Puts the notes of one node into its outbox."""

    def __init__(self, settings: Settings, database: Database, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or clock_of(database)
        self._database = database
        self._instances = instance_files(settings)
        self._results = result_files(settings)
        self._looked_until: datetime | None = None
        self._reading = Retries()
        self._passed_over: set[str] = set()
        self._unread = False

    def write_due(self, now: datetime) -> int:
        """One pass; how many notes were entered.

        A note that cannot be written for another reason holds up no other: see `_each`.

        Raises:
            DatabaseUnavailableError
            OSError: the disk is full.
        """
        policy = self._settings.results.note
        if policy == "off":
            return 0
        whole_study = policy == "study"
        wait = timedelta(seconds=self._settings.study.wait_seconds if whole_study else 0)
        until = now - wait
        self._unread = False
        after = (self._looked_until or until - _LONGEST_AWAY + _OVERLAP) - _OVERLAP
        with self._database.read() as session:
            ended = notes.ended_without_analysis(
                session, MODALITY, after, until, self._results.node_id
            )
        write = self._of_studies if whole_study else self._of_series
        written = write(ended, until)
        if whole_study:  # a note on one series stays true whatever becomes of the others
            with self._database.write() as session:
                notes.withhold_outdated(session)
        self._withdraw_outdated(now, whole_study=whole_study)
        if not self._unread:
            self._looked_until = until
        return written

    def _each(self, uid: str, write: Callable[[], bool], now: datetime) -> bool:
        """Write one note; one whose files cannot be read just now is written by a later pass, and
        one that is at fault is told and passed over."""
        if uid in self._passed_over:
            return False
        try:
            return write()
        except DatabaseUnavailableError:
            raise
        except OSError as error:
            if not may_pass(error) or is_full(error):
                raise
            if self._reading.failed(uid, now) is not None:
                self._unread = True
                return False
            log.error("%s: no note, for no header can be read: %s", uid, error.strerror)
        except Exception:
            log.exception("%s: no note", uid)
        self._passed_over.add(uid)
        return False

    def _withdraw_outdated(self, now: datetime, *, whole_study: bool) -> None:
        """What a PACS has and what no longer holds is withdrawn there, as a result would be.

        It would stand beside the report and say that there is none.
        """
        since = self._looked_until and self._looked_until - _OVERLAP
        with self._database.read() as session:
            found = notes.sent_and_outdated(session, since, whole_study=whole_study)
            sets = [each for uid in found for each in result_sets.sets_of_series(session, uid)]
        for each in sets:
            is_note = all(result.kind == NOTE_KIND for result in each.results)
            if is_note and each.retracted_at is None:
                self._each(_uid(each.series), partial(self._withdraw, each), now)

    def _withdraw(self, note: ResultSet) -> bool:
        uid, now = _uid(note.series), self._clock.now()
        try:
            done = retract(self._database, self._settings, note, RejectionReason.OUTDATED, now)
        except DataError as error:
            log.warning("series %s: its note is outdated and stays: %s", uid, error)
            return False
        if not done.already:
            log.info("series %s: its note no longer holds: withdrawn", uid)
        return not done.already

    def _of_studies(self, ended: Sequence[str], until: datetime) -> int:
        written, judged = 0, set[str]()
        for key in ended:
            if key in judged:
                continue
            with self._database.read() as session:
                series = study.series_of_study(session, key)
            judged |= {each.series_key for each in series}
            ended_all = all(_came_to_nothing(each, until) for each in series)
            if ended_all and not all(needs_no_note(each.reasons) for each in series):
                write = partial(self._write, series, whole_study=True)
                written += self._each(key, write, until)
        return written

    def _of_series(self, ended: Sequence[str], until: datetime) -> int:
        written = 0
        for key in ended:
            with self._database.read() as session:
                series = study.series_of_study(session, key)
            own = [each for each in series if each.series_key == key]
            if own and own[0].state in notes.NOT_ANALYSED and not needs_no_note(own[0].reasons):
                written += self._each(key, partial(self._write, own, whole_study=False), until)
        return written

    def _write(self, series: Sequence[SeriesRecord], *, whole_study: bool) -> bool:
        """Build, store and enter one note, unless it is there already."""
        last = max(series, key=lambda each: each.ended_at or each.last_received_at)
        moment = last.ended_at or last.last_received_at
        with self._database.read() as session:
            former = notes.notes_of(session, [each.series_key for each in series])
        if any(each.created_at >= moment for each in former):
            return False
        objects = self._objects(series, former, moment, whole_study=whole_study)
        if not objects:
            return False
        records = [
            store_result(self._results, _uid(last), each, moment, NOTE_KIND) for each in objects
        ]
        senders = {each.calling_ae_title for each in series}
        goes = routing(self._settings, senders)
        now = self._clock.now()
        with self._database.write() as session:
            entered = notes.enter_note(
                session, series, records, goes.destinations_of, now, whole_study=whole_study
            )
        if entered:
            what = "study" if whole_study else "series"
            log.info("series %s: a note that its %s was not analysed", _uid(last), what)
            warn_of_senders(self._settings, _uid(last), senders)
        return entered

    def _objects(
        self,
        series: Sequence[SeriesRecord],
        former: Sequence[ResultRecord],
        moment: datetime,
        *,
        whole_study: bool,
    ) -> tuple[ResultObject, ...]:
        """None when no header can be read: nobody could tell whose note it is."""
        sources = {_uid(each): self._source(_uid(each)) for each in series}
        readable = [source for source in sources.values() if source is not None]
        if not readable:
            log.warning("series %s: no note, for no header can be read", _uid(series[0]))
            return ()
        origin = TextOrigin(normalised_header(readable), moment, result_settings(self._settings))
        return note_objects(
            origin,
            [_of_series(each, sources[_uid(each)]) for each in series],
            whole_study=whole_study,
            series_number=self._settings.results.note_series_number,
            predecessor=_predecessor(former, origin.header.study_instance_uid),
        )

    def _source(self, series_key: str) -> Dataset | None:
        """The header of the first instance of a series that can be read."""
        with self._database.read() as session:
            instances = index.instances_of_series(session, series_key)
            claims = conflicts.claims_of(session, series_key)  # known as those of another series
        own = (self._instances.bring([each])[0] for each in instances)
        return first_source(chain(own, (self._instances.open_path(each.path) for each in claims)))


def _uid(series: SeriesRecord) -> str:
    return series.series_key


def _came_to_nothing(series: SeriesRecord, until: datetime) -> bool:
    """One that is held did not: nobody knows what became of it before."""
    ended = series.ended_at is not None and series.ended_at <= until
    held = HELD in failed_rules(series.reasons)
    return ended and series.state in notes.NOT_ANALYSED and not held


def _of_series(series: SeriesRecord, source: Dataset | None) -> SeriesNotAnalysed:
    return series_not_analysed(
        series.series_instance_uid,
        source,
        series.reasons,
        instance_count=series.instance_count,
        failed=series.state is SeriesState.FAILED,
        input_digest=series.input_digest or "",
    )


def _predecessor(former: Sequence[ResultRecord], study_instance_uid: str) -> Predecessor | None:
    """The text of the note before this one, when more of the study came."""
    texts = [each for each in former if each.sop_class_uid == text_sop_class()]
    if not texts:
        return None
    last = texts[-1]
    return Predecessor(
        study_instance_uid,
        last.result_series_instance_uid,
        last.sop_class_uid,
        last.sop_instance_uid,
    )


def run(settings: Settings, stop: threading.Event) -> None:
    """Write notes until `stop`; a thread of the assessor's process."""
    if settings.results.note == "off":
        return
    database = Database.open_later(settings.database_url)
    clock = clock_of(database)
    writer = NoteWriter(settings, database, clock)
    outage = Outage("writing notes", OSError)
    while not stop.wait(_LOOK_SECONDS):
        with outage.reported():
            writer.write_due(clock.now())
