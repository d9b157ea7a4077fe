"""Settles instances that came again with other content: reads both copies, asks the decision."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.resend import (
    Claim,
    Copy,
    Pixels,
    ResendPolicy,
    Standing,
    elsewhere_reasons,
    held_reason,
    judge_resend,
    taken_reason,
)
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.patient_attributes import differences
from dicomnode.decisions.reasons import Reason
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.wording import how_many
from dicomnode.deliver.retract import retract
from dicomnode.dicom_files.frames import EncodedSlice, read_slices
from dicomnode.dicom_files.headers import read_headers_file, transfer_syntax_of
from dicomnode.dicom_files.identity import Provenance, identify_file, stored_instance
from dicomnode.dicom_files.pixels import decode_hu
from dicomnode.dicom_files.read_again import may_pass
from dicomnode.errors import DataError
from storage import conflicts, index, result_sets
from storage.conflicts import CopyName, Settled
from storage.database import Database
from storage.instances import InstanceFiles, StoredFile
from storage.records import Conflict, ConflictState, Job, StoredInstance

log = logging.getLogger(__name__)

_STATE = {
    Standing.SAME: ConflictState.SAME,
    Standing.FIRST: ConflictState.FIRST,
    Standing.NEWEST: ConflictState.REPLACED,
    Standing.HELD: ConflictState.HELD,
}
_WISHED = {
    ConflictState.TAKE_FIRST: Standing.FIRST,
    ConflictState.TAKE_NEWEST: Standing.NEWEST,
}
CHOSEN = frozenset(_WISHED)
"""States of a conflict of which a person has chosen the copy: nothing is waited for."""

_IN_QUESTION = (*conflicts.UNDECIDED, ConflictState.HELD)

_NOT_COMPARED = frozenset(
    {"transfer_syntax_uid", "pixel_data_sha256", "problems", "patient", "has_pixel_data"}
)


@dataclass(frozen=True)
class _Pair:
    """An instance as it stands, and the newest copy of it: as `other` where it could be read."""

    stands: StoredInstance
    conflict: Conflict
    other: StoredInstance | None

    @property
    def name(self) -> CopyName:
        return self.conflict.sop_instance_uid, self.conflict.sha256

    @property
    def _copy_is_later(self) -> bool:
        """Not so where what stands came once more since, and where the index was made again from
        files, in whose order they were found."""
        return self.conflict.received_at >= self.stands.received_at

    @property
    def owner(self) -> str:
        """The series that the later one names."""
        return self.conflict.series_key if self._copy_is_later else self.stands.series_key

    @property
    def same_association(self) -> bool:
        brought = self.conflict.association_id
        return brought != "" and brought == self.stands.association_id

    @property
    def times(self) -> tuple[datetime, datetime]:
        """When the first and the later one came."""
        earlier, later = sorted((self.stands.received_at, self.conflict.received_at))
        return earlier, later

    @property
    def paths(self) -> tuple[str, str]:
        """Of the first and of the later one."""
        both = (self.stands.path, self.conflict.path)
        return both if self._copy_is_later else both[::-1]

    def taken(self, standing: Standing) -> list[StoredInstance]:
        """The copy, if it is the one that stands from now on."""
        wanted = {Standing.NEWEST: self._copy_is_later, Standing.FIRST: not self._copy_is_later}
        return [self.other] if self.other is not None and wanted.get(standing, False) else []


class Resends:
    """Of one node."""

    def __init__(
        self,
        database: Database,
        files: InstanceFiles,
        policy: ResendPolicy,
        clock: Clock,
    ) -> None:
        self._database, self._files = database, files
        self._policy, self._clock = policy, clock

    def settle(self, job: Job) -> None:
        """Compare what came again of the series with what stands, and enter what is made of it.

        Ends the ASSESS job, or queues it again for the decision.

        Raises:
            OSError: a file may be read later.
            DatabaseUnavailableError
            LeaseLostError
        """
        with self._database.read() as session:
            instances = index.instances_of_series(session, job.series_key)
            found = conflicts.conflicts_of(session, job.series_key)
        in_question = [each for each in found if each.state in _IN_QUESTION]
        standing_now = {each.sop_instance_uid: each for each in instances}
        newest = {each.sop_instance_uid: each for each in in_question}  # the last one that came
        self._files.bring([standing_now[uid] for uid in newest])
        pairs = [self._pair(standing_now[uid], conflict) for uid, conflict in newest.items()]
        copies = [self._compare(pair) for pair in pairs]
        if _in_turn(pairs):
            copies = [replace(copy, at_once=True) for copy in copies]
        wishes = {_WISHED[each.state] for each in in_question if each.state in _WISHED}
        standing = next(iter(wishes), None) or judge_resend(copies, len(instances), self._policy)
        settled, taken = _outcome(in_question, pairs, copies, standing)
        for each in taken:  # what stood is a conflict then, which is in no object
            self._files.keep(standing_now[each.sop_instance_uid])
        with self._database.write() as session:
            done = conflicts.settle(session, job, settled, taken, self._clock.now())
        if done and standing is not Standing.SAME:
            text = f"{how_many(len(pairs), 'instance')} came again with other content"
            log.warning("series %s: %s: %s", job.series_key, text, standing.value)

    def withdraw_results(self, settings: Settings, series_key: str) -> None:
        """What was made of a series that turned out to be another patient's or study's.

        A set that is withdrawn stays so: a second time it changes nothing.
        """
        with self._database.read() as session:
            sets = result_sets.sets_of_series(session, series_key)
        for each in sets:
            if each.is_retraction or each.retracted_at is not None:
                continue
            now = self._clock.now()
            try:
                retract(self._database, settings, each, RejectionReason.WORKLIST, now)
            except DataError as error:
                log.error("series %s: its results could not be withdrawn: %s", series_key, error)
            else:
                log.warning("series %s: its results are withdrawn", series_key)

    def _pair(self, stands: StoredInstance, conflict: Conflict) -> _Pair:
        """`other` is None where the copy cannot be read so far as to tell what it is."""
        path = self._files.open_path(conflict.path)
        try:
            identity, meta = identify_file(path)
        except (DataError, FileNotFoundError):
            return _Pair(stands, conflict, None)
        of_file = (conflict.path, path.stat().st_size, conflict.sha256)
        stored = StoredFile(*of_file, existed=True, node_id=conflict.node_id)
        brought = (conflict.association_id, conflict.calling_ae_title)
        provenance = Provenance(*brought, called_ae_title="", priority=stands.priority)
        syntax, received_at = meta.TransferSyntaxUID, conflict.received_at
        other = stored_instance(identity, provenance, syntax, stored, received_at)
        other = replace(other, series_key=conflict.series_key)
        return _Pair(stands, conflict, other)

    def _compare(self, pair: _Pair) -> Copy:
        first, later = (self._files.open_path(path) for path in pair.paths)
        return Copy(
            owner=pair.owner,
            same_owner=pair.conflict.series_key == pair.stands.series_key,
            differs=_differences(first, later),
            pixels=_compared(first, later),
            at_once=pair.same_association,
        )


def _in_turn(pairs: Sequence[_Pair]) -> bool:
    """Whether some came again before all had come for the first time."""
    times = [pair.times for pair in pairs]
    return bool(times) and min(later for _, later in times) < max(first for first, _ in times)


def _outcome(
    in_question: Sequence[Conflict],
    pairs: Sequence[_Pair],
    copies: Sequence[Copy],
    standing: Standing,
) -> tuple[dict[CopyName, Settled], list[StoredInstance]]:
    """What is made of each conflict, and which of them stand from now on."""
    older = Standing.NEWEST if standing is Standing.SAME else standing
    settled = {
        (each.sop_instance_uid, each.sha256): Settled(_STATE[older], each.differs)
        for each in in_question
    }
    taken: list[StoredInstance] = []
    for pair, copy in zip(pairs, copies, strict=True):
        its = Standing.SAME if copy.is_same else standing
        settled[pair.name] = Settled(_STATE[its], ", ".join(copy.differences))
        taken += pair.taken(its)
    return settled, taken


def _differences(first: Path, later: Path) -> tuple[str, ...]:
    """The attributes that decisions and results read and that differ; without their values."""
    try:
        both = (read_headers_file(first), read_headers_file(later))
    except (DataError, FileNotFoundError):
        return ()  # the pixels cannot be read then, either
    names = [
        name
        for one, other in zip_longest(*both)
        for name in (_differing(one, other) if one and other else ("Number of Frames",))
    ]
    return tuple(dict.fromkeys(names))


def _differing(one: InstanceHeader, other: InstanceHeader) -> tuple[str, ...]:
    named = tuple(
        "".join(part.capitalize() for part in each.name.split("_"))
        for each in fields(InstanceHeader)
        if each.name not in _NOT_COMPARED and getattr(one, each.name) != getattr(other, each.name)
    )
    return (*differences([one.patient, other.patient]), *named)


def _compared(first: Path, later: Path) -> Pixels:
    """
    Raises:
        OSError: a file may be read later.
    """
    slices, others = _slices(first), _slices(later)
    if others is None:
        return Pixels.LATER_UNREADABLE
    if slices is None:
        return Pixels.FIRST_UNREADABLE
    if len(slices) != len(others):
        return Pixels.OTHER
    pairs = zip(slices, others, strict=True)
    found = (_compared_slices(one, other) for one, other in pairs)
    return next((each for each in found if each is not Pixels.EQUAL), Pixels.EQUAL)


def _slices(path: Path) -> list[EncodedSlice] | None:
    """None where they cannot be told apart, or the file is gone."""
    try:
        return read_slices(path)
    except DataError:
        return None
    except OSError as error:
        if may_pass(error):
            raise
        return None


def _compared_slices(one: EncodedSlice, other: EncodedSlice) -> Pixels:
    """Decoded, as another transfer syntax writes the same pixels otherwise."""
    same_syntax = transfer_syntax_of(one.header) == transfer_syntax_of(other.header)
    if same_syntax and one.pixel_data == other.pixel_data:
        return Pixels.EQUAL
    later = _decoded(other)
    if later is None:
        return Pixels.LATER_UNREADABLE
    first = _decoded(one)
    if first is None:
        return Pixels.FIRST_UNREADABLE
    return Pixels.EQUAL if np.array_equal(first, later) else Pixels.OTHER


def _decoded(encoded: EncodedSlice) -> NDArray[np.int16] | None:
    try:
        return decode_hu(encoded.header, encoded.pixel_data)  # (rows, columns)
    except DataError:
        return None


def is_undecided(found: Sequence[Conflict]) -> bool:
    """Whether some are not compared yet."""
    return any(each.state in conflicts.UNDECIDED for each in found)


def conflict_reasons(
    found: Sequence[Conflict], instance_count: int, series_key: str
) -> tuple[Reason, ...]:
    """What the decision on a series says of other contents of its instances."""
    for state in (ConflictState.HELD, ConflictState.FIRST, ConflictState.REPLACED):
        these = [each for each in found if each.state is state]
        count = len({each.sop_instance_uid for each in these})
        differs = {name for each in these for name in each.differs.split(", ") if name}
        if these and state is ConflictState.HELD:
            return (held_reason(count, instance_count, differs, series_key),)
        if these:
            newest = state is ConflictState.REPLACED
            return (taken_reason(count, instance_count, differs, newest=newest),)
    return ()


def claim_reasons(claims: Sequence[Conflict], instance_count: int) -> tuple[Reason, ...]:
    """What the decision on a series says of instances that name it and are another's."""
    last_words = {each.sop_instance_uid: each for each in claims}.values()
    return elsewhere_reasons(
        [
            Claim(
                (each.series_instance_uid, each.study_instance_uid),
                (each.owner_series_uid, each.owner_study_uid),
                each.state is ConflictState.REPLACED,
            )
            for each in last_words
        ],
        instance_count,
    )
